"""Logs written by hand, with their receipts."""

from __future__ import annotations

import written_log
from honorarium.client import (
    Receipt,
)
from honorarium.ids import ZERO_HASH, Hash
from honorarium.money import Token
from honorarium.protocol.events import (
    Answered,
    Rated,
    RefundCredited,
    Tipped,
)
from honorarium.protocol.journal import Journal
from honorarium.units import BaseUnits
from written_log import (
    ADVISOR,
    CLIENT,
    ID,
    JAR,
    USD,
)


class Log(written_log.Log):
    """With its receipt."""

    def receipt(self, token: Token = USD, journal: Journal | None = None) -> Receipt:
        return Receipt.from_log(
            self.records, self.id, self.domain, token, tip_jar=JAR, journal=journal
        )


def whole_life() -> Log:
    """Everything that can happen to a session, once."""
    log = Log().opened(6_000_000).topped_up(12_000_000, 60).settled(3, 4_400_000, 200)
    log.left(400).closed(7, 8_000_000, 500)
    log.write(RefundCredited(ID, CLIENT, BaseUnits(4_000_000)), 500, beside=True)
    log.write(Tipped(ADVISOR, CLIENT, ID, USD.address, BaseUnits(1_500_000), ZERO_HASH), 520)
    log.write(Rated(ID, CLIENT, ADVISOR, 5, ZERO_HASH), 530)
    return log.write(Answered(ID, ADVISOR, Hash(b"\x09" * 32)), 540)
