"""The tables: what OTLP defines is written here, what the conventions define comes from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.semconv import attributes as attr
from whodid.semconv.definitions import Attribute, Column
from whodid.semconv.registry import ATTRIBUTES
from whodid.store import surroundings
from whodid.store.surroundings import SURROUNDINGS

if TYPE_CHECKING:
    from whodid.store.layout import Layout

_MAP = "Map(LowCardinality(String), String)"

_SPAN_FIELDS: dict[str, str] = {
    "tenant_id": "LowCardinality(String) DEFAULT ''",
    # The partition: the span's day, or the day of its arrival where its clock cannot be right.
    "day": "Date",
    "trace_id": "FixedString(16)",
    "span_id": "FixedString(8)",
    "parent_span_id": "FixedString(8)",
    "name": "LowCardinality(String)",
    "kind": "LowCardinality(String)",
    "start_time": "DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1))",
    "end_time": "DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1))",
    "status_code": "LowCardinality(String)",
    "status_message": "String CODEC(ZSTD(1))",
    "trace_state": "String CODEC(ZSTD(1))",
    "flags": "UInt32",
    "dropped_attributes_count": "UInt32",
    "dropped_events_count": "UInt32",
    "dropped_links_count": "UInt32",
    "service_name": "LowCardinality(String)",
    "scope_name": "LowCardinality(String)",
    "scope_version": "LowCardinality(String)",
    "schema_url": "LowCardinality(String)",
    "dialect": "LowCardinality(String)",
    # What has no column: strings as they are, everything else as JSON that keeps the types apart.
    "attributes": f"{_MAP} CODEC(ZSTD(1))",
    "attributes_other": f"{_MAP} CODEC(ZSTD(1))",
    "events.time": "Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1))",
    "events.name": "Array(LowCardinality(String)) CODEC(ZSTD(1))",
    "events.attributes": f"Array({_MAP}) CODEC(ZSTD(1))",
    "events.attributes_other": f"Array({_MAP}) CODEC(ZSTD(1))",
    "links.trace_id": "Array(FixedString(16)) CODEC(ZSTD(1))",
    "links.span_id": "Array(FixedString(8)) CODEC(ZSTD(1))",
    "links.trace_state": "Array(String) CODEC(ZSTD(1))",
    "links.attributes": f"Array({_MAP}) CODEC(ZSTD(1))",
    "links.attributes_other": f"Array({_MAP}) CODEC(ZSTD(1))",
}

_FINDING_FIELDS: dict[str, str] = {
    "tenant_id": "LowCardinality(String) DEFAULT ''",
    "day": "Date",
    "trace_id": "FixedString(16)",
    "span_id": "FixedString(8)",
    "start_time": "DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1))",
    "rule": "LowCardinality(String)",
    "severity": "LowCardinality(String)",
    "attribute": "LowCardinality(String)",
    "message": "String CODEC(ZSTD(1))",
}

_COLUMN_TYPES = {
    Column.STRING: "String CODEC(ZSTD(1))",
    Column.LOW_CARDINALITY: "LowCardinality(String)",
    Column.ARRAY: "Array(String) CODEC(ZSTD(1))",
    Column.INT: "Nullable(Int64)",
}

_LOOKED_UP_BY = (
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
"""The attributes that a question starts from: each has an index that skips what cannot hold the value."""

MIN_BYTES_FOR_WIDE_PART = 256 << 20
"""A part below this is one file. A hundred columns in files of their own doubled the CPU of an insert."""

MERGED_AT_ONCE = 16
"""About how many parts of a size become one. With ClickHouse's 5 a span is written anew twice as often."""


def registry_columns() -> tuple[Attribute, ...]:
    """The attributes that have a column, in the registry's order."""
    return tuple(attribute for attribute in ATTRIBUTES.values() if attribute.column is not None)


def span_columns() -> tuple[str, ...]:
    """The columns of `spans` that an insert fills."""
    return (*_SPAN_FIELDS, *SURROUNDINGS, *(attribute.column_name for attribute in registry_columns()))


def finding_columns() -> tuple[str, ...]:
    """The columns of `findings` that an insert fills, in the table's order."""
    return tuple(_FINDING_FIELDS)


def create_tables(layout: Layout) -> tuple[str, ...]:
    """The statements that make the tables with what OTLP defines."""
    rows = f"ttl_only_drop_parts = 1, {layout.deduplication}"
    spans_rows = (
        f"{rows}, min_bytes_for_wide_part = {MIN_BYTES_FOR_WIDE_PART}, merge_selector_base = {MERGED_AT_ONCE}"
    )
    spans = (
        f"CREATE TABLE IF NOT EXISTS {layout.rows('spans')}{layout.on_cluster} "
        f"({_definitions(_SPAN_FIELDS | surroundings.fields())}, "
        "INDEX by_trace trace_id TYPE bloom_filter(0.001), INDEX by_span span_id TYPE bloom_filter(0.001)"
        f") ENGINE = {layout.engine('spans')} PARTITION BY day "
        # The time is sorted by, and not in the primary key: there it would hide from ClickHouse that a period
        # is one of five-minute steps too, and a question about an hour read every granule.
        "PRIMARY KEY (tenant_id, toStartOfFiveMinutes(start_time), trace_id) "
        "ORDER BY (tenant_id, toStartOfFiveMinutes(start_time), trace_id, start_time) "
        f"SETTINGS {spans_rows}"
    )
    findings = (
        f"CREATE TABLE IF NOT EXISTS {layout.rows('findings')}{layout.on_cluster} "
        f"({_definitions(_FINDING_FIELDS)}, INDEX by_trace trace_id TYPE bloom_filter(0.001)"
        f") ENGINE = {layout.engine('findings')} PARTITION BY day ORDER BY (tenant_id, rule, start_time) "
        f"SETTINGS {rows}"
    )
    return spans, *layout.distributed("spans"), findings, *layout.distributed("findings")


def add_registry_columns(layout: Layout) -> tuple[str, ...]:
    """The statements that give `spans` the registry's columns and indexes that it lacks; they remove none."""
    columns = [
        f"ADD COLUMN IF NOT EXISTS {attribute.column_name} {_COLUMN_TYPES[attribute.column or Column.STRING]}"
        for attribute in registry_columns()
    ]
    looked_up = [ATTRIBUTES[name].column_name for name in _LOOKED_UP_BY]
    indexes = [f"ADD INDEX IF NOT EXISTS by_{name} {name} TYPE bloom_filter(0.001)" for name in looked_up]
    alter = f"ALTER TABLE {layout.rows('spans')}{layout.on_cluster} {', '.join(columns + indexes)}"
    if not layout.cluster:
        return (alter,)
    return alter, f"ALTER TABLE {layout.whole('spans')}{layout.on_cluster} {', '.join(columns)}"


def _definitions(fields: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {definition}" for name, definition in fields.items())
