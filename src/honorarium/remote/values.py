"""What a desk tells: itself, its advisors, what they earn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from honorarium.chain import Deployed, Manifest
from honorarium.chain.node import from_hex
from honorarium.ids import Address, Hash
from honorarium.money import Amount
from honorarium.protocol.offer import Offer
from honorarium.units import BlockNumber


@dataclass(frozen=True, slots=True)
class Facts:
    """A desk, as it says itself. `acknowledger` signs that vouchers are durable."""

    name: str
    version: str
    acknowledger: Address
    confirmations: int
    manifest: Manifest

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Reads `GET /v1`. Raises ValueError, KeyError, TypeError."""
        given = found["manifest"]
        contracts = {
            str(name): Deployed(account(one["address"]), Hash(from_hex(one["code_hash"])))
            for name, one in given["contracts"].items()
        }
        manifest = Manifest(
            int(given["chain_id"]),
            Hash(from_hex(given["genesis_hash"])),
            BlockNumber(int(given["block"])),
            contracts,
        )
        return cls(
            str(found["name"]),
            str(found["version"]),
            account(found["acknowledger"]),
            int(found["confirmations"]),
            manifest,
        )


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An advisor of a desk. `away`: nobody signs quotes at the moment; `offers` by their names.

    `message` and `signature`: by what the advisor let the desk acknowledge vouchers.
    """

    address: Address
    name: str
    available: bool
    away: bool
    offers: Mapping[str, Offer]
    message: str
    signature: bytes

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Reads an advisor. Raises ValueError, KeyError, TypeError."""
        return cls(
            account(found["advisor"]),
            str(found["name"]),
            bool(found["available"]),
            bool(found["away"]),
            {str(name): Offer.of(one) for name, one in found["tariffs"].items()},
            str(found["enrolment"]["message"]),
            from_hex(found["enrolment"]["signature"]),
        )


@dataclass(frozen=True, slots=True)
class Earnings:
    """An advisor's share in one token: `pending` in vouchers, `settled` on the chain so far,
    `withdrawable` now.
    """

    pending: Amount
    settled: Amount
    withdrawable: Amount


def account(text: str) -> Address:
    """An address in JSON. Raises ValueError."""
    found = from_hex(text)
    if len(found) != 20:
        raise ValueError(f"{text} is no address")
    return Address(found)
