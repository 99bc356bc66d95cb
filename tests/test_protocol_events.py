"""The contracts' events and Python's are one list, read strictly."""

from __future__ import annotations

import re
import time
from dataclasses import fields
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from honorarium.artifacts import ContractName, artifact
from honorarium.errors import StaleVoucher, UnknownContractError
from honorarium.ids import ZERO_ADDRESS, ZERO_HASH, SessionId
from honorarium.protocol.events import (
    ESCROW_EVENTS,
    TIP_JAR_EVENTS,
    Answered,
    CloseRequested,
    Deposited,
    EIP712DomainChanged,
    Event,
    Rated,
    RefundCredited,
    Revoked,
    RowSkipped,
    SessionClosed,
    SessionOpened,
    Settled,
    Tipped,
    ToppedUp,
    Withdrawn,
    decode_log,
)
from honorarium.protocol.slot import (
    ANSWERED_FLAG,
    FROM_BALANCE_FLAG,
    OPEN_FLAG,
    Slot,
)
from honorarium.protocol.terms import Terms
from honorarium.units import BaseUnits, UnixTime
from protocol_values import addresses, amounts, hashes, session_ids, terms, times, uint

NO_SESSION = SessionId(bytes(32))

EVENTS = (*ESCROW_EVENTS, *TIP_JAR_EVENTS)

fresh_slots = st.builds(
    lambda deposit, time, flags: Slot(deposit, BaseUnits(0), time, UnixTime(0), 0, flags),
    amounts,
    times,
    st.sampled_from((OPEN_FLAG, OPEN_FLAG | FROM_BALANCE_FLAG)),
)

RANDOM: dict[type[Event], st.SearchStrategy[Event]] = {
    Answered: st.builds(Answered, session_ids, addresses, hashes),
    CloseRequested: st.builds(CloseRequested, session_ids, addresses, times),
    Deposited: st.builds(Deposited, addresses, addresses, addresses, uint(256)),
    EIP712DomainChanged: st.just(EIP712DomainChanged()),
    Rated: st.builds(Rated, session_ids, addresses, addresses, uint(8), hashes),
    RefundCredited: st.builds(RefundCredited, session_ids, addresses, amounts),
    Revoked: st.builds(Revoked, session_ids, addresses),
    RowSkipped: st.builds(
        RowSkipped,
        uint(256),
        session_ids,
        st.one_of(
            st.builds(StaleVoucher, amounts, uint(256)),
            st.binary(min_size=1, max_size=3).map(UnknownContractError),
            st.just(UnknownContractError(b"")),
        ),
    ),
    SessionClosed: st.builds(SessionClosed, session_ids, uint(32), amounts, hashes),
    SessionOpened: st.builds(SessionOpened, session_ids, addresses, terms, fresh_slots),
    Settled: st.builds(Settled, session_ids, uint(32), amounts, hashes),
    Tipped: st.builds(Tipped, addresses, addresses, session_ids, addresses, uint(256), hashes),
    ToppedUp: st.builds(ToppedUp, session_ids, amounts, st.booleans()),
    Withdrawn: st.builds(Withdrawn, addresses, addresses, addresses, uint(256)),
}


def snake(name: str) -> str:
    found = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return "from_" if found == "from" else found


def declared(name: ContractName) -> dict[str, list[Any]]:
    return {e["name"]: e["inputs"] for e in artifact(name).abi if e["type"] == "event"}


INPUTS = declared("SessionEscrow") | declared("TipJar")


def kind_of(field: dict[str, Any]) -> str:
    if field["type"] == "tuple":
        return f"({','.join(kind_of(inner) for inner in field['components'])})"
    return str(field["type"])


def raw(value: Any) -> Any:
    """A value as eth-abi wants it."""
    if isinstance(value, Terms):
        return value.pack()
    if isinstance(value, StaleVoucher):
        return value.SELECTOR + encode(["uint80", "uint256"], [value.earned, value.fee])
    if isinstance(value, Slot):
        return value.pack()
    return value.data if isinstance(value, UnknownContractError) else value


def log_of(event: Event) -> tuple[list[bytes], bytes]:
    """The log of an event as eth-abi and the contract's ABI have it."""
    inputs = INPUTS[type(event).__name__]
    values = [raw(getattr(event, snake(field["name"]))) for field in inputs]
    topics, kinds, plain = [bytes(type(event).TOPIC)], [], []
    for field, value in zip(inputs, values, strict=True):
        if field["indexed"]:
            topics.append(encode([kind_of(field)], [value]))
        else:
            kinds.append(kind_of(field))
            plain.append(value)
    return topics, encode(kinds, plain)


@pytest.mark.parametrize(
    ("contract", "events"), [("SessionEscrow", ESCROW_EVENTS), ("TipJar", TIP_JAR_EVENTS)]
)
def test_python_has_every_event_of_the_contract_with_its_fields_and_no_other(
    contract: ContractName, events: tuple[type[Event], ...]
) -> None:
    from_abi = {
        name: [
            (
                field["internalType"].removeprefix("struct "),
                field["indexed"],
                field["name"],
            )
            for field in inputs
        ]
        for name, inputs in declared(contract).items()
    }
    from_signatures = {}
    for event in events:
        name, _, listed = event.SIGNATURE.removesuffix(")").partition("(")
        assert name == event.__name__
        parts = [part.split() for part in listed.split(",") if part]
        from_signatures[name] = [(part[0], "indexed" in part, part[-1]) for part in parts]
        assert [snake(part[-1]) for part in parts] == [field.name for field in fields(event)]
    assert from_signatures == from_abi


def test_topics_are_those_of_the_abi() -> None:
    for event in EVENTS:
        kinds = ",".join(kind_of(field) for field in INPUTS[event.__name__])
        assert keccak(f"{event.__name__}({kinds})".encode()) == event.TOPIC
    assert set(RANDOM) == set(EVENTS)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_the_log_of_an_event_is_read_back_as_the_event(
    kind: type[Event], data: st.DataObject
) -> None:
    event = data.draw(RANDOM[kind])
    assert decode_log(*log_of(event)) == event


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_log_of_another_length_or_number_of_topics_is_refused(
    kind: type[Event], data: st.DataObject
) -> None:
    topics, body = log_of(data.draw(RANDOM[kind]))

    for bad in ((topics, body + b"\0"), ([*topics, bytes(32)], body), (topics, body + bytes(32))):
        with pytest.raises(ValueError, match=r"bytes|topics"):
            decode_log(*bad)
    if body:
        with pytest.raises(ValueError, match=r"bytes|point"):
            decode_log(topics, body[:-1])
    if len(topics) > 1:
        with pytest.raises(ValueError, match="topics"):
            decode_log([topics[0], *(topic[1:] for topic in topics[1:])], body)


@pytest.mark.parametrize(
    ("event", "position"),
    [
        (Settled(NO_SESSION, 1, BaseUnits(2), ZERO_HASH), 0),
        (Settled(NO_SESSION, 1, BaseUnits(2), ZERO_HASH), 32),
        (ToppedUp(NO_SESSION, BaseUnits(2), True), 32),
        (Deposited(ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS, BaseUnits(2)), 0),
    ],
)
def test_a_bit_where_none_belongs_is_refused(event: Event, position: int) -> None:
    topics, body = log_of(event)
    dirty = bytearray(body)
    dirty[position] = 1

    with pytest.raises(ValueError, match="0x01"):
        decode_log(topics, bytes(dirty))


def test_a_topic_that_is_no_address_is_refused() -> None:
    topics, body = log_of(Revoked(NO_SESSION, ZERO_ADDRESS))
    with pytest.raises(ValueError, match="no address"):
        decode_log([*topics[:2], b"\1" * 32], body)


@pytest.mark.parametrize(
    "slot",
    [
        Slot(BaseUnits(1), BaseUnits(1), UnixTime(1), UnixTime(0), 0, OPEN_FLAG),
        Slot(BaseUnits(1), BaseUnits(0), UnixTime(1), UnixTime(1), 0, OPEN_FLAG),
        Slot(BaseUnits(1), BaseUnits(0), UnixTime(1), UnixTime(0), 1, OPEN_FLAG),
        Slot(BaseUnits(1), BaseUnits(0), UnixTime(1), UnixTime(0), 0, 0),
        Slot(BaseUnits(1), BaseUnits(0), UnixTime(1), UnixTime(0), 0, OPEN_FLAG | ANSWERED_FLAG),
    ],
)
@given(terms)
def test_a_session_that_was_not_just_opened_is_no_opening(slot: Slot, agreed: Terms) -> None:
    topics, body = log_of(SessionOpened(NO_SESSION, ZERO_ADDRESS, agreed, slot))
    with pytest.raises(ValueError, match="just opened"):
        decode_log(topics, body)


def test_terms_with_a_bit_where_none_belongs_are_refused() -> None:
    topics = [SessionOpened.TOPIC, bytes(32), bytes(32)]
    with pytest.raises(ValueError, match="beside the payer"):
        decode_log(topics, bytes(63) + b"\1" + bytes(6 * 32))


@pytest.mark.parametrize(
    ("position", "reason"),
    [(31, "point behind the head"), (63, "are announced"), (64 + 3, "are announced")],
    ids=["offset", "length", "padding"],
)
def test_a_reason_that_is_not_where_it_belongs_is_refused(position: int, reason: str) -> None:
    skipped = RowSkipped(1, NO_SESSION, UnknownContractError(b"abc"))
    topics, body = log_of(skipped)
    dirty = bytearray(body)
    dirty[position] ^= 0x40

    with pytest.raises(ValueError, match=reason):
        decode_log(topics, bytes(dirty))


@given(st.lists(hashes, max_size=4), st.binary(max_size=100))
def test_a_log_of_somebody_else_is_none(topics: list[bytes], data: bytes) -> None:
    assert decode_log(topics, data) is None


def test_a_hundred_thousand_logs_take_seconds() -> None:
    topics, body = log_of(Settled(NO_SESSION, 1, BaseUnits(2), ZERO_HASH))
    started = time.perf_counter()
    for _ in range(100_000):
        decode_log(topics, body)
    assert time.perf_counter() - started < 5
