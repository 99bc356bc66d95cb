"""Structured logs: a line of JSON each, and no secrets in them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

_SECRET_NAMES: Final = re.compile(
    r"token|authorization|secret|password|signature|private|cookie|api_?key|keystore|raw$|^key$",
    re.IGNORECASE,
)
_SECRET_WORDS: Final = re.compile(
    r"hon_[A-Za-z0-9_-]{8,}"  # tokens
    r"|whsec_[A-Za-z0-9+/=_-]{8,}"  # webhooks' secrets
    r"|(?i:bearer)\s+\S+"
    r"|(?i:access_token)=[^\s&\"']+"
    r"|(?:0x)?[0-9a-fA-F]{128,}"  # signatures and calldata
    r"|://[^/\s:@]+:[^/\s@]+@"  # users and passwords of databases and nodes
)
HIDDEN: Final = "[hidden]"


def hide(value: Any) -> Any:
    """The value without what nobody should read in a log."""
    if isinstance(value, str):
        return _SECRET_WORDS.sub(HIDDEN, value)
    if isinstance(value, bytes):
        return hide("0x" + value.hex())
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if _SECRET_NAMES.search(str(name)) else hide(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [hide(each) for each in value]
    return value


def _without_secrets(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    found = hide(event)
    assert isinstance(found, dict)
    return found


def set_up(level: str = "info", stream: Any = None) -> None:
    """Everything that is logged, by whomever, goes to `stream` (None: stderr) as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [
        structlog.processors.format_exc_info,
        _without_secrets,
        structlog.processors.JSONRenderer(default=str),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in (
        "uvicorn.access",
        "sqlalchemy.engine",
        "httpx",
        "aiohttp.access",
        "alembic",
        "web3.providers",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
