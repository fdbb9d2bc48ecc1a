"""The views with the names of the OpenTelemetry Collector's exporter, for panels that were made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.semconv.definitions import Attribute, Column
from whodid.store import surroundings
from whodid.store.schema import registry_columns

if TYPE_CHECKING:
    from whodid.store.layout import Layout

_MAP = "Map(LowCardinality(String), String)"
_NO_PARENT = "toFixedString(unhex('0000000000000000'), 8)"


def add_indexes(layout: Layout) -> tuple[str, ...]:
    """The statements for the indexes by a trace's id as text, which `TraceId = '…'` on a view uses."""
    statements: list[str] = []
    for table in ("spans", "trace_index"):
        alter = f"ALTER TABLE {layout.rows(table)}{layout.on_cluster}"
        index = "by_trace_text"
        statements += [
            f"{alter} ADD INDEX IF NOT EXISTS {index} lower(hex(trace_id)) TYPE bloom_filter(0.001)",
            f"{alter} MATERIALIZE INDEX {index}",
        ]
    return tuple(statements)


def create_views(layout: Layout) -> tuple[str, ...]:
    """The statements for `otel_traces`, and for `otel_traces_trace_id_ts`, which has each trace's time.

    `TenantId` is ours. Attributes that have columns are among `SpanAttributes` again, values as text.
    """
    events = "arrayMap((some, others) -> mapUpdate(some, others), {0}.attributes, {0}.attributes_other)"
    nanoseconds = "toUnixTimestamp64Nano({}_time)"
    columns = {
        "Timestamp": "start_time",
        "TraceId": "lower(hex(trace_id))",
        "SpanId": "lower(hex(span_id))",
        "ParentSpanId": f"if(parent_span_id = {_NO_PARENT}, '', lower(hex(parent_span_id)))",
        "TraceState": "trace_state",
        "SpanName": "name",
        "SpanKind": "initcap(kind)",
        "ServiceName": "service_name",
        "ResourceAttributes": surroundings.as_map("resource"),
        "ScopeName": "scope_name",
        "ScopeVersion": "scope_version",
        "SpanAttributes": f"mapUpdate(mapUpdate(attributes, attributes_other), {_lifted()})",
        "Duration": f"toUInt64(greatest({nanoseconds.format('end')} - {nanoseconds.format('start')}, 0))",
        "StatusCode": "initcap(status_code)",
        "StatusMessage": "status_message",
        "Events.Timestamp": "`events.time`",
        "Events.Name": "`events.name`",
        "Events.Attributes": events.format("events"),
        "Links.TraceId": "arrayMap(id -> lower(hex(id)), `links.trace_id`)",
        "Links.SpanId": "arrayMap(id -> lower(hex(id)), `links.span_id`)",
        "Links.TraceState": "`links.trace_state`",
        "Links.Attributes": events.format("links"),
        "TenantId": "tenant_id",
    }
    bounds = {
        "TraceId": "lower(hex(trace_id))",
        "Start": "first_time",
        "End": "last_time",
        "TenantId": "tenant_id",
    }
    return (
        _view(layout, "otel_traces", columns, "spans"),
        _view(layout, "otel_traces_trace_id_ts", bounds, "trace_index"),
    )


def _view(layout: Layout, name: str, columns: dict[str, str], table: str) -> str:
    selected = ", ".join(f"{expression} AS `{alias}`" for alias, expression in columns.items())
    return (
        f"CREATE OR REPLACE VIEW {layout.whole(name)}{layout.on_cluster} "
        # As the one who asks: so the row policies on the tables hold for the views.
        f"SQL SECURITY INVOKER AS SELECT {selected} FROM {layout.whole(table)}"
    )


def _lifted() -> str:
    """The attributes that have columns as a map; an empty column means that there is none."""
    pairs = ", ".join(f"'{each.name}', {_as_text(each)}" for each in registry_columns())
    return f"CAST(mapFilter((key, value) -> value != '', map({pairs})), '{_MAP}')"


def _as_text(attribute: Attribute) -> str:
    name = attribute.column_name
    match attribute.column:
        case Column.ARRAY:
            return f"if(empty({name}), '', toJSONString({name}))"
        case Column.INT:
            return f"ifNull(toString({name}), '')"
        case _:
            return f"toString({name})"
