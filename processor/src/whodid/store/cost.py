"""What a store holds and costs: rows and bytes, by table and tenant, and what the retention comes to."""

from __future__ import annotations

import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from whodid.store.layout import Layout
from whodid.store.retention import TABLES, Retention


class _Counted(BaseModel):
    model_config = ConfigDict(frozen=True)


class TableCost(_Counted):
    """One table, on one replica of each shard."""

    table: str
    rows: int
    bytes: int
    """On disk, compressed, with its indexes."""
    parts: int
    oldest_day: datetime.date | None
    """Of the rows that are there; None for an empty table."""


class TenantCost(_Counted):
    """One tenant's share of `spans`."""

    tenant: str
    spans: int
    days: int
    """On how many days it has spans."""
    retention_days: int
    """0: for good."""


class Cost(_Counted):
    """The store as a whole."""

    tables: list[TableCost]
    tenants: list[TenantCost]

    @property
    def bytes_a_span(self) -> float:
        """All tables' bytes for each span; 0 without spans."""
        spans = sum(each.rows for each in self.tables if each.table == "spans")
        return sum(each.bytes for each in self.tables) / spans if spans else 0.0

    @property
    def bytes_a_day(self) -> float:
        """What a day adds, as far as it can be told from the days that are there."""
        return self.bytes_a_span * sum(each.spans / each.days for each in self.tenants)

    @property
    def bytes_when_full(self) -> float | None:
        """What the store comes to at that rate with all periods run out once; None when some are for good."""
        if any(not each.retention_days for each in self.tenants):
            return None
        kept = sum(each.spans / each.days * each.retention_days for each in self.tenants)
        return self.bytes_a_span * kept


def measure(client: Any, layout: Layout, retention: Retention) -> Cost:
    """Reads the servers' lists of parts, and of `spans` the columns tenant and day."""
    parts = f"cluster('{layout.cluster}', system.parts)" if layout.cluster else "system.parts"
    held = {layout.rows(table).partition(".")[2]: table for table in TABLES}
    found = client.query(
        f"SELECT table, sum(rows), sum(bytes_on_disk), count(), min(min_date) FROM {parts} "
        "WHERE active AND database = {database:String} AND table IN {tables:Array(String)} GROUP BY table",
        parameters={"database": layout.database, "tables": list(held)},
    ).result_rows
    by_table = {held[str(name)]: rest for name, *rest in found}
    shares = client.query(
        "SELECT tenant_id, count(), uniqExact(day) "
        f"FROM {layout.whole('spans')} GROUP BY tenant_id ORDER BY tenant_id"
    ).result_rows
    return Cost(
        tables=[_table(table, by_table.get(table, [0, 0, 0, None])) for table in TABLES],
        tenants=[
            TenantCost(tenant=tenant, spans=spans, days=days, retention_days=retention.of(tenant))
            for tenant, spans, days in shares
        ],
    )


def _table(table: str, found: list[Any]) -> TableCost:
    rows, size_bytes, parts, oldest = found
    return TableCost(table=table, rows=rows, bytes=size_bytes, parts=parts, oldest_day=oldest)
