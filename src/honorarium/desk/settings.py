"""What a desk can be told: by flags, by the environment, by a file; the first that says it counts.

The table in docs/desk.md is made of these fields (`scripts/settings_page.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "HONORARIUM_DESK_"


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
    public_url: str | None = Field(
        None,
        description="How clients reach it, https://desk.example; without: the host and port. "
        "Wallets sign in to this address.",
    )
    name: str = Field("Honorarium desk", max_length=80, description="What it calls itself.")
    confirmations: int = Field(
        1, ge=0, description="So many blocks follow before what a block says is final."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    retention_days: int = Field(
        3650, ge=1, description="Closed sessions' journals are kept for so long (see `desk prune`)."
    )

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

    Raises pydantic's ValidationError, which names every setting that cannot be.
    """
    given = {name: value for name, value in flags.items() if value is not None}

    class FromFile(Settings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, extra="forbid", frozen=True, toml_file=file
        )

    return FromFile(**given)
