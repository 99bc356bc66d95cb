"""The verdict as a file and as a line.

`audit.json`, amounts in base units:

    ok        true if there is no finding
    rules     which were checked
    chain     chain_id, escrow, tip_jar, first_block, last_block; compared_at, the blocks at which
              storage was compared
    counts    sessions by standing, events, ratings, tips, accounts, ...
    sums      per token (address): deposits, fees (gross), platform_fees (their part), refunds,
              open (deposits of running sessions less earned), tips, paid_in, paid_out, balances,
              surplus, decimals (null: the token does not say); ok: false if something that rests
              on this token's word alone contradicts the escrow
    unproven  consents that nothing shows, by why; of how many sessions. No findings
    ratings   per advisor: how many, their average, by net fee, by payer
    findings  severity, rule, session, expected, found; about, block, log, transaction, token where
              known: rules that are broken
    looks     the same of what breaks no rule and deserves a look
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from honorarium.audit.facts import Finding
from honorarium.audit.judge import RULES, Verdict
from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.units import format_amount
from honorarium.wholefile import put_whole

FILE: Final = "audit.json"

UNPROVEN: Final = {
    "contract_signers": "signatures that only a contract can judge",
    "forgotten_signers": "signatures of what may have been a contract then",
    "through_contracts": "events out of another contract's call",
    "unsigned_callers": "calls in transactions whose signature is not at hand",
}
"""What nothing shows here, by the name of its count."""


class ReportNotWritten(InputError):
    """The folder for the report cannot be written to."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.directory, self.reason = directory, reason
        super().__init__(
            f"{FILE} cannot be written in {directory}: {reason}; name another folder with --out"
        )


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The content of `audit.json`."""
    place = verdict.place
    return {
        "ok": verdict.ok,
        "rules": list(RULES),
        "chain": {
            "chain_id": place.domain.chain_id,
            "escrow": _hex(place.domain.contract),
            "tip_jar": _hex(place.tip_jar),
            "first_block": place.first,
            "last_block": place.last,
            "compared_at": list(verdict.at),
        },
        "counts": dict(verdict.counts),
        "sums": {_hex(token): _sums(verdict, token) for token in sorted(verdict.sums)},
        "unproven": {
            "contract_signers": verdict.unproven.contract_signers,
            "through_contracts": verdict.unproven.through_contracts,
            "forgotten_signers": verdict.unproven.forgotten_signers,
            "unsigned_callers": verdict.unproven.unsigned_callers,
            "sessions": verdict.unproven.sessions,
        },
        "ratings": {_hex(advisor): dict(told) for advisor, told in verdict.ratings.items()},
        "findings": [_finding(finding) for finding in verdict.findings],
        "looks": [_finding(finding) for finding in verdict.looks],
    }


def line(verdict: Verdict) -> str:
    """The verdict in one line. `unproven`: of so many sessions a consent is not proven.

    Amounts are whole tokens if all money is in one token that tells its decimals; else base units,
    each with its token: `fees=123@0xabc...,45@0xdef...`.
    """
    amounts = {
        name: _amount(verdict, {t: getattr(sums, name) for t, sums in verdict.sums.items()})
        for name in ("fees", "refunds", "tips")
    }
    numbers = (
        f"sessions={verdict.counts['sessions']} fees={amounts['fees']}"
        f" refunds={amounts['refunds']} tips={amounts['tips']} ratings={verdict.counts['ratings']}"
    )
    if verdict.unproven.sessions:
        numbers += f" unproven={verdict.unproven.sessions}"
    if verdict.ok:
        return f"AUDIT OK {numbers}"
    return f"AUDIT FAILED findings={len(verdict.findings)} {numbers}"


def write(verdict: Verdict, directory: Path) -> Path:
    """Writes `audit.json` whole or not at all; the directory is made if it is missing.

    Raises ReportNotWritten.
    """
    try:
        text = json.dumps(as_json(verdict), indent=2) + "\n"
        return put_whole(directory / FILE, text.encode())
    except OSError as error:
        raise ReportNotWritten(directory, error.strerror or str(error)) from error


def _sums(verdict: Verdict, token: Address) -> dict[str, int | None]:
    sums, known = verdict.sums[token], verdict.tokens.get(token)
    contradicted = any(each.token == token for each in (*verdict.findings, *verdict.looks))
    return {
        "ok": not contradicted,
        "decimals": known.decimals if known else None,
        "deposits": sums.deposits,
        "fees": sums.fees,
        "platform_fees": sums.platform_fees,
        "refunds": sums.refunds,
        "open": sums.open,
        "tips": sums.tips,
        "paid_in": sums.paid_in,
        "paid_out": sums.paid_out,
        "balances": verdict.balances.get(token, 0),
        "surplus": verdict.surplus.get(token, 0),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "severity": finding.severity.value,
        "rule": finding.rule,
        "session": None if finding.session is None else _hex(finding.session),
        "expected": finding.expected,
        "found": finding.found,
    }
    if finding.about:
        found["about"] = finding.about
    if finding.block is not None:
        found["block"] = finding.block
    if finding.log is not None:
        found["log"] = finding.log
    if finding.tx_hash is not None:
        found["transaction"] = _hex(finding.tx_hash)
    if finding.token is not None:
        found["token"] = _hex(finding.token)
    return found


def _amount(verdict: Verdict, per_token: dict[Address, int]) -> str:
    used = sorted(verdict.sums)
    if not used:
        return "0"
    known = verdict.tokens.get(used[0])
    if len(used) == 1 and known is not None and known.decimals is not None:
        return format_amount(per_token[used[0]], known.decimals)
    return ",".join(f"{per_token[token]}@{_hex(token)}" for token in used)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
