"""The shapes of requests and answers. Names in JSON are camelCase."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from honorarium.api.deps import address_of
from honorarium.chain import Relayable
from honorarium.chain.deploy import shown
from honorarium.errors import InputError
from honorarium.ids import Address
from honorarium.ledger.events import KINDS

_ADVISOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
_CLIENT = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
_METER = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
_TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
_SESSION = "0x" + "5e" * 32
_HASH = "0x" + "ab" * 32


def _checked(given: str) -> str:
    try:
        return shown(address_of(given))
    except InputError as error:
        raise ValueError(str(error)) from None


AddressText = Annotated[
    str,
    StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$"),
    AfterValidator(_checked),
    Field(description="an account's address", examples=[_ADVISOR]),
]
HashText = Annotated[
    str,
    StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$", to_lower=True),
    Field(description="32 bytes", examples=[_HASH]),
]
HexText = Annotated[
    str,
    StringConstraints(pattern=r"^0x(?:[0-9a-fA-F]{2})*$", max_length=131_072, to_lower=True),
    Field(description="bytes", examples=["0x" + "11" * 64]),
]
AmountText = Annotated[
    str,
    StringConstraints(pattern=r"^(?:0|[1-9][0-9]{0,24})$"),
    Field(description="base units of the token, as decimal text", examples=["1500000"]),
]
NameText = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,80}$", strip_whitespace=True),
]
TariffName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Uint32 = Annotated[int, Field(ge=0, lt=2**32)]


class Model(BaseModel):
    """A request: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Shown(BaseModel):
    """An answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


# ---------------------------------------------------------------------- the desk


class ChainModel(Shown):
    """The chain and the contracts on it. `block`: before it none of them was there."""

    chain_id: int
    genesis_hash: str
    escrow: str
    tip_jar: str
    test_token: str | None
    block: int


class LimitsModel(Shown):
    """What this desk takes at most."""

    body_bytes: int
    requests_per_minute: int
    log_blocks: int
    batch: int


class FactsModel(Shown):
    """What this desk is."""

    name: str
    version: str
    api: str
    url: str
    chain: ChainModel
    manifest: dict[str, Any] = Field(description="the deployment's manifest, as the SDK reads it")
    acknowledger: str = Field(description="whose signature countersigns vouchers here")
    relayer: str = Field(description="who sends the transactions")
    confirmations: int
    enrolment_statement: str
    limits: LimitsModel


class Health(Shown):
    """How it does."""

    status: str = Field(examples=["ok"])


# ---------------------------------------------------------------------- signing in


class NonceModel(Shown):
    """What the EIP-4361 message has to say, so that this desk takes it."""

    nonce: str = Field(examples=["9f86d081884c7d659a2feaa0"])
    expires_at: int = Field(description="unix seconds")
    domain: str = Field(examples=["127.0.0.1:8470"])
    uri: str = Field(examples=["http://127.0.0.1:8470"])
    chain_id: int
    enrolment_statement: str


class SignedMessage(Model):
    """An EIP-4361 message, and the wallet's signature of it (EIP-191, or ERC-1271)."""

    message: str = Field(max_length=2_000)
    signature: HexText


class TokenModel(Shown):
    """Send it as `Authorization: Bearer ...`."""

    token: str
    account: str
    expires_at: int


# ---------------------------------------------------------------------- advisors and tariffs


class TariffModel(Model):
    """A price schedule, with the names of the EIP-712 type. Prices in base units."""

    connect_fee: AmountText = "0"
    unit_price: AmountText
    unit_seconds: Uint32 = Field(description="0: a unit is an interaction", examples=[60])
    included_units: Uint32 = 0
    step_units: Uint32 = 0
    step_price: AmountText = "0"
    max_units: Uint32 = Field(0, examples=[60])


class OfferModel(Model):
    """What an advisor offers under a name. `holds`: so many seconds a quote of it holds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "token": _TOKEN,
                    "tariff": {"unitPrice": "1500000", "unitSeconds": 60, "maxUnits": 60},
                    "feeBps": 500,
                    "feeRecipient": _CLIENT,
                    "closeGrace": 3600,
                    "holds": 3600,
                }
            ]
        }
    )

    token: AddressText = Field(description="zero: the chain's own coin")
    tariff: TariffModel
    fee_bps: int = Field(0, ge=0, le=10_000)
    fee_recipient: AddressText = "0x" + "00" * 20
    close_grace: int = Field(3_600, ge=0, lt=2**24)
    holds: int = Field(3_600, ge=1, lt=2**24)


class AdvisorChange(Model):
    """What an advisor says of themselves. `enrolment` is needed the first time only."""

    name: NameText | None = Field(None, examples=["Ada"])
    available: bool | None = None
    enrolment: SignedMessage | None = None


class Enrolled(Shown):
    """What the advisor signed to enrol: that `acknowledger` may countersign in their place."""

    message: str
    signature: str


class AdvisorModel(Shown):
    """An advisor. `away`: no agent of theirs is connected, so only quotes signed in advance are."""

    advisor: str
    name: str
    available: bool
    away: bool
    acknowledger: str
    enrolment: Enrolled
    tariffs: dict[str, OfferModel]


class AdvisorPage(Shown):
    """Advisors; `next` is the cursor of the next page."""

    items: list[AdvisorModel]
    next: str | None


# ---------------------------------------------------------------------- quotes and sessions


class QuoteWanted(Model):
    """Which terms are wanted. `payer` left out: the client pays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "advisor": _ADVISOR,
                    "tariff": "standard",
                    "client": _CLIENT,
                    "meterKey": _METER,
                }
            ]
        }
    )

    advisor: AddressText
    tariff: TariffName
    client: AddressText
    payer: AddressText | None = None
    meter_key: AddressText
    context: HashText | None = None


class QuoteGiven(Model):
    """A quote signed in advance."""

    quote: dict[str, Any] = Field(description="the quote's document, as the SDK writes it")


class QuoteModel(Shown):
    """A quote. It opens with `minimumDeposit` or more; `fullDeposit` covers all its units."""

    session: str = Field(examples=[_SESSION])
    quote: dict[str, Any]
    status: str
    minimum_deposit: str
    full_deposit: str | None


class RelayableModel(Model):
    """What somebody signed, ready to be sent: the SDK's `Relayable`."""

    action: str = Field(max_length=40, examples=["leave"])
    to: AddressText
    data: HexText

    def relayable(self) -> Relayable:
        """As the SDK has it."""
        to = Address(bytes.fromhex(self.to[2:]))
        return Relayable(self.action, to, bytes.fromhex(self.data[2:]))


class Signed(Model):
    """A signed action."""

    relayable: RelayableModel


class Opening(Model):
    """A quote, and how it is opened: by an action that the payer signed, or by a transaction that
    was sent already.
    """

    quote: dict[str, Any] = Field(description="the quote's document")
    relayable: RelayableModel | None = None
    transaction: HashText | None = None


class ReadingShort(Shown):
    """The best voucher in hand. `entries` lead to its journal's head."""

    units: int
    fee: str
    journal: str
    signature: str | None
    entries: list[dict[str, Any]]


class SessionModel(Shown):
    """A session. What has not happened yet is null; `reading` is for its parties only."""

    session: str = Field(examples=[_SESSION])
    status: str = Field(description="quoted, open, closing, closed or revoked")
    advisor: str
    client: str
    payer: str
    token: str
    deposit: str
    earned: str
    settled_units: int
    opened_at: int | None
    closing_at: int | None
    closed_at: int | None
    opened_block: int | None
    open_before: int
    created_at: int
    changed_at: int
    quote: dict[str, Any] | None
    reading: ReadingShort | None


class SessionPage(Shown):
    """Sessions, the newest first; `next` is the cursor of the next page."""

    items: list[SessionModel]
    next: str | None


class JournalEntry(Shown):
    """One thing that happened."""

    at: int
    kind: str = Field(examples=["answered"])
    note: str


class JournalPage(Shown):
    """The client's journal, in order; `signed`: so many of its entries are under a voucher."""

    items: list[JournalEntry]
    next: str | None
    signed: int
    head: str


class SentModel(Shown):
    """A transaction that the desk sent. `receipt` is the node's."""

    transaction: str
    block: int
    gas_used: int
    receipt: dict[str, Any]


class Wished(Shown):
    """What the desk will settle as soon as it can, with others in one transaction."""

    session: str
    wished_at: int


class Opened(Shown):
    """A session, and the transaction that opened it, if the desk sent it."""

    session: SessionModel
    sent: SentModel | None


# ---------------------------------------------------------------------- accounts and webhooks


class HeldModel(Shown):
    """What an account has of a token: in the escrow's balance, and in its own wallet."""

    token: str
    symbol: str
    decimals: int
    balance: str
    wallet: str


class BalancesModel(Shown):
    """An account's money."""

    account: str
    balances: list[HeldModel]


class EarningModel(Shown):
    """The advisor's part, the platform's share taken off."""

    token: str
    symbol: str
    decimals: int
    pending: str = Field(description="by vouchers in hand, not settled yet")
    settled: str = Field(description="on the chain, withdrawn or not")
    withdrawable: str = Field(description="in the escrow's balance now")


class EarningsModel(Shown):
    """What an advisor earned."""

    advisor: str
    earnings: list[EarningModel]


class WebhookWanted(Model):
    """Where to tell what happens in the account's sessions. No `kinds`: everything."""

    url: str = Field(max_length=2_000, examples=["https://example.org/honorarium"])
    kinds: list[str] = Field(
        default_factory=list,
        max_length=len(KINDS),
        description=f"of {', '.join(KINDS)}",
        examples=[["session.opened", "session.closed"]],
    )


class WebhookModel(Shown):
    """A webhook."""

    id: str
    url: str
    kinds: list[str]
    disabled: bool
    created_at: int


class WebhookMade(WebhookModel):
    """A new webhook. The secret is told this once."""

    secret: str


class WebhookList(Shown):
    """An account's webhooks."""

    items: list[WebhookModel]
    next: str | None


class DeliveryModel(Shown):
    """What became of telling one event."""

    id: int
    event: str
    kind: str
    session: str | None
    status: str = Field(description="waiting, delivered or failed")
    attempts: int
    next_at: int | None
    answered: int | None = Field(description="the last HTTP status")
    problem: str | None
    changed_at: int


class DeliveryPage(Shown):
    """Deliveries, the newest first; `next` is the cursor of the next page."""

    items: list[DeliveryModel]
    next: str | None
