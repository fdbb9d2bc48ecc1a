"""The tables that ClickHouse fills from `spans` by itself, through materialized views, insert by insert."""

from __future__ import annotations

from whodid.semconv import attributes as attr
from whodid.semconv.registry import ATTRIBUTES
from whodid.store.schema import DEDUPLICATION_WINDOW

ROLLED_UP_BY = (
    attr.GEN_AI_AGENT_NAME,
    attr.GEN_AI_OPERATION_NAME,
    attr.GEN_AI_TOOL_NAME,
    attr.ATTRIBUTION_ACTION_MODE,
    attr.ATTRIBUTION_POLICY_DECISION_OUTCOME,
    attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION,
)
"""What `actions_hourly` keeps apart. Never the principal: with it there were nearly as many rows as spans."""

_TABLE = (
    "ENGINE = AggregatingMergeTree "
    # By the week: a look-up by trace id goes through the parts of all partitions; by the day these are many.
    "PARTITION BY toMonday(day) ORDER BY ({key}) "
    # A view's target drops a repeated insert by the same token as its source, if it has a window of its own.
    f"SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
)

_DAY = "day SimpleAggregateFunction(max, Date)"


def create_trace_index(database: str) -> tuple[str, ...]:
    """The statements for `trace_index`: between which start times a trace's spans are.

    The sort key of `spans` begins with the time: without these bounds, each part has to be looked at.
    One trace may have several rows (one a week, and one an insert until they are merged): take `min`, `max`.
    """
    time = "SimpleAggregateFunction({}, DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1))"
    table = (
        f"CREATE TABLE IF NOT EXISTS {database}.trace_index ("
        f"tenant_id LowCardinality(String), trace_id FixedString(16), {_DAY}, "
        f"first_time {time.format('min')}, last_time {time.format('max')}) "
        f"{_TABLE.format(key='tenant_id, trace_id')}, index_granularity = 1024"
    )
    rows = (
        "SELECT tenant_id, trace_id, max(spans.day) AS day, min(start_time) AS first_time, "
        f"max(start_time) AS last_time FROM {database}.spans "
        "GROUP BY tenant_id, trace_id, toMonday(spans.day)"
    )
    return table, _view(database, "trace_index", rows)


def create_actions_hourly(database: str) -> tuple[str, ...]:
    """The statements for `actions_hourly`: spans of an operation, by agent, tool, mode and decision.

    It counts spans, and an action may have several: to count actions, take one operation and leave out what a
    tool's server says of it (`kind = 'SERVER'`). A span that is sent again in another request counts again.
    """
    labels = ["service_name", "kind", *(ATTRIBUTES[name].column_name for name in ROLLED_UP_BY)]
    key = ", ".join(["tenant_id", "hour", *labels])
    columns = ", ".join(f"{name} LowCardinality(String)" for name in labels)
    count = "SimpleAggregateFunction(sum, UInt64)"
    table = (
        f"CREATE TABLE IF NOT EXISTS {database}.actions_hourly (tenant_id LowCardinality(String), {_DAY}, "
        # 64 bits: in DateTime an impossible clock's time would come around to a possible one.
        f"hour DateTime64(0, 'UTC') CODEC(Delta, ZSTD(1)), {columns}, actions {count}, errors {count}) "
        f"{_TABLE.format(key=key)}"
    )
    rows = (
        "SELECT tenant_id, max(spans.day) AS day, "
        "fromUnixTimestamp64Second(intDiv(toUnixTimestamp64Second(start_time), 3600) * 3600, 'UTC') AS hour, "
        f"{', '.join(labels)}, count() AS actions, countIf(status_code = 'ERROR') AS errors "
        f"FROM {database}.spans WHERE {ATTRIBUTES[attr.GEN_AI_OPERATION_NAME].column_name} != '' "
        f"GROUP BY {key}, toMonday(spans.day)"
    )
    return table, _view(database, "actions_hourly", rows)


def _view(database: str, target: str, rows: str) -> str:
    return f"CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.{target}_view TO {database}.{target} AS {rows}"
