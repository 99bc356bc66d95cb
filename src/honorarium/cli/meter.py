"""`honorarium meter`: the client's meter, live."""

from __future__ import annotations

import json
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from honorarium.chain import Contracts
from honorarium.cli.common import (
    LOCAL_NODE,
    AsJson,
    DeskUrl,
    ManifestFile,
    Rpc,
    SessionName,
    connected,
    meter_file,
    meter_key,
    session_terms,
    span,
    visible,
)
from honorarium.cli.quotes import words
from honorarium.client import (
    AdvisorSilent,
    FundsLow,
    FundsSpent,
    Held,
    LiveMeter,
    Meter,
    Notice,
    NotMetered,
    OpenSession,
    Resumed,
    Stopped,
)
from honorarium.errors import ChainError, InputError, SessionNotOpen
from honorarium.ids import SessionId
from honorarium.money import Token
from honorarium.protocol import PATIENCE, EntryKind, Status
from honorarium.protocol.documents import write_voucher
from honorarium.protocol.moments import ClockWentBack
from honorarium.remote import Desk

EVERY: Final = 0.25  # seconds between looks at the clock
CLOCK_STEP: Final = 5  # seconds that the clock may go back without a word
CHAIN_EVERY: Final = 3.0  # seconds between looks at the chain, for top-ups and endings


@dataclass
class _Running:
    """A meter at work, and what is to be seen of it."""

    contracts: Contracts
    meter: Meter
    line: LiveMeter | None  # to a desk
    session_id: SessionId
    token: Token
    ahead: int  # seconds by which the chain's clock is ahead of this machine's
    out: Path
    said: list[str] = field(default_factory=list)
    status: Status = Status.OPEN
    looked: float = 0.0
    latest: int = 0
    trouble: str = ""

    def now(self) -> int:
        """The chain's time, as far as this machine can tell; never back."""
        self.latest = max(self.latest, int(time.time()) + self.ahead)
        return self.latest

    @property
    def last(self) -> EntryKind | None:
        entries = self.meter.journal.entries
        return entries[-1].kind if entries else None

    @property
    def phase(self) -> str:
        if self.status is not Status.OPEN:
            return "closing" if self.status is Status.CLOSING else "closed"
        return {
            None: "waiting for the advisor",
            EntryKind.PAUSED: "paused",
            EntryKind.LEFT: "left",
            EntryKind.CLOSED: "closed",
        }.get(self.last, "running")


def meter(
    session: SessionName,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The last voucher (default: SESSION.voucher.json)."
        ),
    ] = None,
    answered: Annotated[
        bool, typer.Option("--answered", help="The advisor is there: count from now on.")
    ] = False,
    until: Annotated[
        int | None, typer.Option(metavar="SECONDS", min=0, help="End by itself after so long.")
    ] = None,
    rpc: Rpc = LOCAL_NODE,
    desk: DeskUrl = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Run the meter of an open session: count, sign vouchers, and warn before money runs out.

    Keys: a the advisor answered, p pause, r resume, + one more interaction, q end. Every voucher is
    on the disk before it is in FILE; give FILE to the advisor. At a desk vouchers go there, and it
    counts once the advisor answers. Ended or interrupted, the same command goes on where it was:
    the meter keeps a file of its own. With --json a line per event.

    Example: honorarium meter 0x... --answered
    """
    with connected(rpc, manifest, desk) as contracts:
        terms = session_terms(contracts, session)
        session_id = terms.session_id(contracts.escrow)
        held = contracts.session(session_id)
        if held.status is not Status.OPEN:
            raise SessionNotOpen(session_id)
        made = Meter(
            terms,
            contracts.escrow,
            meter_key(),
            held.deposit,
            path=meter_file(session_id),
            # Without a desk vouchers travel as files, and nothing comes back.
            patience=PATIENCE if isinstance(contracts, Desk) else None,
            acknowledged_by=contracts.acknowledger(terms),
        )
        line: LiveMeter | None = None
        try:
            target = out or Path(f"{session_id.hex()[:16]}.voucher.json")
            token = contracts.token(terms.token)
            ahead = max(0, contracts.now() - int(time.time()))
            if isinstance(contracts, Desk):
                own = OpenSession(session_id, terms, held.opened_at, made)
                line = LiveMeter(contracts, own).__enter__()
            running = _Running(contracts, made, line, session_id, token, ahead, target)
            if answered and running.last is None:
                made.answer(running.now())
            ends = time.monotonic() + until if until is not None else None
            if as_json or not sys.stdin.isatty():
                _plainly(running, ends, as_json)
            else:
                _live(running, ends)
            _end(running, as_json)
        finally:
            if line is not None:
                line.close()
            made.release()


def _live(running: _Running, ends: float | None) -> None:
    with _keys() as pressed, Live(_panel(running), refresh_per_second=4) as screen:
        while _go_on(running, ends):
            key = pressed()
            if key == "q":
                return
            _press(running, key)
            _step(running)
            screen.update(_panel(running))


def _plainly(running: _Running, ends: float | None, as_json: bool) -> None:
    """For programs: a line whenever something is new."""
    before, told = "", (0, "")
    with suppress(KeyboardInterrupt):
        while _go_on(running, ends):
            _step(running)
            facts = _facts(running)
            line = (
                json.dumps(facts)
                if as_json
                else f"{_many(int(str(facts['units'])))}, {facts['fee']}"
            )
            if line != before:
                typer.echo(line)
                before = line
            if not as_json:
                told = _tell(running, told)
            time.sleep(EVERY)


def _tell(running: _Running, told: tuple[int, str]) -> tuple[int, str]:
    """What happened since, on stderr; what is told by now."""
    count, trouble = told
    for said in running.said[count:]:
        typer.echo("! " + said, err=True)
    if running.trouble != trouble:
        now = f"! {visible(running.trouble)}" if running.trouble else "! the desk answers again"
        typer.echo(now, err=True)
    return len(running.said), running.trouble


def _go_on(running: _Running, ends: float | None) -> bool:
    if ends is not None and time.monotonic() >= ends:
        return False
    return running.status is Status.OPEN


def _step(running: _Running) -> None:
    """One look at clock and chain."""
    if time.monotonic() - running.looked > CHAIN_EVERY:
        running.looked = time.monotonic()
        try:
            held = running.contracts.session(running.session_id)
            running.status, running.trouble = held.status, ""
            if held.deposit > running.meter.deposit:
                running.meter.deposit = held.deposit
                running.said.append(f"topped up: {running.token.amount(held.deposit)}")
            if held.status is not Status.OPEN and running.last not in (None, EntryKind.LEFT):
                running.meter.leave(held.closing_at or held.closed_at or running.now())
        except ChainError as error:
            running.trouble = str(error)  # the meter needs no node to count
    if running.line is not None and running.line.trouble is not None:
        running.trouble = str(running.line.trouble)
    try:
        tick = (running.line or running.meter).tick(running.now())
    except ClockWentBack as error:
        # A restart reckons the chain's clock anew, to the second.
        if error.seen - error.given > CLOCK_STEP:
            raise
        return
    running.said += [said for notice in tick.notices if (said := _said(notice))]
    if tick.voucher is not None:
        _write(running)


def _press(running: _Running, key: str) -> None:
    acts: dict[str, Callable[[], None]] = {
        "a": lambda: running.meter.answer(running.now()),
        "p": lambda: running.meter.pause(running.now()),
        "r": lambda: running.meter.resume(running.now()),
        "+": lambda: running.meter.count(1),
    }
    if key in acts:
        try:
            acts[key]()
        except InputError as error:
            running.said.append(str(error))


def _write(running: _Running) -> None:
    """The last reading, in a file that is never half written."""
    with suppress(NotMetered):
        voucher = running.meter.read(running.now())
        entries = running.meter.journal.entries
        text = write_voucher(voucher, running.session_id, running.contracts.escrow, entries)
        draft = running.out.with_name(running.out.name + ".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(running.out)


def _end(running: _Running, as_json: bool) -> None:
    _write(running)
    if running.line is not None:
        running.line.again()
    facts = _facts(running)
    if as_json:
        typer.echo(json.dumps({**facts, "ended": True, "voucher": str(running.out)}))
        return
    signed = running.meter.signed_units
    if not signed:
        where = ", and nothing is due"
    elif running.line is None:
        where = f"; the advisor closes with {running.out}"
    elif running.line.trouble is None:
        where = "; the desk has the voucher, and the advisor may close"
    else:
        where = (
            f"; the desk has not all of it: go on later, or the advisor closes with {running.out}"
        )
    typer.echo(f"{_many(signed)} signed, {facts['fee']}{where}")


def _many(units: int) -> str:
    return f"{units:,} {'unit' if units == 1 else 'units'}"


def _facts(running: _Running) -> dict[str, object]:
    meter = running.meter
    units = meter.units(running.now())
    fee = meter.terms.tariff.fee(units, meter.deposit)
    return {
        "session": "0x" + running.session_id.hex(),
        "phase": running.phase,
        "units": units,
        "signed": meter.signed_units,
        "funded": meter.funded_units,
        "fee": str(running.token.amount(fee)),
        "trouble": running.trouble or None,
        "left": str(running.token.amount(meter.deposit - fee)),
        "notices": list(running.said),
    }


def _said(notice: Notice) -> str:
    match notice:
        case FundsLow(units, funded):
            return f"80 % used: {units:,} of {funded:,} units; top up or come to an end"
        case FundsSpent(units, funded):
            return f"the last funded unit has begun: {units:,} of {funded:,}"
        case Stopped(_, units, by):
            return f"stopped at {units:,} units by {by.value}"
        case AdvisorSilent(_, units):
            return f"the advisor is silent; {units:,} units are signed and not acknowledged"
        case Held():
            return "nobody looked at the meter for a while, so it held: this time does not count"
        case Resumed():
            return "the meter counts again"


# ---------------------------------------------------------------------- the screen


def _panel(running: _Running) -> Panel:
    meter, facts = running.meter, _facts(running)
    units, funded = int(str(facts["units"])), max(1, meter.funded_units)
    used = units / funded
    colour = "green" if used < 0.8 else "yellow" if used < 1 else "red"
    numbers = Table.grid(padding=(0, 3), expand=True)
    for _ in range(4):
        numbers.add_column(justify="center")
    big = [f"{units:,}", facts["fee"], facts["left"], _elapsed(running)]
    numbers.add_row(*(Text(str(each), style="bold") for each in big))
    numbers.add_row(
        *(Text(each, style="dim") for each in ("units", "fee", "deposit left", "since the answer"))
    )
    bar = Table.grid(expand=True)  # the bar alone ends no line
    bar.add_row(ProgressBar(total=funded, completed=min(units, funded), complete_style=colour))
    lines: list[RenderableType] = [
        Text(words(meter.terms.tariff, running.token), style="dim", justify="center"),
        Text(""),
        numbers,
        Text(""),
        bar,
        Text(f"{units:,} of {funded:,} funded units, {meter.signed_units:,} signed", style="dim"),
    ]
    lines += [Text("! " + said, style="yellow") for said in running.said[-3:]]
    if running.trouble:
        lines.append(Text("! " + visible(running.trouble), style="red"))
    keys = "a answered" if running.last is None else "p pause  r resume"
    counts = "" if meter.terms.tariff.unit_seconds else "  + count"
    return Panel(
        Group(*lines),
        title=f"session 0x{running.session_id.hex()[:8]}... [bold]{running.phase}[/]",
        subtitle=f"{keys}{counts}  q end",
        width=min(76, Console().width),
        border_style=colour if running.phase == "running" else "dim",
    )


def _elapsed(running: _Running) -> str:
    entries = running.meter.journal.entries
    answered = next((entry.at for entry in entries if entry.kind is EntryKind.ANSWERED), None)
    return "-" if answered is None else span(max(0, running.now() - answered))


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Single keys, without Enter: what was pressed within a moment, or nothing."""
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)

        def pressed() -> str:
            ready, _, _ = select.select([sys.stdin], [], [], EVERY)
            return sys.stdin.read(1).lower() if ready else ""

        with suppress(KeyboardInterrupt):
            yield pressed
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
