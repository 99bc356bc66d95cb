"""Papers that somebody kept of a session: quotes, vouchers, journals, files of meters and books.

Every file says itself what it is. Meters and books are read as records, not by those who wrote
them: an audit trusts neither side, and locks nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from honorarium.errors import HonorariumError, InputError
from honorarium.ids import Hash
from honorarium.protocol.documents import read_quote, read_voucher
from honorarium.protocol.journal import Entry, Journal
from honorarium.protocol.records import (
    OtherSession,
    check_session,
    read_bytes,
    read_entry,
    read_signature,
)
from honorarium.protocol.signed import SignedAcknowledgement, SignedVoucher
from honorarium.protocol.terms import Terms
from honorarium.protocol.typed_data import Domain
from honorarium.recordfile import RecordRefused, records_of

LONGEST: Final = 2**26  # bytes
METER: Final = "honorarium meter 1"
BOOK: Final = "honorarium book 1"


class PaperUnreadable(InputError):
    """A file that is no paper of a session."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} is no paper of a session: {reason}; give quotes, vouchers, journals, and the "
            "files of meters and books, as they were written"
        )


@dataclass(frozen=True, slots=True)
class Given:
    """What was kept off the chain. `journals` may end anywhere, and be of either side;
    `equivocation` are vouchers that exclude each other.
    """

    quote: bytes | None = None
    vouchers: tuple[SignedVoucher, ...] = ()
    equivocation: tuple[SignedVoucher, ...] = ()
    journals: tuple[tuple[Entry, ...], ...] = ()
    acknowledgements: tuple[SignedAcknowledgement, ...] = ()

    def __add__(self, other: Given) -> Given:
        return Given(
            self.quote or other.quote,
            self.vouchers + other.vouchers,
            self.equivocation + other.equivocation,
            self.journals + other.journals,
            self.acknowledgements + other.acknowledgements,
        )

    def checked(self, terms: Terms, domain: Domain) -> Given:
        """The same. Raises WrongSignature or BadSignature for a paper that its signer did not sign.

        A quote is not looked at: an advisor may be a contract.
        """
        for voucher in (*self.vouchers, *self.equivocation):
            voucher.verify(terms, domain)
        for accepted in self.acknowledgements:
            accepted.verify(terms, domain)
        return self

    def journal_to(self, terms: Terms, domain: Domain, head: Hash) -> tuple[Entry, ...] | None:
        """The entries that lead to this head; None if no journal that was given does."""
        session_id = terms.session_id(domain)
        for entries in self.journals:
            growing = Journal(session_id)
            for entry in entries:
                if growing.head == head:
                    break
                growing.append(entry)
            if growing.head == head:
                return growing.entries
        return None


def read_given(paths: Iterable[Path], terms: Terms, domain: Domain) -> Given:
    """What these files hold of the session of these terms.

    Raises PaperUnreadable, OtherSession, RecordRefused, DocumentUnreadable, and what `checked`
    raises.
    """
    found = Given()
    for path in paths:
        try:
            found += _read(path, terms, domain)
        except OSError as error:
            raise PaperUnreadable(path, error.strerror or str(error)) from None
        except HonorariumError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise PaperUnreadable(path, what) from None
    return found.checked(terms, domain)


def _read(path: Path, terms: Terms, domain: Domain) -> Given:
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST:,} bytes")
    text = data.decode()
    first = text.partition("\n")[0]
    if first.startswith('{"file":'):
        return _records(path, terms, domain)
    if first.startswith('{"session":'):
        journal = Journal.from_json_lines(text)
        _same(path, "session", terms.session_id(domain), journal.session_id)
        return Given(journals=(journal.entries,))
    kind = json.loads(text).get("kind", "")
    if "quote" in kind:
        quote, where = read_quote(text)
        _same(path, "session", terms.session_id(domain), quote.session_id(where))
        return Given(quote=quote.signature)
    document = read_voucher(text)
    _same(path, "session", terms.session_id(domain), document.session_id)
    _same(path, "contract", domain.contract, document.domain.contract)
    return Given(vouchers=(document.voucher,), journals=(document.entries,))


def _same(path: Path, what: str, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise OtherSession(path.name, what, "0x" + expected.hex(), "0x" + found.hex())


def _records(path: Path, terms: Terms, domain: Domain) -> Given:
    records = records_of(path)
    if not records:
        raise ValueError("it has no whole record")
    header, *records = records
    kind = header.get("file")
    if kind not in (METER, BOOK):
        raise ValueError(f"it says it is a {kind!r}")
    check_session(path.name, header, terms, domain)
    found, entries = Given(), list[Entry]()
    for line, record in enumerate(records, start=2):
        try:
            if kind == METER:
                found = _of_meter(found, entries, record)
            else:
                found = _of_book(found, entries, record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordRefused(path, line, str(error)) from None
    return replace(found, journals=(tuple(entries),))


def _of_meter(found: Given, entries: list[Entry], record: dict[str, Any]) -> Given:
    """A meter writes down what happened and what was acknowledged; its signatures it makes anew."""
    if "entry" in record:
        entries.append(read_entry(record["entry"]))
    if "acknowledgement" in record:
        accepted = SignedAcknowledgement(*_reading(record["acknowledgement"]))
        return replace(found, acknowledgements=(accepted,))  # the last one covers all before
    return found


def _of_book(found: Given, entries: list[Entry], record: dict[str, Any]) -> Given:
    """A book writes down vouchers with the entries behind them, and two that exclude each other."""
    if "voucher" in record:
        entries += map(read_entry, record["entries"])
        return replace(found, vouchers=(SignedVoucher(*_reading(record["voucher"])),))
    if "equivocation" in record:
        both = tuple(SignedVoucher(*_reading(each)) for each in record["equivocation"])
        return replace(found, equivocation=both)
    return found


def _reading(record: dict[str, Any]) -> tuple[int, Hash, Any]:
    units = record["units"]
    if type(units) is not int:
        raise ValueError(f"{units!r} is no meter reading")
    return units, Hash(read_bytes(record["journal"], 32)), read_signature(record["signature"])
