"""Brings a store's tables to what this version needs: numbered steps, then the registry's columns."""

from __future__ import annotations

import hashlib
from typing import Any

from whodid.processor.errors import WhodidError
from whodid.store import derived, schema


class SchemaError(WhodidError):
    """The store's tables are not what this version can work with."""


def apply(client: Any, database: str, retention_days: int) -> None:
    """Creates or upgrades the tables; safe to run twice, and by two processes at once.

    Raises SchemaError when a step was applied by a version that meant something else by it.
    """
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.command(
        f"CREATE TABLE IF NOT EXISTS {database}.schema_migrations "
        "(version UInt32, checksum String, applied_at DateTime DEFAULT now()) "
        "ENGINE = MergeTree ORDER BY version"
    )
    applied = dict(client.query(f"SELECT version, checksum FROM {database}.schema_migrations").result_rows)
    for version, statements in _steps(database):
        checksum = hashlib.sha256("\n".join(statements).replace(f"{database}.", "").encode()).hexdigest()
        if version not in applied:
            for statement in statements:
                client.command(statement)
            client.command(
                f"INSERT INTO {database}.schema_migrations (version, checksum) "
                f"VALUES ({version}, '{checksum}')"
            )
        elif applied[version] != checksum:
            raise SchemaError(
                f"migration {version} of database {database} was applied in another form",
                "use the whodid version that made the store, or a new database: "
                "WHODID_STORE__DATABASE=whodid_new",
            )
        if version == 1:
            # What the later steps make may read the registry's columns.
            client.command(schema.add_registry_columns(database))
    _retain(client, database, retention_days)


def _steps(database: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Every step ever released, in order; a step that was released is never edited."""
    return (
        (1, schema.create_tables(database)),
        (2, (*derived.create_trace_index(database), *derived.create_actions_hourly(database))),
    )


def _retain(client: Any, database: str, days: int) -> None:
    for table in ("spans", "findings", "trace_index", "actions_hourly"):
        definition = str(
            client.command(
                f"SELECT engine_full FROM system.tables WHERE database = '{database}' AND name = '{table}'"
            )
        )
        has_ttl = " TTL " in definition
        if (days and f"toIntervalDay({days})" not in definition) or (has_ttl and not days):
            client.command(schema.retention(database, table, days))
