"""`honorarium balance`, `deposit`, `withdraw`: what the escrow owes an account."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from honorarium.chain import Account, Contracts
from honorarium.chain.deploy import shown
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    DeskUrl,
    KeyEnv,
    Keystore,
    ManifestFile,
    Rpc,
    TokenName,
    account_of,
    connected,
    once,
    show,
    signer,
    token_of,
)
from honorarium.errors import InputError, ZeroAmount
from honorarium.ids import ZERO_ADDRESS, Address
from honorarium.money import Token


class NothingOwed(InputError):
    """A balance that is empty, of which everything is to be paid out."""

    def __init__(self, account: Address, token: Token) -> None:
        self.account, self.token = account, token
        super().__init__(
            f"the escrow owes {shown(account)} no {token.symbol}: what is earned is there once it "
            "is settled or closed; another token is named by --token"
        )


AmountText = Annotated[str, typer.Argument(metavar="AMOUNT", help="In whole tokens: 12.50")]


def balance(
    account: Annotated[
        str | None,
        typer.Argument(metavar="[ACCOUNT]", help="Whose (default: the key's account)."),
    ] = None,
    token: TokenName = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Show what the escrow owes an account, and what is in its wallet.

    Example: honorarium balance 0x... --token coin
    """
    with connected(rpc, manifest, desk) as contracts:
        who = account_of(account) if account else signer(keystore, key_env).address
        where = token_of(token)
        known = contracts.token(where)
        show(
            as_json,
            {
                "account": who,
                "withdrawable": contracts.balance(known.address, who),
                "wallet": contracts.wallet(known.address, who),
                "gas_money": contracts.wallet(ZERO_ADDRESS, who),
            },
        )


def deposit(
    amount: AmountText,
    token: TokenName = None,
    pay: Annotated[
        Literal["wallet", "permit", "authorization"] | None,
        typer.Option(help="How the wallet pays (default: wallet; at a desk authorization)."),
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Fill the balance in the escrow, to open sessions from it for less gas.

    Interrupted, the same command goes on where it was, and pays once.

    Example: honorarium deposit 100
    """
    with connected(rpc, manifest, desk) as contracts:
        account = Account(contracts, signer(keystore, key_env))
        given = _known(contracts, token).amount(amount)
        what = ("deposit", given.token.address, given.base_units)
        with once(contracts, account.address, *what) as this:
            receipt = account.deposit(given, pay=pay, idempotency_key=this.key)
        left = account.balance(given.token.address)
        facts = {"deposited": given, "balance": left, "transaction": receipt.tx_hash}
        show(as_json, {**facts, **this.note})


def withdraw(
    amount: Annotated[
        str | None,
        typer.Argument(metavar="[AMOUNT]", help="In whole tokens (default: everything)."),
    ] = None,
    token: TokenName = None,
    to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to (default: your own wallet).")
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Take out what the escrow owes you: fees that you earned, deposits that came back.

    Interrupted, the same command goes on where it was.

    Example: honorarium withdraw --keystore advisor.json
    """
    with connected(rpc, manifest, desk) as contracts:
        account = Account(contracts, signer(keystore, key_env))
        known = _known(contracts, token)
        wanted = known.amount(amount) if amount is not None else None
        target = account_of(to) if to else account.address
        much = "all" if wanted is None else wanted.base_units
        with once(contracts, account.address, "withdraw", known.address, target, much) as this:
            try:
                paid = account.withdraw(known.address, wanted, target, idempotency_key=this.key)
            except ZeroAmount:
                if wanted is not None:
                    raise
                raise NothingOwed(account.address, known) from None
        facts = {
            "withdrawn": paid,
            "left": account.balance(known.address),
            "wallet": account.wallet(known.address),
        }
        show(as_json, {**facts, **this.note})


def _known(contracts: Contracts, token: str | None) -> Token:
    return contracts.token(token_of(token))
