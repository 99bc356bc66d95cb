"""A client without gas: everything is signed, and a relayer sends it (EIP-3009 for the money).

    python examples/relayed.py

It prints:

    the client has 0 ETH and 20 tUSD
    open: sent by the relayer
    leave: sent by the relayer
    rate: sent by the relayer
    tip: sent by the relayer
    the client has 0 ETH and 16 tUSD
"""

from honorarium.advisor import Advisor
from honorarium.chain import Account, Contracts, LocalChain, Relayable, calls
from honorarium.client import Client
from honorarium.money import COIN
from honorarium.protocol import Key, Tariff


def main() -> None:
    with LocalChain.start() as chain, Contracts.deploy(chain) as contracts:
        token = contracts.token()
        advisor = Advisor(contracts, chain.accounts["advisor"])
        relayer = Account(contracts, chain.accounts["operator"])
        client = Client(contracts, Key.generate())  # an account that never had any coin
        sender = contracts.sender(chain.accounts["operator"])
        sender.transact(token.address, calls.mint(client.address, 20_000_000))

        def show() -> None:
            print(f"the client has {client.wallet(COIN.address)} and {client.wallet()}")

        def send(signed: Relayable) -> None:
            """What was signed travels as text, by whatever way."""
            arrived = Relayable.from_json(signed.to_json())
            relayer.relay(arrived)
            print(f"{arrived.action}: sent by the relayer")

        show()
        tariff = Tariff.of(token, "3", per="interaction")
        quote = advisor.quote(client.address, client.meter_key.address, tariff)
        send(client.sign_opening(quote, deposit="12"))
        session = client.join(quote)

        session.meter.count()
        voucher = session.meter.read(at=session.opened_at)
        send(client.sign_leaving(session))
        advisor.close(session, voucher)  # within the grace period; 3 earned, 9 back

        send(client.sign_rating(session, 5))
        send(client.sign_tip(session, "1"))
        show()


if __name__ == "__main__":
    main()
