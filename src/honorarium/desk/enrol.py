"""Advisors of the desk: who they are, whether they are there, what they charge."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from honorarium.desk.policy import Policy
from honorarium.desk.sign_in import Message, NotAllowed, SignInRefused, SignIns
from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.ledger import accounts, advisors
from honorarium.ledger.accounts import SignedIn
from honorarium.protocol.offer import Offer

MOST_TARIFFS: Final = 100


class AdvisorNotKnown(InputError):
    """An account that never enrolled at this desk."""

    def __init__(self, advisor: bytes) -> None:
        self.advisor = advisor
        super().__init__(
            f"0x{advisor.hex()} is no advisor of this desk; compare the address, or have them "
            "enrol (PUT /v1/advisors/{address})"
        )


class TariffNotKnown(InputError):
    """A tariff that the advisor does not have."""

    def __init__(self, advisor: bytes, name: str) -> None:
        self.advisor, self.name = advisor, name
        super().__init__(
            f"0x{advisor.hex()} has no tariff {name!r}; GET /v1/advisors/0x{advisor.hex()} "
            "lists them"
        )


class TooManyTariffs(InputError):
    """More tariffs than an advisor needs."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"an advisor has {most} tariffs at most; remove one first")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The advisors. `allowed` None: whoever signs may enrol."""

    sign_ins: SignIns
    escrow: Address
    policy: Policy
    allowed: frozenset[Address] | None = None

    def put(
        self,
        connection: Connection,
        who: SignedIn,
        advisor: Address,
        name: str | None,
        available: bool | None,
        message: Message | None,
    ) -> RowMapping:
        """Enrols, or changes what is known. Raises NotAllowed, SignInRefused, AdvisorNotKnown."""
        must_be(who, advisor)
        if self.allowed is not None and advisor not in self.allowed:
            raise NotAllowed(advisor, "this desk takes only advisors whom its operator has named")
        known = advisors.find(connection, advisor)
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = name
        if available is not None:
            values["available"] = available
        if message is not None:
            values |= self._consent(connection, who, advisor, message)
        elif known is None:
            raise SignInRefused(
                "to enrol, `enrolment` has to hold the message with the statement "
                f"{self.sign_ins.enrolment_statement!r}, and its signature"
            )
        if known is None:
            values = {"name": "0x" + advisor.hex(), "available": False} | values
        advisors.put(connection, advisor, int(time.time()), values)
        return self.get(connection, advisor)

    def _consent(
        self, connection: Connection, who: SignedIn, advisor: Address, message: Message
    ) -> dict[str, Any]:
        if message.account != advisor:
            raise SignInRefused(f"0x{message.account.hex()} signed the enrolment of somebody else")
        if message.statement != self.sign_ins.enrolment_statement:
            raise SignInRefused(
                f"its statement is {message.statement!r}, and to enrol it has to be "
                f"{self.sign_ins.enrolment_statement!r}"
            )
        # The message that made the token may serve for both.
        now = int(time.time())
        if message.nonce != who.nonce and not accounts.use_nonce(connection, message.nonce, now):
            raise SignInRefused("its nonce was not given out by this desk, or not in time, or used")
        return {
            "message": message.text,
            "signature": message.signature,
            "acknowledger": self.sign_ins.desk,
        }

    def get(self, connection: Connection, advisor: Address) -> RowMapping:
        """The row of an advisor. Raises AdvisorNotKnown."""
        found = advisors.find(connection, advisor)
        if found is None:
            raise AdvisorNotKnown(advisor)
        return found

    def put_tariff(
        self, connection: Connection, who: SignedIn, advisor: Address, name: str, offer: Offer
    ) -> None:
        """Sets a tariff. Raises TokenNotSettled, and what `Offer.must_make_sense` raises."""
        must_be(who, advisor)
        self.get(connection, advisor)
        offer.must_make_sense(advisor, self.escrow)
        self.policy.must_settle(offer.token)
        known = {row["name"] for row in advisors.tariff_rows(connection, [advisor])}
        if name not in known and len(known) >= MOST_TARIFFS:
            raise TooManyTariffs(MOST_TARIFFS)
        text = json.dumps(offer.document())
        advisors.put_tariff(connection, advisor, name, text, int(time.time()))

    def drop_tariff(
        self, connection: Connection, who: SignedIn, advisor: Address, name: str
    ) -> None:
        """Removes a tariff; what was agreed stays. Raises TariffNotKnown."""
        must_be(who, advisor)
        if not advisors.drop_tariff(connection, advisor, name):
            raise TariffNotKnown(advisor, name)

    def offer(self, connection: Connection, advisor: Address, name: str) -> Offer:
        """A tariff by its name. Raises AdvisorNotKnown, TariffNotKnown."""
        self.get(connection, advisor)
        for row in advisors.tariff_rows(connection, [advisor]):
            if row["name"] == name:
                return Offer.of(json.loads(row["document"]))
        raise TariffNotKnown(advisor, name)


def must_be(who: SignedIn, account: Address) -> None:
    """Raises NotAllowed unless it is the account itself that is signed in."""
    if who.account != account:
        raise NotAllowed(who.account, f"it concerns 0x{account.hex()}")
