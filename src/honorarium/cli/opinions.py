"""`honorarium tip`, `rate`, `answer`: what stands beside the bill."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import typer

from honorarium.advisor import Advisor
from honorarium.chain import Payment
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
    connected,
    once,
    session_terms,
    show,
    signer,
)
from honorarium.client import Client
from honorarium.ids import ZERO_HASH, Hash
from honorarium.protocol import note_hash

Words = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="WORDS",
        help="Words of yours: they stay here, the chain gets a commitment to them.",
    ),
]


def tip(
    session: SessionName,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In whole tokens: 5")],
    pay: Annotated[
        Payment | None,
        typer.Option(help="How the wallet pays (default: wallet; at a desk authorization)."),
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Give the advisor of a session something extra, all of it to them.

    Interrupted, the same command goes on where it was, and tips once.

    Example: honorarium tip 0x... 5
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        client = Client(contracts, signer(keystore, key_env))
        session_id = terms.session_id(contracts.escrow)
        gift = contracts.token(terms.token).amount(amount)
        with once(contracts, client.address, "tip", session_id, gift.base_units) as this:
            given = client.tip(terms, gift, pay=pay, idempotency_key=this.key)
        show(as_json, {"tipped": given, "advisor": terms.advisor, **this.note})


def rate(
    session: SessionName,
    score: Annotated[int, typer.Argument(min=1, max=5, help="1 to 5.")],
    text: Words = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Score a closed session, once, within 30 days, as its client.

    Example: honorarium rate 0x... 5 --text "patient, and knew the contract by heart"
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        commitment, kept = _committed(text)
        receipt = Client(contracts, signer(keystore, key_env)).rate(terms, score, commitment)
        tally = contracts.rating(terms.advisor)
        show(
            as_json,
            {
                "score": score,
                "advisor": terms.advisor,
                "their_ratings": f"{tally.count}, {tally.sum / tally.count:.2f} on average",
                **kept,
                "transaction": receipt.tx_hash,
            },
        )


def answer(
    session: SessionName,
    text: Words = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Answer a rating, once, as the advisor.

    Example: honorarium answer 0x... --text "thank you"
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        commitment, kept = _committed(text)
        receipt = Advisor(contracts, signer(keystore, key_env)).answer(terms, commitment)
        show(
            as_json,
            {
                "answered": terms.session_id(contracts.escrow),
                **kept,
                "transaction": receipt.tx_hash,
            },
        )


def _committed(text: str | None) -> tuple[Hash, dict[str, Any]]:
    """A commitment to words, and what to keep of it: without the blind nobody can prove them."""
    if text is None:
        return ZERO_HASH, {}
    blind = Hash(secrets.token_bytes(32))
    commitment = note_hash(text.encode(), blind)
    return commitment, {"commitment": commitment, "text": text, "keep_this_blind": blind}
