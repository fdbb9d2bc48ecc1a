"""How the tables lie: in one ClickHouse (embedded or a server), or over a cluster's shards and replicas."""

from __future__ import annotations

from dataclasses import dataclass

DEDUPLICATION_WINDOW = 10_000
"""How many inserts back a token is still known. Without a window a token is ignored in silence."""

_SHARDED_BY = {"actions_hourly": "tenant_id, hour", "id_times": "id_hash"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Makes the parts of a statement that depend on it; the rest of every statement is the same everywhere.

    In a cluster each table is two: `NAME_local` holds a shard's rows, `NAME` reads and writes all of them.
    """

    database: str
    cluster: str = ""
    """The name in the servers' `remote_servers`; empty for one ClickHouse."""
    keeper: bool = True
    """False: a cluster without ClickHouse Keeper. No replicas; each shard gets the statements itself."""

    @property
    def replicated(self) -> bool:
        """Each shard's rows are on all of its replicas."""
        return bool(self.cluster) and self.keeper

    @property
    def on_cluster(self) -> str:
        """What makes a statement run on every server of the cluster."""
        return f" ON CLUSTER `{self.cluster}`" if self.replicated else ""

    def whole(self, name: str) -> str:
        """The table (or view) as it is read and written."""
        return f"{self.database}.{name}"

    def rows(self, name: str) -> str:
        """The table that holds the rows."""
        return f"{self.database}.{name}_local" if self.cluster else self.whole(name)

    def engine(self, name: str, kind: str = "MergeTree") -> str:
        """The engine of a table that holds rows. `{shard}` and `{replica}` are macros of each server."""
        if self.replicated:
            path = f"/clickhouse/tables/{{shard}}/{self.database}/{name}"
            return f"Replicated{kind}('{path}', '{{replica}}')"
        return kind

    @property
    def deduplication(self) -> str:
        """The table setting with which an insert that is sent again is known by its token."""
        replicated = "replicated" if self.replicated else "non_replicated"
        return f"{replicated}_deduplication_window = {DEDUPLICATION_WINDOW}"

    def distributed(self, name: str) -> tuple[str, ...]:
        """The statement for the table over all shards; none for one ClickHouse.

        A trace is on one shard, and so are its findings and its row of the trace index.
        """
        if not self.cluster:
            return ()
        # Some have no trace; any key will do that sends the same rows to the same shard.
        shard_by = f"cityHash64({_SHARDED_BY.get(name, 'trace_id')})"
        return (
            f"CREATE TABLE IF NOT EXISTS {self.whole(name)}{self.on_cluster} AS {self.rows(name)} "
            f"ENGINE = Distributed('{self.cluster}', '{self.database}', '{name}_local', {shard_by})",
        )
