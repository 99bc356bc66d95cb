"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "advisors",
        sa.Column("address", sa.LargeBinary(length=20), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.Column(
            "message", sa.Text(), nullable=False, comment="what they signed to enrol (EIP-4361)"
        ),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column(
            "acknowledger",
            sa.LargeBinary(length=20),
            nullable=False,
            comment="who that says may answer",
        ),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("position", COUNTER, nullable=False, comment="the order of cursors"),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_advisors")),
        sa.UniqueConstraint("position", name=op.f("uq_advisors_position")),
    )
    op.create_table(
        "agents",
        sa.Column("connection", sa.String(length=40), nullable=False),
        sa.Column("advisor", sa.LargeBinary(length=20), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_agents")),
        comment="The agents that are connected, to whichever replica.",
    )
    op.create_index("ix_agents_advisor", "agents", ["advisor", "seen_at"], unique=False)
    op.create_table(
        "answers",
        sa.Column(
            "scope",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="digest of who asks, and what",
        ),
        sa.Column(
            "digest", sa.LargeBinary(length=32), nullable=False, comment="of the request's body"
        ),
        sa.Column("holder", sa.String(length=40), nullable=True, comment="who works on it"),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="none while it is worked on"),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_answers")),
    )
    op.create_index("ix_answers_expires_at", "answers", ["expires_at"], unique=False)
    op.create_table(
        "asks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("advisor", sa.LargeBinary(length=20), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False, comment="JSON, as in a quote"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "taken_by",
            sa.String(length=40),
            nullable=True,
            comment="the connection that passes it on",
        ),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("declined", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asks")),
    )
    op.create_index("ix_asks_advisor", "asks", ["advisor", "taken_by"], unique=False)
    op.create_index("ix_asks_expires_at", "asks", ["expires_at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("batch", sa.String(length=40), nullable=False),
        sa.Column("replica", sa.String(length=40), nullable=False, comment="who works on it"),
        sa.Column("state", sa.String(length=6), nullable=False, comment="busy, done, failed"),
        sa.Column("transaction_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.Column("gas_used", sa.BigInteger(), nullable=True),
        sa.Column("gas_price", sa.String(length=80), nullable=True, comment="wei per gas"),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch", name=op.f("pk_batches")),
        comment="Settlements: one transaction each.",
    )
    op.create_index("ix_batches_state", "batches", ["state", "replica"], unique=False)
    op.create_table(
        "blocks",
        sa.Column("number", COUNTER, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_blocks")),
        comment="The latest blocks, to tell when the chain has changed its mind.",
    )
    op.create_table(
        "counted",
        sa.Column("chain", sa.String(length=80), nullable=False),
        sa.Column("account", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False, comment="none below is free"),
        sa.PrimaryKeyConstraint("chain", "account", name=op.f("pk_counted")),
    )
    op.create_table(
        "events",
        sa.Column("id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_session_id", "events", ["session_id", "id"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
        comment="What the whole ledger is of: the chain, its first block, the contracts.",
    )
    op.create_table(
        "nonces",
        sa.Column("nonce", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_nonces")),
        comment="What the desk gave out to be signed, once.",
    )
    op.create_index("ix_nonces_expires_at", "nonces", ["expires_at"], unique=False)
    op.create_table(
        "replicas",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_replicas")),
        comment="The processes of the desk. Each holds a lock of its name while it lives.",
    )
    op.create_table(
        "sent",
        sa.Column("chain", sa.String(length=80), nullable=False),
        sa.Column("account", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column(
            "purpose",
            sa.String(length=200),
            nullable=True,
            comment="the idempotency key, if one was given",
        ),
        sa.Column(
            "content",
            sa.LargeBinary(length=32),
            nullable=True,
            comment="the digest of what it was given for",
        ),
        sa.Column(
            "fate",
            sa.String(length=6),
            server_default="open",
            nullable=False,
            comment="open, mined, passed (another attempt was mined), void (it can never count)",
        ),
        sa.Column("signed", sa.Float(), nullable=False, comment="when, by the replica's clock"),
        sa.Column(
            "told", sa.Integer(), server_default="0", nullable=False, comment="a node has taken it"
        ),
        sa.PrimaryKeyConstraint(
            "chain", "account", "nonce", "attempt", "hash", name=op.f("pk_sent")
        ),
        comment="The transactions of the relayer, signed, before and after they are sent.",
    )
    op.create_index("ix_sent_fate", "sent", ["account", "chain", "fate", "nonce"], unique=False)
    op.create_index("ix_sent_hash", "sent", ["hash", "account", "chain"], unique=True)
    op.create_index(
        "ix_sent_purpose",
        "sent",
        ["account", "chain", "purpose"],
        unique=True,
        sqlite_where=sa.text("purpose IS NOT NULL AND attempt = 0 AND fate != 'void'"),
        postgresql_where=sa.text("purpose IS NOT NULL AND attempt = 0 AND fate != 'void'"),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("advisor", sa.LargeBinary(length=20), nullable=False),
        sa.Column("client", sa.LargeBinary(length=20), nullable=False),
        sa.Column("payer", sa.LargeBinary(length=20), nullable=False),
        sa.Column("token", sa.LargeBinary(length=20), nullable=False),
        sa.Column(
            "document",
            sa.Text(),
            nullable=False,
            comment="the quote, as people send it to each other",
        ),
        sa.Column(
            "status",
            sa.String(length=8),
            nullable=False,
            comment="quoted, open, closing, closed, revoked",
        ),
        sa.Column("deposit", sa.String(length=80), nullable=False),
        sa.Column(
            "earned",
            sa.String(length=80),
            nullable=False,
            comment="on chain, the platform's share too",
        ),
        sa.Column("settled_units", sa.BigInteger(), nullable=False, comment="on chain"),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("closing_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("opened_block", sa.BigInteger(), nullable=True),
        sa.Column("open_before", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "wished_at", sa.BigInteger(), nullable=True, comment="the advisor asked to settle"
        ),
        sa.Column("position", COUNTER, nullable=False, comment="the order of cursors"),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("position", name=op.f("uq_sessions_position")),
    )
    op.create_index("ix_sessions_advisor", "sessions", ["advisor", "position"], unique=False)
    op.create_index("ix_sessions_client", "sessions", ["client", "position"], unique=False)
    op.create_index("ix_sessions_payer", "sessions", ["payer", "position"], unique=False)
    op.create_index("ix_sessions_status", "sessions", ["status", "changed_at"], unique=False)
    op.create_index(
        "ix_sessions_wished_at",
        "sessions",
        ["wished_at"],
        unique=False,
        sqlite_where=sa.text("wished_at IS NOT NULL"),
        postgresql_where=sa.text("wished_at IS NOT NULL"),
    )
    op.create_table(
        "spending",
        sa.Column("day", sa.BigInteger(), nullable=False, comment="days since 1970 (UTC)"),
        sa.Column("account", sa.LargeBinary(length=20), nullable=False),
        sa.Column("gwei", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "account", name=op.f("pk_spending")),
        comment="What the relayer's transactions for an account may have cost.",
    )
    op.create_table(
        "tokens",
        sa.Column(
            "hash",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="of the token, which nobody keeps",
        ),
        sa.Column("account", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.String(length=40), nullable=False, comment="what was signed for it"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_tokens")),
    )
    op.create_index("ix_tokens_expires_at", "tokens", ["expires_at"], unique=False)
    op.create_table(
        "touched",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number", "session_id", name=op.f("pk_touched")),
        comment="The sessions of which the latest blocks say something.",
    )
    op.create_index("ix_touched_session_id", "touched", ["session_id"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account", sa.LargeBinary(length=20), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False, comment="between commas; empty: all"),
        sa.Column(
            "secret", sa.String(length=80), nullable=False, comment="deliveries are signed with it"
        ),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_account", "webhooks", ["account", "created_at"], unique=False)
    op.create_table(
        "claims",
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("batch", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["batch"], ["batches.batch"], name=op.f("fk_claims_batch")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name=op.f("fk_claims_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_claims")),
        comment="Sessions that a batch is settling just now.",
    )
    op.create_index("ix_claims_batch", "claims", ["batch"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("webhook", sa.String(length=40), nullable=False),
        sa.Column("event", COUNTER, nullable=False),
        sa.Column(
            "status", sa.String(length=10), nullable=False, comment="waiting, delivered, failed"
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=True, comment="the last HTTP status"),
        sa.Column(
            "problem", sa.String(length=200), nullable=True, comment="why the last attempt failed"
        ),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event"], ["events.id"], name=op.f("fk_deliveries_event"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["webhook"], ["webhooks.id"], name=op.f("fk_deliveries_webhook"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_due", "deliveries", ["status", "next_at"], unique=False)
    op.create_index("ix_deliveries_webhook", "deliveries", ["webhook", "id"], unique=False)
    op.create_table(
        "readings",
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("journal", sa.LargeBinary(length=32), nullable=True),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=True),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name=op.f("fk_readings_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_readings")),
        comment="The best voucher of each session.",
    )
    op.create_table(
        "records",
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name=op.f("fk_records_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "seq", name=op.f("pk_records")),
        comment="What else the books know: entries, deposits, the advisor's own count, evidence.",
    )
    op.create_table(
        "settlements",
        sa.Column("batch", sa.String(length=40), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("journal", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("before", sa.String(length=80), nullable=False, comment="what was earned before"),
        sa.Column(
            "reason", sa.String(length=10), nullable=False, comment="why it was settled just then"
        ),
        sa.Column(
            "outcome",
            sa.String(length=8),
            nullable=False,
            comment="claimed, settled, skipped, undone",
        ),
        sa.Column(
            "brought",
            sa.String(length=80),
            nullable=True,
            comment="base units, the platform's share too",
        ),
        sa.Column("refusal", sa.Text(), nullable=True, comment="why it was skipped"),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["batch"], ["batches.batch"], name=op.f("fk_settlements_batch")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.session_id"],
            name=op.f("fk_settlements_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch", "row", name=op.f("pk_settlements")),
        comment="One row of a batch each.",
    )
    op.create_index(
        "ix_settlements_session_id", "settlements", ["session_id", "done_at"], unique=False
    )
    op.create_table(
        "tariffs",
        sa.Column("advisor", sa.LargeBinary(length=20), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("document", sa.Text(), nullable=False, comment="JSON, as the advisor gave it"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["advisor"], ["advisors.address"], name=op.f("fk_tariffs_advisor"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("advisor", "name", name=op.f("pk_tariffs")),
    )
