"""What an examination of evidence comes to: statements, each proven, claimed or off."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from honorarium.audit.evidence.bundle import Bundle
from honorarium.bill import SessionLog
from honorarium.bill.text import checksummed, hexed
from honorarium.ids import Hash
from honorarium.protocol.slot import Status


class Standing(StrEnum):
    """How far a statement can be relied on."""

    PROVEN = "proven"
    CLAIMED = "claimed"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that the evidence says. `by`: whose word it is, if it is only claimed."""

    standing: Standing
    about: str
    text: str
    by: str = ""


@dataclass(slots=True)
class Examined:
    """What an examination found. `anchored`: everything is proven down to blocks that were named;
    `unnamed`: the hashes that would have to be named for that.

    `session` is what the log makes of the session; None: the proofs did not hold.
    """

    bundle: Bundle
    statements: list[Statement] = field(default_factory=list)
    anchored: bool = False
    unnamed: tuple[Hash, ...] = ()
    session: SessionLog | None = None

    @property
    def ok(self) -> bool:
        """Nothing is off."""
        return not self.of(Standing.OFF)

    def of(self, standing: Standing) -> list[Statement]:
        """The statements of one kind, in order."""
        return [each for each in self.statements if each.standing is standing]


def as_record(found: Examined) -> dict[str, Any]:
    """The result for programs."""
    bundle, log = found.bundle, found.session
    session: dict[str, Any] | None = None
    if log is not None and log.status is not Status.NONE:
        session = {
            "status": log.status.name.lower(),
            "deposit": str(log.deposit),
            "earned": str(log.earned),
            "units": log.reading.units,
            "journal": hexed(log.reading.journal),
            "openedAt": log.opened_at,
            "closedAt": log.closed_at or None,
        }
    return {
        "ok": found.ok,
        "anchored": found.anchored,
        "unnamed": [hexed(each) for each in found.unnamed],
        "session": hexed(bundle.session_id),
        "chainId": bundle.domain.chain_id,
        "contract": checksummed(bundle.domain.contract),
        "block": hexed(bundle.blocks[-1].hash) if bundle.blocks else None,
        "state": session,
        "proven": [{"about": s.about, "text": s.text} for s in found.of(Standing.PROVEN)],
        "claimed": [
            {"about": s.about, "text": s.text, "by": s.by} for s in found.of(Standing.CLAIMED)
        ],
        "off": [{"about": s.about, "text": s.text} for s in found.of(Standing.OFF)],
    }


def proven(about: str, text: str) -> Statement:
    return Statement(Standing.PROVEN, about, text)


def claimed(about: str, text: str, by: str) -> Statement:
    return Statement(Standing.CLAIMED, about, text, by)


def off(about: str, text: str) -> Statement:
    return Statement(Standing.OFF, about, text)
