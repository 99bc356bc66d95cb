"""Figures of peers that publish no package: quoted, not measured in this run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONDITIONS: Final = (
    "whole receipts on Ganache 7.9.2 (shanghai), an OpenZeppelin token, the allowance set, "
    "balances warm, one session from open to close with a refund; rebuilt from public sources with "
    "solc 0.8.28 and 200 runs (microraiden 0.4.26, MPE 0.6.12)"
)


@dataclass(frozen=True, slots=True)
class Quoted:
    """Gas of one peer, to the nearest hundred; several numbers are several transactions.

    `settle` is one payment more while the session runs; it is part of no total.
    """

    protocol: str
    open: tuple[int, ...]
    settle: tuple[int, ...]
    close: tuple[int, ...]
    gets: str

    @property
    def total(self) -> int:
        """From open to close with a refund."""
        return sum(self.open) + sum(self.close)


QUOTED: Final = (
    Quoted(
        "Tempo TIP-1034 reference",
        (69_500,),
        (61_900,),
        (66_000,),
        "signed amounts; without its test-only slots (with them it opens for 91.8k)",
    ),
    Quoted("microraiden", (70_600,), (59_200,), (69_900,), "signed amounts"),
    Quoted("LlamaPay", (83_800,), (62_700,), (111_600,), "streams time"),
    Quoted(
        "x402 batch settlement",
        (83_800,),
        (50_800, 49_200),
        (124_000,),
        "signed ceilings; a settlement is a claim and a sweep; patched to run on shanghai",
    ),
    Quoted(
        "SingularityNET MPE",
        (192_000,),
        (50_000,),
        (70_500,),
        "signed amounts; 46.3k that follow the close are not in the total",
    ),
    Quoted(
        "commerce-payments AuthCaptureEscrow",
        (58_000, 94_200),
        (63_100,),
        (63_100, 60_100),
        "amounts that an operator captures",
    ),
)
