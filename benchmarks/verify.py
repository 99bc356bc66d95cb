"""How fast a voucher is verified, against two measures taken in the same run.

The limit is libsecp256k1's recovery of a public key from a signature of 65 bytes, as coincurve
gives it, with nothing around it. The other measures are what eth-account does for the same voucher,
`recover_message(encode_typed_data(...))`, and how the official x402 package checks the signature of
a voucher of its batch-settlement scheme, a cumulative amount for a channel.

Rounds alternate, so a busy machine slows everybody alike; the ratios are the medians of the rounds'
ratios. Keys, terms and readings are fixed.

    make bench         measure, print, write results/verify.json
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

from coincurve import PublicKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from rich.console import Console
from rich.table import Table
from x402.mechanisms.evm.batch_settlement.constants import VOUCHER_TYPES
from x402.mechanisms.evm.batch_settlement.facilitator.utils import (
    verify_batch_settlement_voucher_typed_data,
)
from x402.mechanisms.evm.batch_settlement.utils import get_batch_settlement_eip712_domain

from honorarium.ids import ZERO_ADDRESS, Address, Hash
from honorarium.protocol import Domain, Key, SignedVoucher, Tariff, Terms, Voucher
from honorarium.protocol.signed import voucher_verifier
from honorarium.units import Bps, Seconds, UnixTime

RESULT: Final = Path(__file__).with_name("results") / "verify.json"
READINGS: Final = 40
ROUNDS: Final = 201
TARGETS: Final = {"ratio_to_limit": 0.85, "ratio_to_eth_account": 4.0}
CHAIN: Final = 8453
"""One that the x402 package knows."""

DOMAIN: Final = Domain(1337, Address(b"\x11" * 20))
METER: Final = Key.from_bytes(hashlib.sha256(b"verify meter").digest())
TERMS: Final = Terms(
    client=Address(b"\x01" * 20),
    payer=Address(b"\x01" * 20),
    advisor=Address(b"\x02" * 20),
    meter_key=METER.address,
    token=ZERO_ADDRESS,
    tariff=Tariff.per_minute(1_500_000, max_units=60),
    fee_bps=Bps(0),
    fee_recipient=ZERO_ADDRESS,
    open_before=UnixTime(1_800_000_000),
    close_grace=Seconds(3600),
    context=Hash(hashlib.sha256(b"verify context").digest()),
    salt=0,
)


def contestants() -> dict[str, Callable[[], object]]:
    """What is measured, by name: each call checks every reading once."""
    session_id = TERMS.session_id(DOMAIN)
    vouchers = [
        Voucher(session_id, n + 1, Hash(hashlib.sha256(b"journal %d" % n).digest()))
        for n in range(READINGS)
    ]
    signed = [SignedVoucher.sign(voucher, METER, DOMAIN) for voucher in vouchers]
    bare = [
        (s.signature.r + s.signature.s + bytes((s.signature.y_parity,)), v.digest(DOMAIN))
        for s, v in zip(signed, vouchers, strict=True)
    ]
    shown = [
        (v.typed_data(DOMAIN), s.signature.to_bytes())
        for s, v in zip(signed, vouchers, strict=True)
    ]
    recover, verifier = PublicKey.from_signature_and_message, voucher_verifier(TERMS, DOMAIN)

    def limit() -> None:
        for signature, digest in bare:
            recover(signature, digest, hasher=None)

    def session() -> None:
        for one in signed:
            verifier.verify(one.units, one.journal, one.signature)

    def voucher() -> None:
        for one in signed:
            one.verify(TERMS, DOMAIN)

    def eth_account() -> None:
        for data, signature in shown:
            message = encode_typed_data(full_message=data)
            Account.recover_message(message, signature=signature)

    channel = "0x" + session_id.hex()
    amounts = [str(v.units) for v in vouchers]
    account = Account.from_key(METER.secret())
    signed_amounts = [
        account.sign_typed_data(
            domain_data=get_batch_settlement_eip712_domain(CHAIN),
            message_types=VOUCHER_TYPES,
            message_data={"channelId": bytes(session_id), "maxClaimableAmount": int(amount)},
        ).signature.hex()
        for amount in amounts
    ]

    def x402() -> None:
        for amount, signature in zip(amounts, signed_amounts, strict=True):
            if not verify_batch_settlement_voucher_typed_data(
                signer=cast("Any", None),  # only asked about contract wallets
                channel_id=channel,
                max_claimable_amount=amount,
                payer_authorizer=account.address,
                payer=account.address,
                signature=signature,
                chain_id=CHAIN,
            ):
                raise AssertionError("a voucher that the x402 package refuses measures nothing")

    return {
        "limit": limit,
        "Verifier.verify": session,
        "SignedVoucher.verify": voucher,
        "eth_account": eth_account,
        "x402": x402,
    }


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Microseconds a reading, for each contestant and round."""
    found: dict[str, list[float]] = {}
    runs = contestants()
    for run in runs.values():
        run()  # warm
    for number in range(rounds):
        # The order turns round, so that nobody always runs behind the same neighbour.
        for name, run in list(runs.items())[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            run()
            found.setdefault(name, []).append((time.perf_counter() - began) / READINGS * 1e6)
    return found


def ratio(found: dict[str, list[float]], measure: str, name: str) -> float:
    """How many times faster than `measure`; the median of the rounds."""
    pairs = zip(found[measure], found[name], strict=True)
    return round(median(slow / fast for slow, fast in pairs), 3)


def result(found: dict[str, list[float]]) -> dict[str, int | float]:
    """What verify.json says. Times in microseconds."""
    return {
        "readings": READINGS,
        "rounds": len(found["limit"]),
        "limit_us": round(median(found["limit"]), 2),
        "verify_us": round(median(found["Verifier.verify"]), 2),
        "signed_voucher_us": round(median(found["SignedVoucher.verify"]), 2),
        "eth_account_us": round(median(found["eth_account"]), 2),
        "x402_us": round(median(found["x402"]), 2),
        "ratio_to_limit": ratio(found, "limit", "Verifier.verify"),
        "signed_voucher_ratio_to_limit": ratio(found, "limit", "SignedVoucher.verify"),
        "ratio_to_eth_account": ratio(found, "eth_account", "Verifier.verify"),
        "ratio_to_x402": ratio(found, "x402", "Verifier.verify"),
    }


def show(found: dict[str, list[float]], told: dict[str, int | float]) -> None:
    table = Table(title="one voucher verified", title_justify="left")
    table.add_column("with")
    for column in ("µs", "a second", "of the limit", "of eth-account", "of x402"):
        table.add_column(column, justify="right")
    names = {"limit": "recovery alone (the limit)", "eth_account": "eth-account"}
    for name, times in found.items():
        table.add_row(
            names.get(name, name),
            f"{median(times):.1f}",
            f"{1e6 / median(times):,.0f}",
            f"{ratio(found, 'limit', name):.2f}",
            f"{ratio(found, 'eth_account', name):.1f}",
            f"{ratio(found, 'x402', name):.1f}",
        )
    console = Console()
    console.print(table)
    for name, target in TARGETS.items():
        mark = "" if told[name] >= target else " [yellow](missed)[/]"
        console.print(f"{name} {told[name]}, target {target}{mark}")


def main() -> int:
    found = measure()
    told = result(found)
    show(found, told)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
