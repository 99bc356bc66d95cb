"""What a desk can be told: by flags, by the environment, by a file; the first that says it counts.

The table in docs/desk.md is made of these fields (`scripts/settings_page.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX: Final = "HONORARIUM_DESK_"


def _an_address(text: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError(f"{text!r} is no address: it has 0x and 40 hexadecimal digits")
    return text


def _a_place(url: str) -> str:
    """Wallets sign in to it, and programs compare it: it says how it is reached, and no more."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not of the form https://desk.example")
    return url


AddressText = Annotated[str, AfterValidator(_an_address)]


class Settings(BaseSettings):
    """The settings of one desk. Every replica of it has the same, but for `host` and `port`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    rpc: str = Field("http://127.0.0.1:8545", description="The node's address.")
    manifest: Path | None = Field(
        None, description="The deployment's file; without: found as the SDK finds it."
    )
    ledger: str = Field(
        "desk.sqlite3",
        description="The database: a file for SQLite, or postgresql://user:password@host/name.",
    )
    host: str = Field("127.0.0.1", description="Where it listens.")
    port: int = Field(8470, ge=1, le=65535, description="The port on which it listens.")
    public_url: Annotated[str, AfterValidator(_a_place)] | None = Field(
        None,
        description="How clients reach it, https://desk.example; without: the host and port. "
        "Wallets sign in to this address.",
    )
    name: str = Field("Honorarium desk", max_length=80, description="What it calls itself.")
    confirmations: int = Field(
        1, ge=1, description="So many blocks, its own included, make final what a block says."
    )
    look_seconds: float = Field(
        1.0, gt=0, description="So often it looks for new blocks of the chain."
    )
    settle_seconds: float = Field(
        5.0,
        gt=0,
        description="So often it looks for what is worth settling; leaving counts at once.",
    )
    settle_idle: int = Field(
        300, ge=1, description="A session is settled so many seconds after its last voucher."
    )
    settle_worth: int = Field(
        100, ge=1, description="Or once it brings so many times what its row of a batch costs."
    )
    settle_floor: int | None = Field(
        None,
        ge=1,
        description="Base units that a session has to bring, for tokens whose price is not in "
        "`coin_prices`; without: such tokens are neither settled nor "
        "relayed, but for the test token.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error."
    )
    retention_days: int = Field(
        3650, ge=1, description="Closed sessions' journals are kept for so long (see `desk prune`)."
    )

    # ------------------------------------------------------------------ who may ask for how much

    advisors: tuple[AddressText, ...] | None = Field(
        None, description="The addresses that may enrol as advisors; without: whoever signs in."
    )
    token_hours: int = Field(24, ge=1, le=720, description="So long a sign-in counts.")
    requests_per_minute: int = Field(
        6_000, ge=1, description="Requests from one network address (IPv6: one /64)."
    )
    relays_per_minute: int = Field(
        600, ge=1, description="Transactions that it relays for one network address."
    )
    relays_per_account: int = Field(
        120, ge=1, description="Transactions a minute that it relays for one client or account."
    )
    gas_budget: float = Field(
        100.0, gt=0, description="Whole coins of gas that it relays for in a day, altogether."
    )
    gas_budget_per_account: float = Field(
        10.0, gt=0, description="Of them, for one advisor's sessions or one account."
    )
    gas_per_relay: int = Field(
        1_000_000, ge=100_000, description="Gas that one relayed transaction may use."
    )
    relayer_low: float = Field(
        0.01, ge=0, description="Whole coins below which the relayer relays no more, to settle."
    )
    coin_prices: dict[AddressText, int] = Field(
        default_factory=dict,
        description="For a token's address, how many of its base units a whole coin costs.",
    )
    deposit_per_gas: float = Field(
        1.0,
        ge=0,
        description="What a relayed opening, top-up or deposit pays in is worth so many times its "
        "gas, where the token's price is known; elsewhere it is `settle_floor` at least.",
    )
    answers_hours: int = Field(
        24, ge=1, description="So long an answer is kept for the same Idempotency-Key."
    )
    agent_seconds: float = Field(
        15.0, gt=0, description="So long an advisor's agent has to sign a quote."
    )
    webhooks_private: bool = Field(
        False, description="Webhooks may be of http and at private addresses (for tests)."
    )
    webhook_seconds: float = Field(
        5.0, gt=0, description="The first wait before a webhook is told again; then ever longer."
    )

    # ------------------------------------------------------------------ how much at once

    body_bytes: int = Field(262_144, ge=1_024, description="The longest body or frame.")
    body_seconds: float = Field(10.0, gt=0, description="So long a body may take to arrive.")
    head_seconds: float = Field(10.0, gt=0, description="So long a request's head may take.")
    idle_seconds: int = Field(20, ge=1, description="So long a quiet connection is kept.")
    connections: int = Field(10_000, ge=1, description="Connections at once.")
    sockets_per_address: int = Field(
        2_000, ge=1, description="WebSockets and event streams of one network address at once."
    )
    trusted_proxies: str = Field(
        "", description="Proxies that may name the client's address: addresses, between commas."
    )
    origins: tuple[str, ...] = Field(
        (), description="Web pages that may ask (CORS), by origin: https://shop.example; `*`: all."
    )
    log_blocks: int = Field(10_000, ge=1, description="Blocks of one eth_getLogs on /v1/chain.")
    chain_gas: int = Field(30_000_000, ge=100_000, description="Gas of one eth_call on /v1/chain.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def url(self) -> str:
        """How clients reach it."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load_settings(file: Path | None = None, **flags: Any) -> Settings:
    """The settings; flags that are None were not given.

    Raises pydantic's ValidationError, which names every setting that cannot be, and SettingsError;
    OSError and TOMLDecodeError for the file.
    """
    if file is not None:
        with file.open("rb"):  # pydantic takes one that is not there for an empty one
            pass
    given = {name: value for name, value in flags.items() if value is not None}

    class FromFile(Settings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, extra="forbid", frozen=True, toml_file=file
        )

    return FromFile(**given)


def unknown_variables(environment: Iterable[str] = os.environ) -> list[str]:
    """Variables that are named as settings are, and name none: a mistyped one says nothing else."""
    return sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX)
        and name.upper().removeprefix(PREFIX).lower() not in Settings.model_fields
    )
