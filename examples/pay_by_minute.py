"""A session by the minute, live: the meter signs each minute, the advisor countersigns it.

    python examples/pay_by_minute.py

It prints:

    minute 1 in hand
    minute 2 in hand
    minute 3 in hand
    4.5 tUSD to the advisor, 10.5 tUSD back
"""

from honorarium.advisor import Advisor, VoucherBook
from honorarium.chain import Contracts, LocalChain
from honorarium.client import Client
from honorarium.protocol import Tariff
from honorarium.units import UnixTime


def main() -> None:
    with LocalChain.start() as chain, Contracts.deploy(chain) as contracts:
        advisor = Advisor(contracts, chain.accounts["advisor"])
        client = Client(contracts, chain.accounts["client"])

        tariff = Tariff.of(contracts.token(), "1.50", per="minute", max_units=60)
        quote = advisor.quote(client.address, client.meter_key.address, tariff)
        session = client.open(quote, deposit="15")

        meter, begin = session.meter, session.opened_at
        key = chain.accounts["advisor"]
        book = VoucherBook(session.terms, contracts.escrow, key, meter.deposit, begin)
        meter.answer(at=begin)
        book.answer(at=begin)
        for now in range(begin, begin + 150):  # two and a half minutes, second by second
            tick = meter.tick(at=now)
            if tick.voucher:
                meter.acknowledge(book.take(tick.voucher, tick.entries, tick.after, at=now))
                print(f"minute {book.units} in hand")
            if book.exposure(at=now).stop:
                break  # a careful advisor stops here; nobody has to

        contracts.node.set_time(UnixTime(begin + 150))  # a local chain's clock
        earned = advisor.close(session, book.best).earned
        held = contracts.session(session.id)
        back = contracts.token().amount(held.deposit - held.earned)
        print(f"{earned} to the advisor, {back} back")


if __name__ == "__main__":
    main()
