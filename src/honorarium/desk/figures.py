"""What a replica counts, for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Figures:
    """The figures of one replica, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter(
            "honorarium_requests", "Requests answered", ("method", "route", "status"), registry=own
        )
        self.seconds = Histogram(
            "honorarium_request_seconds",
            "How long requests took",
            ("method", "route"),
            buckets=_SECONDS,
            registry=own,
        )
        self.sockets = Gauge("honorarium_sockets", "Open WebSockets and streams", registry=own)
        self.refused = Counter(
            "honorarium_refused", "Requests refused by a limit", ("limit",), registry=own
        )
        self.relayed = Counter(
            "honorarium_relayed", "Signed actions relayed", ("action", "outcome"), registry=own
        )
        self.relay_gwei = Counter("honorarium_relay_gwei", "What relaying cost", registry=own)
        self.vouchers = Gauge(
            "honorarium_vouchers_taken", "Vouchers acknowledged since the start", registry=own
        )
        self.commits = Gauge(
            "honorarium_voucher_commits", "Transactions that they took", registry=own
        )
        self.settlements = Gauge(
            "honorarium_settlements",
            "Settlements in the ledger, of all replicas",
            ("outcome",),
            registry=own,
        )
        self.behind = Gauge(
            "honorarium_blocks_behind", "Blocks that the watcher has not read yet", registry=own
        )
        self.deliveries = Counter(
            "honorarium_deliveries", "Attempts to tell webhooks", ("outcome",), registry=own
        )
        self.relayer_balance = Gauge(
            "honorarium_relayer_balance_coins", "What the relayer can pay gas with", registry=own
        )
        self.agents = Gauge("honorarium_agents", "Advisors' agents connected here", registry=own)
        self.replicas = Gauge("honorarium_replicas", "Replicas of this desk alive", registry=own)
        self.sessions = Gauge(
            "honorarium_sessions", "Sessions in the ledger", ("status",), registry=own
        )

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)
