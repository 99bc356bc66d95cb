"""Writes tests/vectors/*.json, the golden vectors of the protocol.

Inputs come from a fixed seed. What is expected comes from computations that share no code with the
package: eth-account's typed data, eth-abi, and a fee that is counted unit by unit. `--check` writes
nothing and fails if a file differs.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak

from honorarium.protocol.typed_data import TYPES

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
CASES = 20
LOOPED = 400
"""Readings up to this one are priced unit by unit."""

KINDS = [
    "robot",
    "queued",
    "answered",
    "paused",
    "resumed",
    "handed_over",
    "data_accessed",
    "left",
    "closed",
]

Case = dict[str, Any]


def numbers(random_: random.Random, bits: int) -> int:
    """Of every size up to `bits` bits, the ends included."""
    some: int = random_.getrandbits(random_.randint(1, bits))
    return (0, 1, 2**bits - 1, some)[random_.randrange(4)]


def value(random_: random.Random, kind: str) -> Any:
    if kind == "address":
        return "0x" + random_.randbytes(20).hex()
    if kind == "bytes32":
        return "0x" + random_.randbytes(32).hex()
    if kind.startswith("uint"):
        return numbers(random_, int(kind[4:]))
    return {field: value(random_, inner) for inner, field in TYPES[kind]}


def typed(domain: Case, name: str, message: Case) -> Any:
    """eth-account's view of a message: header = domain separator, body = hashStruct."""
    inner, listed = [name], []
    while inner:
        listed.append(inner.pop())
        inner += [kind for kind, _ in TYPES[listed[-1]] if kind in TYPES]
    types = {one: [{"name": f, "type": k} for k, f in TYPES[one]] for one in listed}
    return encode_typed_data(domain, types, message)


def plain(message: Any) -> Any:
    """JSON: numbers of more than 53 bits are strings, because many readers take them for floats."""
    if isinstance(message, dict):
        return {key: plain(one) for key, one in message.items()}
    if isinstance(message, list):
        return [plain(one) for one in message]
    return str(message) if isinstance(message, int) and message >= 2**53 else message


def domain_of(random_: random.Random) -> Case:
    return {
        "name": "Honorarium",
        "version": "1",
        "chainId": random_.choice([1, 1337, 31337, 8453, 2**64 - 1]),
        "verifyingContract": value(random_, "address"),
    }


def packed(terms: Case) -> list[str]:
    t = terms["tariff"]

    def join(address: str, *parts: tuple[int, int]) -> str:
        word = int(address, 16)
        for part, bits in parts:
            word = word << bits | part
        return f"0x{word:064x}"

    return [
        join(terms["client"], (t["connectFee"], 80), (terms["feeBps"], 16)),
        join(terms["payer"], (t["unitPrice"], 80), (0, 16)),
        join(terms["advisor"], (t["stepPrice"], 80), (0, 16)),
        join(
            terms["meterKey"],
            (t["unitSeconds"], 32),
            (t["includedUnits"], 32),
            (t["stepUnits"], 32),
        ),
        join(
            terms["token"],
            (t["maxUnits"], 32),
            (terms["openBefore"], 40),
            (terms["closeGrace"], 24),
        ),
        join(terms["feeRecipient"], (terms["salt"], 96)),
        terms["context"],
    ]


def terms_vectors() -> list[Case]:
    random_ = random.Random("terms")
    cases = []
    for _ in range(CASES):
        domain, terms = domain_of(random_), value(random_, "Terms")
        signable = typed(domain, "Terms", terms)
        cases.append(
            {
                "domain": domain,
                "terms": terms,
                "packed": packed(terms),
                "structHash": "0x" + signable.body.hex(),
                "sessionId": "0x" + keccak(b"\x19\x01" + signable.header + signable.body).hex(),
            }
        )
    return cases


def message_vectors() -> list[Case]:
    random_ = random.Random("messages")
    cases = []
    for name in sorted(set(TYPES) - {"Tariff", "Terms", "Permit"}):
        for _ in range(2):
            domain, message = domain_of(random_), value(random_, name)
            secret = random_.randbytes(32)
            signable = typed(domain, name, message)
            signed = Account.sign_message(signable, secret)
            cases.append(
                {
                    "type": name,
                    "domain": domain,
                    "message": message,
                    "separator": "0x" + signable.header.hex(),
                    "structHash": "0x" + signable.body.hex(),
                    "digest": "0x" + bytes(signed.message_hash).hex(),
                    "secret": "0x" + secret.hex(),
                    "signer": Account.from_key(secret).address.lower(),
                    "signature": "0x" + bytes(signed.signature).hex(),
                }
            )
    return cases


def fee(tariff: Case, units: int) -> int:
    """The sentences of the tariff, unit by unit; the tail of a long reading in one go."""
    if units == 0:
        return 0
    due: int = tariff["connectFee"]
    used = min(units, tariff["maxUnits"]) if tariff["maxUnits"] else units
    for number in range(1, min(used, LOOPED) + 1):
        if tariff["stepUnits"] and number > tariff["stepUnits"]:
            due += tariff["stepPrice"]
        elif number > tariff["includedUnits"]:
            due += tariff["unitPrice"]
    # Every bound of these tariffs is below LOOPED: beyond it all units cost the same.
    if used > LOOPED:
        last = tariff["stepPrice"] if tariff["stepUnits"] else tariff["unitPrice"]
        due += (used - LOOPED) * last
    return due


def fee_vectors() -> list[Case]:
    random_ = random.Random("fees")
    cases = []
    for number in range(CASES):
        included = random_.choice([0, 0, 1, random_.randint(2, 50)])
        step = random_.choice([0, included + 1, included + random_.randint(1, 200)])
        tariff = {
            "connectFee": numbers(random_, 80),
            "unitPrice": numbers(random_, 80),
            "unitSeconds": random_.choice([0, 1, 60, 86_400]),
            "includedUnits": included,
            "stepUnits": step,
            "stepPrice": numbers(random_, 80) if step else 0,
            "maxUnits": random_.choice([0, included + 1, random_.randint(included + 1, 399)]),
        }
        if number == 0:
            tariff |= {"connectFee": 2**80 - 1, "unitPrice": 2**80 - 1, "maxUnits": 0}
        edges = {0, 1, 2**32 - 1, 1000, random_.randint(2, 399)}
        for bound in (included, step, tariff["maxUnits"]):
            edges |= {max(0, bound - 1), bound, bound + 1}
        units = sorted(edges)
        cases.append(
            {"tariff": tariff, "units": units, "fees": [str(fee(tariff, one)) for one in units]}
        )
    return cases


LIVES = (
    "closed",
    "robot left closed",
    "robot queued left closed",
    "robot queued answered closed",
    "answered paused resumed closed",
    "robot handed_over answered data_accessed paused resumed paused closed",
    "queued answered handed_over",
    "answered left closed",
    "answered paused left closed",
    "",
)


def journal_vectors() -> list[Case]:
    random_ = random.Random("journal")
    entry_type = keccak(b"JournalEntry(uint40 at,uint8 kind,bytes32 note)")
    cases = []
    for number in range(CASES):
        session = random_.randbytes(32)
        head = keccak(encode(["bytes32"] * 2, [keccak(b"Journal(bytes32 sessionId)"), session]))
        heads, entries, at, counted, started = [head], [], 1_700_000_000, 0, None
        for kind in LIVES[number % len(LIVES)].split():
            at += random_.choice([0, 1, random_.randint(2, 5000)])
            note = random_.choice([bytes(32), random_.randbytes(32)])
            if kind in ("answered", "resumed"):
                started = at
            elif kind in ("paused", "left", "closed") and started is not None:
                counted, started = counted + at - started, None
            fields = [entry_type, at, KINDS.index(kind) + 1, note]
            hashed = keccak(encode(["bytes32", "uint40", "uint8", "bytes32"], fields))
            head = keccak(encode(["bytes32"] * 2, [head, hashed]))
            heads.append(head)
            entries.append({"at": at, "kind": kind, "note": "0x" + note.hex()})
        counted += at - started if started is not None else 0
        cases.append(
            {
                "sessionId": "0x" + session.hex(),
                "entries": entries,
                "heads": ["0x" + one.hex() for one in heads],
                "billableSeconds": counted,
            }
        )
    return cases


FILES: dict[str, Callable[[], list[Case]]] = {
    "terms": terms_vectors,
    "messages": message_vectors,
    "fees": fee_vectors,
    "journal": journal_vectors,
}


def main(arguments: list[str], folder: Path = VECTORS) -> int:
    stale = []
    for name, make in FILES.items():
        path = folder / f"{name}.json"
        text = json.dumps(plain(make()), indent=1) + "\n"
        if arguments == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(
            f"{', '.join(stale)}: not what scripts/build_vectors.py makes; run it", file=sys.stderr
        )
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
