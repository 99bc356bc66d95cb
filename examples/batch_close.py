"""The end of a shift: many sessions closed in one transaction, a bad row told and skipped.

    python examples/batch_close.py

It prints:

    row 1: 2 units, 3 tUSD
    row 2: SessionNotOpen
    row 3: 4 units, 6 tUSD
    9 tUSD in the advisor's balance
"""

from honorarium.advisor import Advisor
from honorarium.chain import ClosingRow, Contracts, LocalChain
from honorarium.client import Client
from honorarium.errors import ContractError
from honorarium.protocol import Tariff


def main() -> None:
    with LocalChain.start() as chain, Contracts.deploy(chain) as contracts:
        advisor = Advisor(contracts, chain.accounts["advisor"])
        client = Client(contracts, chain.accounts["client"])
        client.deposit("100")  # sessions opened from a balance are the cheapest
        tariff = Tariff.of(contracts.token(), "1.50", per="interaction", max_units=10)

        rows: list[ClosingRow] = []
        for answered in (2, 0, 4):
            quote = advisor.quote(client.address, client.meter_key.address, tariff)
            session = client.open(quote, pay="balance")
            session.meter.count(answered)
            voucher = session.meter.read(at=session.opened_at) if answered else None
            rows.append(advisor.sign_closing(session, voucher))
            if not answered:
                advisor.close(session)  # somebody closed this one already

        for number, result in enumerate(advisor.close_all(rows), start=1):
            if isinstance(result, ContractError):
                print(f"row {number}: {type(result).__name__}")
            else:
                print(f"row {number}: {result.units} units, {result.earned}")
        print(f"{advisor.balance()} in the advisor's balance")


if __name__ == "__main__":
    main()
