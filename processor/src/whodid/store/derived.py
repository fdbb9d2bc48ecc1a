"""The tables that ClickHouse fills from `spans` by itself, through materialized views, insert by insert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.semconv import attributes as attr
from whodid.semconv.registry import ATTRIBUTES

if TYPE_CHECKING:
    from whodid.store.layout import Layout

ROLLED_UP_BY = (
    attr.GEN_AI_AGENT_NAME,
    attr.GEN_AI_OPERATION_NAME,
    attr.GEN_AI_TOOL_NAME,
    attr.ATTRIBUTION_ACTION_MODE,
    attr.ATTRIBUTION_POLICY_DECISION_OUTCOME,
    attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION,
)
"""What `actions_hourly` keeps apart. Never the principal: with it there were nearly as many rows as spans."""

LOOKED_UP = (
    attr.GEN_AI_TOOL_CALL_ID,
    attr.ATTRIBUTION_ACTION_ID,
    attr.ATTRIBUTION_CORRELATION_ID,
    attr.ATTRIBUTION_APPROVAL_ID,
    attr.ATTRIBUTION_POLICY_DECISION_ID,
    attr.ATTRIBUTION_CREDENTIAL_ID,
    attr.ATTRIBUTION_PRINCIPAL_ID,
    attr.ATTRIBUTION_TASK_ID,
    attr.SESSION_ID,
    attr.GEN_AI_CONVERSATION_ID,
)
"""The attributes that `id_times` knows by its first view. Another one is another step, with a view."""

_DAY = "day SimpleAggregateFunction(max, Date)"


def create_trace_index(layout: Layout) -> tuple[str, ...]:
    """The statements for `trace_index`: between which start times a trace's spans are.

    The sort key of `spans` begins with the time: without these bounds, each part has to be looked at.
    One trace may have several rows (one a week, and one an insert until they are merged): take `min`, `max`.
    """
    time = "SimpleAggregateFunction({}, DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1))"
    columns = (
        f"tenant_id LowCardinality(String), trace_id FixedString(16), {_DAY}, "
        f"first_time {time.format('min')}, last_time {time.format('max')}"
    )
    rows = (
        "SELECT tenant_id, trace_id, max(spans.day) AS day, min(start_time) AS first_time, "
        f"max(start_time) AS last_time FROM {layout.rows('spans')} AS spans "
        "GROUP BY tenant_id, trace_id, toMonday(spans.day)"
    )
    # Small granules: a look-up reads one of each part.
    settings = "index_granularity = 1024"
    return _filled(layout, "trace_index", columns, "tenant_id, trace_id", rows, settings)


def create_actions_hourly(layout: Layout) -> tuple[str, ...]:
    """The statements for `actions_hourly`: spans of an operation, by agent, tool, mode and decision.

    It counts spans, and an action may have several: to count actions, take one operation and leave out what a
    tool's server says of it (`kind = 'SERVER'`). A span that is sent again in another request counts again.
    """
    labels = ["service_name", "kind", *(ATTRIBUTES[name].column_name for name in ROLLED_UP_BY)]
    key = ", ".join(["tenant_id", "hour", *labels])
    count = "SimpleAggregateFunction(sum, UInt64)"
    columns = (
        f"tenant_id LowCardinality(String), {_DAY}, "
        # 64 bits: in DateTime an impossible clock's time would come around to a possible one.
        "hour DateTime64(0, 'UTC') CODEC(Delta, ZSTD(1)), "
        f"{', '.join(f'{name} LowCardinality(String)' for name in labels)}, actions {count}, errors {count}"
    )
    rows = (
        "SELECT tenant_id, max(spans.day) AS day, "
        "toDateTime64(intDiv(toUnixTimestamp64Nano(start_time), 3600000000000) * 3600, 0, 'UTC') AS hour, "
        f"{', '.join(labels)}, count() AS actions, countIf(status_code = 'ERROR') AS errors "
        f"FROM {layout.rows('spans')} AS spans "
        f"WHERE {ATTRIBUTES[attr.GEN_AI_OPERATION_NAME].column_name} != '' "
        f"GROUP BY {key}, toMonday(spans.day)"
    )
    return _filled(layout, "actions_hourly", columns, key, rows)


def create_id_times(layout: Layout) -> tuple[str, ...]:
    """The statements for `id_times`: in which five minutes there are spans with an id.

    With them a look-up goes to the few granules of `spans` that it wants, by the sort key. The bloom filters
    on `spans` answer the same, and are read whole for it: ten times the spans, ten times the reading.
    A row is a hash and a step, seven bytes on disk: what is found is compared with the id itself.
    """
    columns = (
        "tenant_id LowCardinality(String), id_hash UInt32, step DateTime('UTC') CODEC(ZSTD(1)), "
        "day Date CODEC(ZSTD(1))"
    )
    names = [ATTRIBUTES[name].column_name for name in LOOKED_UP]
    hashes = ", ".join(f"if({name} = '', 0, toUInt32(cityHash64('{name}', {name})))" for name in names)
    # A set of hashes for each step costs a third of what grouping by the hashes does.
    rows = (
        # In the table's order, for the back-fill goes by it.
        "SELECT tenant_id, "
        f"arrayJoin(groupUniqArrayArray(arrayFilter(hash -> hash != 0, [{hashes}]))) AS id_hash, "
        "toStartOfFiveMinutes(start_time) AS step, spans.day AS day "
        f"FROM {layout.rows('spans')} AS spans GROUP BY tenant_id, step, day"
    )
    key = "tenant_id, id_hash, step, day"
    return _filled(layout, "id_times", columns, key, rows, "index_granularity = 1024")


def create_id_times_of_origins(layout: Layout) -> tuple[str, ...]:
    """The statements by which `id_times` knows in which five minutes a trace's results came out of a cache.

    Who was served them is asked from the trace on, and may be at any time after it: without these times every
    span since then was read.
    """
    column = ATTRIBUTES[attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID].column_name
    rows = (
        f"SELECT tenant_id, toUInt32(cityHash64('{column}', {column})) AS id_hash, "
        "toStartOfFiveMinutes(start_time) AS step, spans.day AS day "
        f"FROM {layout.rows('spans')} AS spans WHERE {column} != '' GROUP BY tenant_id, id_hash, step, day"
    )
    view, backfill = _filling(layout, "id_times", "id_times_of_origins", rows)
    return view, backfill


def _filled(
    layout: Layout, name: str, columns: str, key: str, rows: str, settings: str = "index_granularity = 8192"
) -> tuple[str, ...]:
    """A table, the view that fills it, and the statement that fills it with what is in the store already."""
    table = (
        f"CREATE TABLE IF NOT EXISTS {layout.rows(name)}{layout.on_cluster} ({columns}) "
        f"ENGINE = {layout.engine(name, 'AggregatingMergeTree')} "
        # By the week: a look-up by trace id goes through all partitions' parts; by the day these are many.
        f"PARTITION BY toMonday(day) ORDER BY ({key}) "
        # A view's target knows an insert again by its source's token, if it has a window of its own.
        f"SETTINGS ttl_only_drop_parts = 1, {settings}, {layout.deduplication}"
    )
    return table, *layout.distributed(name), *_filling(layout, name, name, rows)


def _filling(layout: Layout, table: str, name: str, rows: str) -> tuple[str, str]:
    """The view that fills a table, and the statement that fills it with what is in the store already.

    That last one is sent with a token and as one block, so that twice, or by two processes, is once.
    """
    view = (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {layout.database}.{name}_view{layout.on_cluster} "
        f"TO {layout.rows(table)} AS {rows}"
    )
    # Without Keeper each shard gets this itself, and the other shards may have no tables yet.
    everywhere = layout.whole if layout.replicated else layout.rows
    backfill = (
        f"INSERT INTO {everywhere(table)} {rows.replace(layout.rows('spans'), everywhere('spans'))} "
        f"SETTINGS insert_deduplication_token = 'what was there before {name}', "
        "insert_deduplicate = 1, distributed_foreground_insert = 1, max_insert_threads = 1, "
        "min_insert_block_size_rows = 1000000000, min_insert_block_size_bytes = 0"
    )
    return view, backfill
