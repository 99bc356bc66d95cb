"""`honorarium agent`, `ask`: advisor and client at a desk, before a session."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from honorarium.advisor import Agent, Offer
from honorarium.chain.keystore import KEY_VARIABLE
from honorarium.cli.common import (
    AsJson,
    KeyEnv,
    Keystore,
    ManifestFile,
    TokenName,
    account_of,
    meter_key,
    must_be_free,
    plain,
    show,
    signer,
    token_of,
    visible,
    waiting,
)
from honorarium.cli.quotes import (
    ConnectFee,
    Included,
    MaxUnits,
    PerOption,
    Price,
    StepPrice,
    StepUnits,
    tariff_of,
    terms_shown,
    words,
)
from honorarium.protocol import Terms
from honorarium.protocol.documents import write_quote
from honorarium.remote import Desk, DeskUnreachable
from honorarium.units import Seconds

AtDesk = Annotated[
    str,
    typer.Option("--desk", envvar="HONORARIUM_DESK", metavar="URL", help="The desk's address."),
]
LOCAL_DESK = "http://127.0.0.1:8470"


def agent(
    price: Price,
    name: Annotated[str, typer.Option(help="What clients see.")] = "advisor",
    tariff: Annotated[
        str, typer.Option("--tariff", metavar="NAME", help="What this tariff is called.")
    ] = "standard",
    per: PerOption = "minute",
    connect_fee: ConnectFee = "0",
    included: Included = 0,
    step_units: StepUnits = 0,
    step_price: StepPrice = "0",
    max_units: MaxUnits = 0,
    token: TokenName = None,
    holds: Annotated[int, typer.Option(min=1, help="An offer holds so many seconds.")] = 3600,
    grace: Annotated[
        int, typer.Option(min=1, help="Who leaves waits so many seconds for the advisor.")
    ] = 3600,
    once: Annotated[
        bool, typer.Option("--enrol-only", help="Enrol and set the tariff; sign nothing.")
    ] = False,
    desk: AtDesk = LOCAL_DESK,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Advise at a desk: enrol with a tariff, and sign quotes as clients ask, until Ctrl-C.

    The key stays here. What is signed is this tariff and nothing else.

    Example: honorarium agent --desk http://127.0.0.1:8470 --name Ada --price 1.50 --max-units 60
    """
    over = threading.Event()
    with Desk.connect(desk, manifest=manifest) as place:
        known = place.token(token_of(token))
        made = tariff_of(
            known, price, per, connect_fee, included, step_units, step_price, max_units
        )
        offer = Offer(known.address, made, close_grace=Seconds(grace), holds=Seconds(holds))
        advisor = Agent(place, signer(keystore, key_env), {tariff: offer})
        enrolled = advisor.enrol(name)
        facts = {
            "advisor": advisor.address,
            "name": enrolled.name,
            "tariff": tariff,
            "price": words(made, known),
            "desk": place.facts().name,
        }
        if as_json:
            typer.echo(json.dumps(facts, default=plain))  # a line for each event
        else:
            show(False, facts)
        if once:
            return

        def tell(terms: Terms, declined: str | None) -> None:
            said: dict[str, object] = {"client": terms.client, "declined": declined}
            said["session"] = terms.session_id(place.escrow)
            if as_json:
                typer.echo(json.dumps(said, default=plain))
            else:
                what = f"declined: {declined}" if declined else "signed"
                typer.echo(f"quote for {plain(terms.client)} {what}")

        def line(trouble: DeskUnreachable | None) -> None:
            why = None if trouble is None else visible(trouble.reason)
            if as_json:
                typer.echo(json.dumps({"trouble": why}))
            elif why is None:
                typer.echo("the desk is there again")
            else:
                typer.echo(f"the desk does not answer ({why}); clients wait, and so does this")

        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: over.set())
        advisor.serve(over.is_set, each=tell, line=line)


def ask(
    advisor: Annotated[str, typer.Argument(metavar="ADVISOR", help="The advisor's address.")],
    tariff: Annotated[str, typer.Argument(metavar="TARIFF", help="Its name.")] = "standard",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where the quote goes.")
    ] = None,
    desk: AtDesk = LOCAL_DESK,
    manifest: ManifestFile = None,
    keystore: Keystore = None,
    key_env: KeyEnv = KEY_VARIABLE,
    as_json: AsJson = False,
) -> None:
    """Ask an advisor of a desk for a quote, as its client. Nothing is paid.

    Open it with `honorarium open FILE --desk URL`.

    Example: honorarium ask 0x... standard --desk http://127.0.0.1:8470 -o quote.json
    """
    must_be_free(out)
    with Desk.connect(desk, manifest=manifest) as place:
        client = signer(keystore, key_env).address
        with waiting("the advisor's agent"):
            quote = place.quote(account_of(advisor), tariff, client, meter_key().address)
        text = write_quote(quote, place.escrow)
        if out is not None:
            out.write_text(text, encoding="utf-8")
        if as_json or out is None:
            typer.echo(text.rstrip())
            return
        facts: dict[str, Any] = {"quote": out, "session": quote.session_id(place.escrow)}
        show(False, {**facts, **terms_shown(quote.terms, place.token(quote.terms.token))})
