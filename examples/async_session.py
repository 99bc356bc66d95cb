"""Many sessions at once on asyncio: ten clients of one advisor, closed in one transaction.

    python examples/async_session.py

It prints:

    10 sessions open
    10 closed in 1 transaction, 10 tUSD earned
"""

import asyncio

from honorarium.advisor import AsyncAdvisor
from honorarium.chain import AsyncContracts, ClosingRow, Contracts, LocalChain
from honorarium.client import AsyncClient, OpenSession
from honorarium.errors import ContractError
from honorarium.protocol import Tariff

NAMES = tuple(f"client {number}" for number in range(1, 11))


async def one(client: AsyncClient, advisor: AsyncAdvisor, tariff: Tariff) -> OpenSession:
    """A client asks for a quote and opens a session, without a transaction for an approval."""
    quote = await advisor.quote(client.address, client.meter_key.address, tariff)
    return await client.open(quote, deposit="5", pay="authorization")


async def consented(session: OpenSession, advisor: AsyncAdvisor) -> ClosingRow:
    """One question was answered; the advisor agrees to close on that reading."""
    session.meter.count()
    return await advisor.sign_closing(session, session.meter.read(at=session.opened_at))


async def main(chain: LocalChain) -> None:
    async with await AsyncContracts.connect(chain.url, state=chain.directory) as contracts:
        advisor = AsyncAdvisor(contracts, chain.accounts["advisor"])
        clients = [AsyncClient(contracts, chain.accounts[name]) for name in NAMES]
        tariff = Tariff.of(await contracts.token(), "1", per="interaction")

        sessions = await asyncio.gather(*(one(client, advisor, tariff) for client in clients))
        print(len(sessions), "sessions open")

        rows = await asyncio.gather(*(consented(each, advisor) for each in sessions))
        results = await advisor.close_all(rows)
        closed = [each for each in results if not isinstance(each, ContractError)]
        transactions = len({each.tx_hash for each in closed})
        earned = await advisor.balance()
        print(f"{len(closed)} closed in {transactions} transaction, {earned} earned")


if __name__ == "__main__":
    with LocalChain.start(names=("operator", "advisor", *NAMES)) as local:
        Contracts.deploy(local).close()
        asyncio.run(main(local))
