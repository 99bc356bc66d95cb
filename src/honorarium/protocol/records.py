"""Entries, readings and sessions as objects of JSON, as meters and books write them down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from honorarium.errors import InputError
from honorarium.ids import Address, Hash
from honorarium.protocol.journal import Entry, EntryKind
from honorarium.protocol.keys import Signature
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.units import UnixTime

_KINDS: Final = {kind.text: kind for kind in EntryKind}


class OtherSession(InputError):
    """A file of another session. `what`: chain, contract, domain or terms."""

    def __init__(self, file: str, what: str, expected: object, found: object) -> None:
        self.file, self.what, self.expected, self.found = file, what, expected, found
        super().__init__(
            f"{file} is of another session: its {what} is {found}, not {expected}; give every "
            "session a file of its own"
        )


def entry_record(entry: Entry) -> dict[str, Any]:
    """The entry as it stands in files: at, kind, note."""
    return {"at": entry.at, "kind": entry.kind.text, "note": "0x" + entry.note.hex()}


def read_entry(found: Mapping[str, Any]) -> Entry:
    """What `entry_record` wrote. Raises ValueError, KeyError, JournalRefused."""
    return Entry(UnixTime(found["at"]), _KINDS[found["kind"]], Hash(read_bytes(found["note"], 32)))


def reading_record(units: int, journal: Hash, signature: Signature | None = None) -> dict[str, Any]:
    """A reading, and its signature if that has to be kept."""
    record: dict[str, Any] = {"units": units, "journal": "0x" + journal.hex()}
    if signature is not None:
        record["signature"] = "0x" + signature.to_bytes().hex()
    return record


def read_signature(found: object) -> Signature:
    """A signature of 65 bytes. Raises ValueError, BadSignature."""
    return Signature.from_bytes(read_bytes(found, 65))


def session_record(terms: Terms, domain: Domain) -> dict[str, Any]:
    """Which session a file is of: its id, its contract and chain, its packed terms."""
    return {
        "session": "0x" + terms.session_id(domain).hex(),
        "chainId": domain.chain_id,
        "contract": "0x" + domain.contract.hex(),
        "domain": [domain.name, domain.version],
        "terms": ["0x" + word.hex() for word in terms.pack()],
    }


def read_session(found: Mapping[str, Any]) -> tuple[Terms, Domain]:
    """What `session_record` wrote. Raises ValueError, also if the id is not that of the terms."""
    name, version = found["domain"]
    domain = Domain(found["chainId"], Address(read_bytes(found["contract"], 20)), name, version)
    terms = Terms.unpack([read_bytes(word, 32) for word in found["terms"]])
    if terms.session_id(domain) != read_bytes(found["session"], 32):
        raise ValueError("its session is not the one of its terms, contract and chain")
    return terms, domain


def check_session(file: str, found: Mapping[str, Any], terms: Terms, domain: Domain) -> None:
    """Raises OtherSession unless a `session_record` is of these terms, contract and chain."""
    theirs, where = read_session(found)
    for what, expected, given in (
        ("chain", domain.chain_id, where.chain_id),
        ("contract", "0x" + domain.contract.hex(), "0x" + where.contract.hex()),
        ("domain", (domain.name, domain.version), (where.name, where.version)),
        ("terms", terms, theirs),
    ):
        if expected != given:
            raise OtherSession(file, what, expected, given)


def read_bytes(text: object, length: int) -> bytes:
    """So many bytes as 0x and lower-case hex. Raises ValueError."""
    if isinstance(text, str) and re.fullmatch(f"0x[0-9a-f]{{{2 * length}}}", text):
        return bytes.fromhex(text[2:])
    raise ValueError(f"{text!r} is not 0x and {2 * length} lower-case hex digits")
