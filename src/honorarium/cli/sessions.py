"""`honorarium open`, `topup`, `settle`, `close`, `leave`, `finalize`: the life of a session."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from honorarium.advisor import Advisor, Earned
from honorarium.chain import Account, Contracts, Payment, Relayable, calls
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    DeskUrl,
    KeyEnv,
    Keystore,
    ManifestFile,
    Rpc,
    SessionName,
    alone,
    connected,
    document,
    meter_key,
    moment,
    once,
    quote_file,
    session_terms,
    show,
    signer,
    waiting,
)
from honorarium.cli.quotes import terms_shown
from honorarium.client import Client
from honorarium.errors import InputError, JournalChanged
from honorarium.protocol import SignedVoucher, Terms
from honorarium.protocol.documents import read_voucher
from honorarium.protocol.journal import head_of
from honorarium.remote import Desk
from honorarium.remote.routes import Handing, handing

Pay = Annotated[
    Payment | None,
    typer.Option(
        help="From the wallet (by approval, permit or authorization), or from the balance "
        "(default: wallet; at a desk authorization)."
    ),
]
SignOnly = Annotated[
    bool,
    typer.Option("--sign", help="Only sign, and print what to POST to a desk; nothing is sent."),
]
VoucherFile = Annotated[
    Path | None,
    typer.Option("--voucher", metavar="FILE", help="The client's last voucher."),
]

ALREADY: Final = "it was open already with this deposit, and nothing was paid; `topup` raises it"


def open_session(
    quote: Annotated[Path, typer.Argument(metavar="QUOTE", help="The file of the quote.")],
    deposit: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="In whole tokens (default: what all units cost)."),
    ] = None,
    pay: Pay = None,
    sign: SignOnly = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; without a terminal nobody is asked.")
    ] = False,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Open a session of a quote, as its client, and put the deposit into the escrow.

    On a terminal the terms are shown first, and you are asked. What is not earned comes back.
    Interrupted, the same command goes on where it was and pays once.

    Example: honorarium open quote.json --deposit 90
    """
    with connected(rpc, manifest, desk) as contracts:
        client = Client(contracts, signer(keystore, key_env), meter_key())
        offer = quote_file(quote, contracts.escrow)
        token = contracts.token(offer.terms.token)
        amount = token.amount(offer.terms.whole_deposit() if deposit is None else deposit)
        asked = not yes and not as_json and sys.stdin.isatty()
        if asked:
            show(False, {"deposit": amount, **terms_shown(offer.terms, token)})
            if not typer.confirm(f"Put {amount} into the escrow on these terms?"):
                typer.echo("nothing was sent")
                raise typer.Exit(2)
        if sign:
            way: Payment = pay or "authorization"
            _show_signed(contracts, client.sign_opening(offer, amount, pay=way))
            return
        with alone(contracts, client.address):
            session = client.open(offer, amount, pay=pay)
        show(
            as_json,
            {
                "session": session.id,
                "deposit": token.amount(session.meter.deposit),
                "opened_at": moment(session.opened_at),
                **({} if asked else terms_shown(offer.terms, token)),
                "note": ALREADY if session.meter.deposit != amount.base_units else None,
                "next": f"honorarium meter 0x{session.id.hex()}",
            },
        )


def topup(
    session: SessionName,
    deposit: Annotated[
        str, typer.Argument(metavar="DEPOSIT", help="The whole new deposit, in whole tokens.")
    ],
    pay: Pay = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Raise the deposit of a session that runs. A running `honorarium meter` notices by itself.

    Example: honorarium topup 0x... 180
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        client = Client(contracts, signer(keystore, key_env))
        session_id = terms.session_id(contracts.escrow)
        whole = contracts.token(terms.token).amount(deposit)
        with once(contracts, client.address, "topup", session_id, whole.base_units) as this:
            raised = client.top_up(terms, whole, pay=pay, idempotency_key=this.key)
        show(as_json, {"session": session_id, "deposit": raised, **this.note})


def settle(
    session: SessionName,
    voucher: VoucherFile = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Take what a voucher proves; the session goes on. Anybody with the voucher may.

    At a desk its advisor needs none: the best one that the desk has is taken.

    Example: honorarium settle 0x... --voucher voucher.json
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        advisor = Advisor(contracts, signer(keystore, key_env))
        reading = _best(contracts, terms, voucher, advisor)
        if reading is None:
            raise InputError(
                f"there is no voucher to settle 0x{terms.session_id(contracts.escrow).hex()} by: "
                "name the client's last one by --voucher; only a desk keeps them by itself"
            )
        with waiting("the chain"):
            earned = advisor.settle(terms, reading)
        _show_earned(as_json, contracts, terms, earned)


def close(
    session: SessionName,
    voucher: VoucherFile = None,
    sign: SignOnly = False,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """End a session, as its advisor: take what the last voucher proves, and give back the rest.

    Without a voucher nothing more is earned than was settled before; at a desk the best voucher
    that it has is taken.

    Example: honorarium close 0x... --voucher voucher.json --keystore advisor.json
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        advisor = Advisor(contracts, signer(keystore, key_env))
        reading = _best(contracts, terms, voucher, advisor)
        if sign:
            row = advisor.sign_closing(terms, reading)
            data = calls.close_for(row)
            _show_signed(contracts, Relayable("close", contracts.escrow.contract, data))
            return
        with waiting("the chain"):
            earned = advisor.close(terms, reading)
        _show_earned(as_json, contracts, terms, earned)


def leave(
    session: SessionName,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Ask to end a session without the advisor: as its client or its payer.

    From this moment on no more time is billed. The advisor has the grace period to settle; after it
    anybody may `honorarium finalize`, and the rest of the deposit comes back.

    Example: honorarium leave 0x...
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        with waiting("the chain"):
            ends = Client(contracts, signer(keystore, key_env)).leave(terms)
        session_id = terms.session_id(contracts.escrow)
        show(
            as_json,
            {
                "session": session_id,
                "grace_ends": moment(ends),
                "next": f"honorarium finalize 0x{session_id.hex()}",
            },
        )


def finalize(
    session: SessionName,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """End a session whose grace period is over. Anybody may; the money goes to its parties.

    Example: honorarium finalize 0x...
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        receipt = Account(contracts, signer(keystore, key_env)).finalize(terms)
        held = contracts.session(terms.session_id(contracts.escrow))
        token = contracts.token(terms.token)
        show(
            as_json,
            {
                "session": terms.session_id(contracts.escrow),
                "earned": token.amount(held.earned),
                "refunded": token.amount(held.deposit - held.earned),
                "transaction": receipt.tx_hash,
            },
        )


def _show_signed(contracts: Contracts, signed: Relayable) -> None:
    """The body of the request by which a desk takes it."""
    where = handing(signed, contracts.escrow)
    assert isinstance(where, Handing)
    typer.echo(json.dumps(where.body))


def _best(
    contracts: Contracts, terms: Terms, path: Path | None, advisor: Advisor
) -> SignedVoucher | None:
    """The voucher in the file, or the best that the desk has."""
    if path is not None:
        return _voucher(contracts, terms, path)
    return contracts.voucher(terms, advisor.core.signer) if isinstance(contracts, Desk) else None


def _voucher(contracts: Contracts, terms: Terms, path: Path) -> SignedVoucher:
    """The voucher in a file, its signature and its journal checked for this session."""
    found = read_voucher(document(path))
    found.voucher.verify(terms, contracts.escrow)
    if found.entries:
        head = head_of(found.session_id, found.entries)
        if head != found.voucher.journal:
            raise JournalChanged(found.voucher.journal, head, len(found.entries))
    return found.voucher


def _show_earned(as_json: bool, contracts: Contracts, terms: Terms, earned: Earned) -> None:
    held = contracts.session(terms.session_id(contracts.escrow))
    share = earned.earned.base_units * terms.fee_bps // 10_000
    token = earned.earned.token
    show(
        as_json,
        {
            "session": terms.session_id(contracts.escrow),
            "status": held.status.name.lower(),
            "units": earned.units,
            "fee": earned.earned,
            "platform": token.amount(share) if share else None,
            "yours": earned.earned - token.amount(share),
            "withdrawable": contracts.balance(terms.token, terms.advisor),
            "transaction": earned.tx_hash,
            "gas": earned.gas_used,
        },
    )
