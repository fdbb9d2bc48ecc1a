"""What a store notes of itself: the steps applied to it, and what its generated parts were made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from whodid.store.layout import Layout

_TABLE = "schema_migrations"


@dataclass(frozen=True, slots=True)
class Ledger:
    """As read from the store."""

    exists: bool = False
    steps: dict[int, str] = field(default_factory=dict[int, str])
    """The checksum of each step that was applied."""
    generated: dict[str, str] = field(default_factory=dict[str, str])
    """The last checksum of each part that follows the registry."""


def read(client: Any, layout: Layout) -> Ledger:
    """The ledger; empty for a database without one."""
    there = client.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = {name:String}",
        parameters={"database": layout.database, "name": _TABLE},
    ).result_rows[0][0]
    if not there:
        return Ledger()
    rows = client.query(
        "SELECT version, name, argMax(checksum, applied_at) "
        f"FROM {layout.whole(_TABLE)} GROUP BY version, name"
    ).result_rows
    return Ledger(
        exists=True,
        steps={version: checksum for version, _, checksum in rows if version},
        generated={name: checksum for version, name, checksum in rows if not version},
    )


def create(layout: Layout) -> tuple[str, ...]:
    """The statements for the database and the ledger in it. One ledger for all shards and replicas."""
    path = f"/clickhouse/tables/{layout.database}/{_TABLE}"
    replicated = f"ReplicatedMergeTree('{path}', '{{shard}}-{{replica}}')"
    engine = replicated if layout.replicated else "MergeTree"
    return (
        f"CREATE DATABASE IF NOT EXISTS {layout.database}{layout.on_cluster}",
        f"CREATE TABLE IF NOT EXISTS {layout.whole(_TABLE)}{layout.on_cluster} "
        "(version UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) "
        f"ENGINE = {engine} ORDER BY (version, name)",
    )


def note(layout: Layout, version: int, name: str, checksum: str) -> str:
    """The statement that notes a step, or as version 0 a generated part."""
    columns = "(version, name, checksum)"
    return f"INSERT INTO {layout.whole(_TABLE)} {columns} SELECT {version}, '{name}', '{checksum}'"
