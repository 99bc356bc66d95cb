"""How a contract's refusal becomes an exception.

Each error of the contracts is a class of the same name with the same fields in snake case; the
fields' annotations carry the Solidity types, and the selector follows from both.
"""

from __future__ import annotations

import datetime as dt
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Final, dataclass_transform, get_type_hints

from honorarium.errors.abi import read_tail, reader, words_of
from honorarium.errors.base import HonorariumError
from honorarium.hashing import keccak

Uint8 = Annotated[int, "uint8"]
Uint16 = Annotated[int, "uint16"]
Uint24 = Annotated[int, "uint24"]
Uint32 = Annotated[int, "uint32"]
Uint40 = Annotated[int, "uint40"]
Uint80 = Annotated[int, "uint80"]
Uint256 = Annotated[int, "uint256"]
Bytes32 = Annotated[bytes, "bytes32"]
Account = Annotated[bytes, "address"]
String = Annotated[str, "string"]


class Party(IntEnum):
    """Who somebody is in a session's terms; the numbers are the contract's."""

    CLIENT = 0
    PAYER = 1
    ADVISOR = 2
    METER_KEY = 3
    TOKEN = 4
    FEE_RECIPIENT = 5


PartyField = Annotated[Party, "uint8"]

_REGISTERED: Final[dict[bytes, type[ContractError]]] = {}


@dataclass_transform()
class ContractError(HonorariumError):
    """A contract refused.

    Two refusals with the same fields are equal. `sentence` says what was wrong and what to do.
    """

    ABI_NAME: ClassVar[str] = ""  # set where it is not the class's own name
    FIELDS: ClassVar[tuple[tuple[str, str], ...]] = ()  # (Solidity type, name in Python), in order
    SELECTOR: ClassVar[bytes] = b""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hints = get_type_hints(cls, include_extras=True)
        cls.FIELDS = tuple((hints[name].__metadata__[0], name) for name in cls.__annotations__)
        if not cls.ABI_NAME:
            cls.ABI_NAME = cls.__name__
        cls.SELECTOR = keccak(cls.signature().encode())[:4]
        _REGISTERED[cls.SELECTOR] = cls

    def __init__(self, *values: Any, **named: Any) -> None:
        names = [name for _, name in self.FIELDS]
        given = dict(zip(names, values, strict=False)) | named
        if len(values) + len(named) != len(names) or given.keys() != set(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names) or 'nothing'}")
        super().__init__(*(given[name] for name in names))
        for name in names:
            setattr(self, name, given[name])

    def sentence(self) -> str:
        """What was wrong, with the numbers, and what to do."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.sentence()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ContractError):
            return NotImplemented
        return type(self) is type(other) and self.args == other.args

    def __hash__(self) -> int:
        return hash((type(self), self.args))

    @classmethod
    def signature(cls) -> str:
        """The error as its selector hashes it: `DepositTooSmall(uint256,uint256)`."""
        return f"{cls.ABI_NAME}({','.join(kind for kind, _ in cls.FIELDS)})"

    @staticmethod
    def decode(data: bytes) -> ContractError:
        """The refusal that this revert data encodes.

        Never raises: what is no error of ours, or a malformed one, is an UnknownContractError.
        """
        found = _REGISTERED.get(bytes(data[:4]))
        if found is None:
            return UnknownContractError(bytes(data))
        try:
            return found(*_values(found, bytes(data[4:])))
        except ValueError:
            return UnknownContractError(bytes(data))


class UnknownContractError(ContractError):
    """Revert data that no error of ours encodes to."""

    data: Annotated[bytes, "bytes"]

    def sentence(self) -> str:
        if not self.data:
            return (
                "the call failed without a reason: it ran out of gas, or the address is not the "
                "contract it was taken for; compare the address with the deployment's manifest"
            )
        return (
            f"the call was refused with 0x{self.data.hex()}, which is none of our contracts' "
            "errors: the token or a wallet refused; look the first 4 bytes up in their ABI"
        )


class RevertedWithReason(ContractError):
    """Error(string): a contract, not one of ours, refused in words."""

    ABI_NAME = "Error"
    reason: String

    def sentence(self) -> str:
        return (
            f"a contract refused: {self.reason!r}; the sentence is the token's or the wallet's, "
            "so look it up there"
        )


class Panicked(ContractError):
    """Panic(uint256): a contract's own arithmetic or memory failed."""

    ABI_NAME = "Panic"
    code: Uint256

    def sentence(self) -> str:
        meaning = _PANICS.get(self.code, "a failure that has no name")
        return f"a contract panicked with code {self.code:#04x}: {meaning}; report it to its makers"


_PANICS: Final = {
    0x01: "a condition that must always hold did not",
    0x11: "a number left its range",
    0x12: "a division by zero",
    0x21: "a number that names no member of an enumeration",
    0x22: "a damaged byte array in storage",
    0x31: "a removal from an empty array",
    0x32: "an index outside an array",
    0x41: "too much memory",
    0x51: "a call of a function that was never set",
}

# Raw revert data carries no selector of its own.
del _REGISTERED[UnknownContractError.SELECTOR]


def _values(found: type[ContractError], body: bytes) -> list[Any]:
    kinds = [kind for kind, _ in found.FIELDS]
    if "string" in kinds:  # always alone
        return [read_tail(body[:32], body[32:]).decode()]
    words = words_of(body, len(kinds))
    values = [reader(kind)(word) for kind, word in zip(kinds, words, strict=True)]
    if found.FIELDS and found.FIELDS[0][1] == "party" and kinds[0] == "uint8":
        values[0] = Party(values[0])  # ValueError for a number that is nobody
    return values


def contract_errors() -> tuple[type[ContractError], ...]:
    """The errors that the contracts declare, in the order of their classes."""
    return tuple(e for e in _REGISTERED.values() if e not in (RevertedWithReason, Panicked))


def moment(time: int) -> str:
    """A time for people: the date in UTC, and the unix seconds."""
    if time > 253_402_300_799:  # the year 9999 ends
        return f"{time}"
    return f"{dt.datetime.fromtimestamp(time, dt.UTC):%Y-%m-%d %H:%M:%S} UTC ({time})"


def named(address: bytes) -> str:
    """An account for people."""
    return "0x" + address.hex()


def coin_or_token(token: bytes) -> str:
    """A token for people; zero is the chain's own coin."""
    return f"token 0x{token.hex()}" if any(token) else "the chain's own coin"


def session(session_id: bytes) -> str:
    """A session for people."""
    return "session 0x" + session_id.hex()
