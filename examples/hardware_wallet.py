"""A wallet that keeps its key to itself: two methods and an address are all that is needed.

`Device` stands for a hardware wallet, a browser's wallet or a signing service. It shows its owner
what is signed, here on the screen; what it gives back is checked before anybody sends it.

    python examples/hardware_wallet.py

It prints:

    the device signs a transaction to the token
    the device signs a transaction to the escrow
    the device signs typed data: Withdrawal
    withdrawn 5 tUSD
"""

from typing import Any

from eth_account import Account as EthAccount

from honorarium.chain import Account, Contracts, LocalChain
from honorarium.ids import Address
from honorarium.protocol import Key, TransactionFields, Wallet


class Device:
    """Signs what its owner agrees to. A real one asks over USB or the network."""

    def __init__(self, secret: Key, known: dict[bytes, str]) -> None:
        self._account = EthAccount.from_key(secret.secret())
        self._known = known

    @property
    def address(self) -> Address:
        return Address(bytes.fromhex(self._account.address[2:]))

    def sign_typed_data(self, typed_data: dict[str, Any]) -> bytes:
        print("the device signs typed data:", typed_data["primaryType"])
        return bytes(self._account.sign_typed_data(full_message=typed_data).signature)

    def sign_transaction(self, fields: TransactionFields) -> bytes:
        print("the device signs a transaction to", self._known[bytes(fields["to"])])
        return bytes(self._account.sign_transaction(fields).raw_transaction)


def main() -> None:
    with LocalChain.start() as chain, Contracts.deploy(chain) as contracts:
        names: dict[bytes, str] = {
            contracts.escrow.contract: "the escrow",
            contracts.default_token(): "the token",
        }
        device: Wallet = Device(chain.accounts["client"], names)
        owner = Account(contracts, device)
        relayer = Account(contracts, chain.accounts["operator"])

        owner.deposit("5")  # an approval, and the deposit
        signed = owner.sign_withdrawal()  # a message: somebody else pays the gas
        before = owner.wallet()
        relayer.relay(signed)
        print("withdrawn", owner.wallet() - before)


if __name__ == "__main__":
    main()
