"""How long rows are kept: one TTL a table, with as many periods as tenants have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whodid.store.layout import Layout

TABLES = ("spans", "findings", "trace_index", "actions_hourly", "id_times")

DEFAULT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Retention:
    """Days after a row's day; `days` for every tenant that is not in `by_tenant`. 0 days: for good."""

    days: int = DEFAULT_DAYS
    by_tenant: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def ttl(self) -> str:
        """The expression, written as ClickHouse writes it back; empty when all is kept for good."""
        if not self.by_tenant:
            return f"day + toIntervalDay({self.days})" if self.days else ""
        tenants = ", ".join(f"'{tenant}'" for tenant in self.by_tenant)
        days = ", ".join(str(days or _FOR_GOOD_DAYS) for days in self.by_tenant.values())
        default = self.days or _FOR_GOOD_DAYS
        return f"day + toIntervalDay(transform(tenant_id, [{tenants}], [{days}], {default}))"

    @property
    def drops_parts(self) -> bool:
        """Whole parts are dropped. With several periods a part is rewritten without what is over."""
        return not self.by_tenant

    def of(self, tenant: str) -> int:
        """The days of a tenant."""
        return self.by_tenant.get(tenant, self.days)

    @property
    def description(self) -> str:
        """In words."""
        periods = [f"{self.days} days"] if self.days else ["everything for good"]
        periods += [f"{days} days of {tenant}" for tenant, days in self.by_tenant.items()]
        return ", ".join(periods)

    def statements(self, layout: Layout, table: str) -> tuple[str, ...]:
        """What sets it for a table. Only the parts' own notes of when they are over are written anew."""
        alter = f"ALTER TABLE {layout.rows(table)}{layout.on_cluster}"
        settings = f"ttl_only_drop_parts = {int(self.drops_parts)}, materialize_ttl_recalculate_only = 1"
        ttl = f"MODIFY TTL {self.ttl}" if self.ttl else "REMOVE TTL"
        return f"{alter} MODIFY SETTING {settings}", f"{alter} {ttl}"

    def pending(self, client: Any, layout: Layout) -> tuple[str, ...]:
        """What has to be done so that all tables that are there have it."""
        found = client.query(
            "SELECT name, engine_full FROM system.tables WHERE database = {database:String}",
            parameters={"database": layout.database},
        ).result_rows
        engines = {f"{layout.database}.{name}": str(engine) for name, engine in found}
        statements: list[str] = []
        for table in TABLES:
            engine = engines.get(layout.rows(table), "")
            _, _, now = engine.partition(" TTL ")
            now = now.partition(" SETTINGS ")[0]
            drops_parts = "ttl_only_drop_parts = 0" not in engine
            if engine and (now, drops_parts) != (self.ttl, self.drops_parts):
                # A TTL that is not there cannot be removed.
                statements += self.statements(layout, table)[: 2 if now or self.ttl else 1]
        return tuple(statements)


_FOR_GOOD_DAYS = 36_500
