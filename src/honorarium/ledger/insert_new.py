"""Rows that may be there already."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, *returning: Any) -> Insert:
    """An INSERT that leaves a row alone whose key is there already; `returning` columns of the new.

    Both databases mean the same by it, each in its dialect.
    """
    kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = kind(table).on_conflict_do_nothing()
    return statement.returning(*returning) if returning else statement
