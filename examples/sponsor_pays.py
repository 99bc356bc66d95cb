"""Somebody else pays: a brand funds a client's session, and gets back what is not used.

    python examples/sponsor_pays.py

It prints:

    the client paid nothing
    the sponsor paid 6 tUSD of 20 tUSD
    the platform earned 0.6 tUSD, the advisor 5.4 tUSD
"""

from honorarium.advisor import Advisor
from honorarium.chain import Account, Contracts, LocalChain
from honorarium.client import Client
from honorarium.protocol import Tariff


def main() -> None:
    with LocalChain.start() as chain, Contracts.deploy(chain) as contracts:
        advisor = Advisor(contracts, chain.accounts["advisor"])
        client = Client(contracts, chain.accounts["client"])
        sponsor = Client(contracts, chain.accounts["payer"])
        platform = Account(contracts, chain.accounts["platform"])
        before = client.wallet(), sponsor.wallet()

        tariff = Tariff.of(contracts.token(), "2", per="interaction", max_units=10)
        quote = advisor.quote(
            client.address,
            client.meter_key.address,
            tariff,
            payer=sponsor.address,
            platform=platform.address,
            platform_bps=1000,  # 10 %
        )
        consent = client.consent(quote)  # the client agrees to be named; it costs nothing
        sponsor.fund(quote, client_signature=consent)
        session = client.join(quote)

        session.meter.count(3)  # three questions were answered
        advisor.close(session, session.meter.read(at=session.opened_at))

        assert client.wallet() == before[0]
        print("the client paid nothing")
        deposit = contracts.token().amount(contracts.session(session.id).deposit)
        print(f"the sponsor paid {before[1] - sponsor.wallet()} of {deposit}")
        print(f"the platform earned {platform.balance()}, the advisor {advisor.balance()}")


if __name__ == "__main__":
    main()
