"""What commands share: options, the way to the chain and the keys, and how results are shown."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from honorarium.chain import Contracts, KeyUnusable, OutboxUnusable, state_folder
from honorarium.chain.deploy import shown
from honorarium.cli.secrets import read_key
from honorarium.errors import InputError
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.money import Amount, Token
from honorarium.protocol import Domain, Key, Quote, SessionOpened, Terms
from honorarium.protocol.documents import read_quote
from honorarium.remote import Desk

LONGEST_DOCUMENT: Final = 2**24  # bytes

LONG: Final = 2.0
"""So many seconds somebody waits without a word."""

LOCAL_NODE: Final = "http://127.0.0.1:8545"

Rpc = Annotated[
    str,
    typer.Option("--rpc", envvar="HONORARIUM_RPC", metavar="URL", help="The node of the chain."),
]
DeskUrl = Annotated[
    str | None,
    typer.Option(
        "--desk",
        envvar="HONORARIUM_DESK",
        metavar="URL",
        help="Work through this desk, without a node and without gas.",
    ),
]
ManifestFile = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        envvar="HONORARIUM_MANIFEST",
        metavar="FILE",
        help="Which contracts (default: deployments/ for this chain, else where they always are).",
    ),
]
Keystore = Annotated[
    Path | None,
    typer.Option(
        "--keystore",
        envvar="HONORARIUM_KEYSTORE",
        metavar="FILE",
        help="The account's encrypted key file (default: the key in --key-env).",
    ),
]
KeyEnv = Annotated[
    str,
    typer.Option(
        "--key-env", metavar="NAME", help="The environment variable with the account's key."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON, for programs.")]
SessionName = Annotated[
    str,
    typer.Argument(metavar="SESSION", help="The session's id, or the file of its quote."),
]
TokenName = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="ADDRESS",
        help="A token's address, or `coin` for the chain's own (default: the test token).",
    ),
]


class NotAnAddress(InputError):
    """Text that names no account."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(
            f"{given!r} is no address: it has 0x and 40 hexadecimal digits, and where it mixes "
            "capitals they are its checksum (EIP-55); copy it whole"
        )


class FileInTheWay(InputError):
    """A file that is there already, where a quote was to go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} is there already, and may be the only copy of another quote; nothing was "
            "asked for: move it away, or name another file"
        )


class SessionNotFound(InputError):
    """Text that names no session of this deployment."""

    def __init__(self, given: str, reason: str) -> None:
        self.given, self.reason = given, reason
        super().__init__(
            f"{given!r} names no session here: {reason}; give its id (0x and 64 hexadecimal "
            "digits, as `honorarium open` shows it) or the file of its quote"
        )


GOES_ON: Final = "an earlier command had begun this and was interrupted; it was done once"


@dataclass(frozen=True, slots=True)
class Once:
    """An idempotency key, and what is to be shown if it was used before."""

    key: str
    note: Mapping[str, str]


@contextmanager
def connected(rpc: str, manifest: Path | None, desk: str | None = None) -> Iterator[Contracts]:
    """The contracts at a node, or through a desk, for as long as a command runs."""
    if desk is not None:
        with Desk.connect(desk, manifest=manifest) as contracts:
            yield contracts
    else:
        with Contracts.connect(rpc, manifest=manifest) as contracts:
            yield contracts


def signer(keystore: Path | None, key_env: str) -> Key:
    """The account's key. Raises KeyUnusable."""
    return read_key(key_env, keystore)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says to whoever looks on what is waited for, once that takes longer than two seconds."""
    if not sys.stderr.isatty():
        yield
        return
    late = threading.Timer(LONG, lambda: typer.echo(f"waiting for {what} ...", err=True))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


@contextmanager
def alone(contracts: Contracts, account: Address) -> Iterator[None]:
    """One command at a time moves an account's money: approvals are of exactly one amount, and
    what looks interrupted would else be another command at work.
    """
    file = contracts.outbox(account).path
    assert file is not None
    try:
        handle = os.open(
            file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError as error:
        raise OutboxUnusable(file, str(error)) from None
    try:
        with waiting("the chain"):
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    finally:
        os.close(handle)


@contextmanager
def once(contracts: Contracts, account: Address, *action: object) -> Iterator[Once]:
    """For what may be meant more than once: a command that was interrupted, given again, goes on
    where it was, and does it once.
    """
    with alone(contracts, account):
        named = "command " + " ".join(str(plain(each)) for each in action)
        if isinstance(contracts, Desk):
            key, begun = contracts.purpose(account, named)
        else:
            outbox = contracts.outbox(account)
            key = outbox.purpose(named)
            begun = outbox.of_purpose(key) is not None
        yield Once(key, {"note": GOES_ON} if begun else {})


def account_of(text: str) -> Address:
    """An address, its checksum checked if it has one. Raises NotAnAddress."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise NotAnAddress(text)
    address = Address(bytes.fromhex(text[2:]))
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and shown(address) != text:
        raise NotAnAddress(text)
    return address


def token_of(text: str | None) -> Address | None:
    """A token's address; `coin` is the chain's own; None: the test token."""
    if text is None:
        return None
    return ZERO_ADDRESS if text == "coin" else account_of(text)


def must_be_free(path: Path | None) -> None:
    """Raises FileInTheWay: what somebody agreed to is not written over."""
    if path is not None and path.is_file():
        raise FileInTheWay(path)


def document(path: Path) -> str:
    """The text of a file that somebody sent. Raises InputError."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_DOCUMENT + 1)
        if len(data) > LONGEST_DOCUMENT:
            raise InputError(f"{path} is longer than any file of its kind; ask for it once more")
        return data.decode("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be read: {reason}; check its name and folder") from None
    except UnicodeDecodeError:
        why = "it is another kind of file, or damaged"
        raise InputError(f"{path} is no text: {why}; ask for it again") from None


def quote_file(path: Path, escrow: Domain) -> Quote:
    """The quote in a file, for this deployment. Raises DocumentUnreadable, SessionNotFound."""
    quote, domain = read_quote(document(path))
    if domain != escrow:
        raise SessionNotFound(
            str(path),
            f"it is for chain {domain.chain_id} and contract {shown(domain.contract)}, and this is "
            f"chain {escrow.chain_id} and {shown(escrow.contract)}",
        )
    return quote


def session_terms(contracts: Contracts, name: str) -> Terms:
    """The terms of a session: out of its quote's file, or out of the chain's log.

    Raises SessionNotFound, DocumentUnreadable.
    """
    if not is_session_id(name) and Path(name).is_file():
        return quote_file(Path(name), contracts.escrow).terms
    return opened(contracts, session_id_of(name)).terms


def is_session_id(name: str) -> bool:
    """Whether it is an id; then it is no file, even if one lies here under that name."""
    return re.fullmatch(r"0x[0-9a-fA-F]{64}", name) is not None


def session_id_of(name: str) -> SessionId:
    """Raises SessionNotFound."""
    if not is_session_id(name):
        raise SessionNotFound(name, "it is no such file, and no id")
    return SessionId(bytes.fromhex(name[2:]))


def opened(contracts: Contracts, session_id: SessionId) -> SessionOpened:
    """How a session began. Raises SessionNotFound."""
    for record in contracts.history(session_id):
        # Whatever the node says: the id is the hash of the terms.
        event, escrow = record.event, contracts.escrow
        if isinstance(event, SessionOpened) and event.terms.session_id(escrow) == session_id:
            return event
    raise SessionNotFound("0x" + session_id.hex(), "the log tells of no such session")


def meter_key() -> Key:
    """The meter key of this machine: made at first use, and kept where only its owner may read it.

    It is a session key: it counts units up to the deposit, and can do nothing else.
    """
    path = state_folder() / "meter.key"
    if named := os.environ.get("HONORARIUM_METER_KEY"):
        try:
            return Key.from_bytes(bytes.fromhex(named.removeprefix("0x")))
        except ValueError:
            raise InputError(
                "HONORARIUM_METER_KEY is no private key of 64 hexadecimal digits"
            ) from None
    try:
        return _kept_meter_key(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KeyUnusable(str(path), error.strerror or str(error)) from None
    # A name of its own: what a crash left behind is in nobody's way.
    fresh = path.with_name(f"meter.key.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(Key.generate().secret().hex().encode())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(fresh, path)  # whoever is first wins; nobody overwrites
        finally:
            fresh.unlink(missing_ok=True)
        return _kept_meter_key(path)
    except OSError as error:
        raise KeyUnusable(str(path), error.strerror or str(error)) from None


def _kept_meter_key(path: Path) -> Key:
    """Raises KeyUnusable, also if somebody else may know the key: they could sign units."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found, text = os.fstat(file.fileno()), file.read(100)
    if found.st_uid != os.geteuid():
        raise KeyUnusable(str(path), "another user owns it; move it away, and a new one is made")
    if found.st_mode & 0o077:
        raise KeyUnusable(
            str(path), f"others may read or change it; if nobody did, `chmod 600 {path}`"
        )
    try:
        return Key.from_bytes(bytes.fromhex(text.decode().strip()))
    except ValueError:
        raise KeyUnusable(
            str(path), "it holds no private key of 64 hexadecimal digits; put the old one back"
        ) from None


def meter_file(session_id: SessionId) -> Path:
    """Where this machine keeps the meter of a session."""
    folder = state_folder() / "meters"
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder / f"{session_id.hex()}.jsonl"


# ---------------------------------------------------------------------- results


def show(as_json: bool, facts: Mapping[str, Any]) -> None:
    """One result, as JSON or in two columns."""
    if as_json:
        typer.echo(json.dumps(facts, indent=2, default=plain))
        return
    lines = {name.replace("_", " "): human(v) for name, v in facts.items() if v is not None}
    width = max(map(len, lines), default=0)
    console = Console()
    for name, value in lines.items():  # lines, not a table: whoever copies a value gets all of it
        text = escape(visible(value))
        console.print(f"[dim]{name:<{width}}[/]  {text}", highlight=False, soft_wrap=True)


def visible(text: str) -> str:
    """What others wrote, without what would steer a terminal or turn the reading round."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain(value: object) -> Any:
    """A value for JSON: amounts in both forms, bytes as hexadecimal."""
    if isinstance(value, Amount):
        return {
            "base_units": str(value.base_units),
            "amount": value.text,
            "symbol": value.token.symbol,
            "token": shown(value.token.address),
        }
    if isinstance(value, bytes):
        return shown(Address(value)) if len(value) == 20 else "0x" + value.hex()
    if isinstance(value, Token):
        return {
            "address": shown(value.address),
            "symbol": value.symbol,
            "decimals": value.decimals,
        }
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def human(value: object) -> str:
    """A value for people."""
    if isinstance(value, bytes):
        return shown(Address(value)) if len(value) == 20 else "0x" + value.hex()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, Token) and not value.is_coin:
        return f"{value.symbol} at {shown(value.address)}"
    return str(value)


def moment(time: int) -> datetime | None:
    """A time of the chain; None for 0, not yet."""
    return datetime.fromtimestamp(time, UTC) if time else None


def span(seconds: int) -> str:
    """A length of time for people: `1 h 5 min`."""
    if seconds == 0:
        return "0 s"
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)
