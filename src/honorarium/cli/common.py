"""What commands share: options, the way to the chain and the keys, and how results are shown."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from honorarium.chain import Contracts, state_folder
from honorarium.chain.deploy import shown
from honorarium.cli.secrets import read_key
from honorarium.errors import InputError
from honorarium.ids import ZERO_ADDRESS, Address, SessionId
from honorarium.money import Amount, Token
from honorarium.protocol import Domain, Key, Quote, SessionOpened, Terms
from honorarium.protocol.documents import read_quote

LOCAL_NODE: Final = "http://127.0.0.1:8545"

Rpc = Annotated[
    str,
    typer.Option("--rpc", envvar="HONORARIUM_RPC", metavar="URL", help="The node of the chain."),
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


class SessionNotFound(InputError):
    """Text that names no session of this deployment."""

    def __init__(self, given: str, reason: str) -> None:
        self.given, self.reason = given, reason
        super().__init__(
            f"{given!r} names no session here: {reason}; give its id (0x and 64 hexadecimal "
            "digits, as `honorarium open` shows it) or the file of its quote"
        )


@contextmanager
def connected(rpc: str, manifest: Path | None) -> Iterator[Contracts]:
    """The contracts at a node, for as long as a command runs."""
    with Contracts.connect(rpc, manifest=manifest) as contracts:
        yield contracts


def signer(keystore: Path | None, key_env: str) -> Key:
    """The account's key. Raises KeyUnusable."""
    return read_key(key_env, keystore)


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


def quote_file(path: Path, escrow: Domain) -> Quote:
    """The quote in a file, for this deployment. Raises DocumentUnreadable, SessionNotFound."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    quote, domain = read_quote(text)
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
    if Path(name).is_file():
        return quote_file(Path(name), contracts.escrow).terms
    return opened(contracts, session_id_of(name)).terms


def session_id_of(name: str) -> SessionId:
    """Raises SessionNotFound."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", name):
        raise SessionNotFound(name, "it is no such file, and no id")
    return SessionId(bytes.fromhex(name[2:]))


def opened(contracts: Contracts, session_id: SessionId) -> SessionOpened:
    """How a session began. Raises SessionNotFound."""
    for record in contracts.history(session_id):
        if isinstance(record.event, SessionOpened):
            return record.event
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
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"meter.key.{os.getpid()}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(Key.generate().secret().hex().encode())
            os.fsync(file.fileno())
        os.link(fresh, path)  # whoever is first wins; nobody overwrites
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)
    return Key.from_bytes(bytes.fromhex(path.read_text().strip()))


def meter_file(session_id: SessionId) -> Path:
    """Where this machine keeps the meter of a session."""
    folder = state_folder() / "meters"
    folder.mkdir(parents=True, exist_ok=True)
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
        console.print(f"[dim]{name:<{width}}[/]  {escape(value)}", highlight=False, soft_wrap=True)


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
