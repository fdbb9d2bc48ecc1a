"""`otel_traces`: the names, types and values that panels made for the collector's exporter expect."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.benchmarks.subjects import OTEL_TRACES
from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.semconv import attributes as attr
from whodid.store import Store
from whodid.store.connection import Location, connect

START_NS = 1_700_000_000_123_456_789


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    url = f"chdb://{tmp_path_factory.mktemp('view') / 'store'}"
    store = Store.open(url)
    parent = Sent(start_ns=START_NS, span_id=b"parent00", trace_id=b"t" * 16, name="parent")
    child = Sent(
        start_ns=START_NS,
        trace_id=parent.trace_id,
        parent_id=parent.span_id,
        span_id=b"child000",
        name="execute_tool lookup_order",
        duration_ns=5_000_000,
        attributes={
            **attribution("execute_tool"),
            "text": "as it is",
            "number": 7,
            attr.GEN_AI_USAGE_INPUT_TOKENS: 12,
        },
        events={"something": {"key": "value", "count": 1}},
        error=True,
    )
    store.insert(pipeline.run([request(parent, child, service="shop", resource={"team": "a"})]), "1")
    store.close()
    opened = connect(Location.parse(url))
    yield opened
    opened.close()


def child(client: Any) -> dict[str, Any]:
    rows = client.query(
        "SELECT *, toString(Timestamp) AS at FROM whodid.otel_traces WHERE SpanId = {id:String}",
        parameters={"id": b"child000".hex()},
        tz_mode="aware",
    )
    return next(iter(rows.named_results()))


def test_it_has_the_exporters_columns_with_types_that_read_the_same(client: Any) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS otel")
    for statement in OTEL_TRACES.read_text().split(";"):
        if statement.strip():
            client.command(statement)

    def columns(database: str) -> dict[str, str]:
        rows = client.query(
            "SELECT name, type FROM system.columns "
            "WHERE database = {database:String} AND table = 'otel_traces'",
            parameters={"database": database},
        ).result_rows
        # A panel sees no difference between these.
        return {
            name: type_.replace("DateTime64(9, 'UTC')", "DateTime64(9)")
            .replace("UInt64", "Int64")
            .replace("LowCardinality(String)", "String")
            for name, type_ in rows
        }

    theirs, ours = columns("otel"), columns("whodid")
    assert theirs
    assert {name: ours.get(name) for name in theirs} == theirs
    assert set(ours) - set(theirs) == {"TenantId"}


def test_a_span_reads_as_the_exporter_would_have_written_it(client: Any) -> None:
    row = child(client)
    assert row["at"] == "2023-11-14 22:13:20.123456789"
    assert (row["TraceId"], row["ParentSpanId"]) == ((b"t" * 16).hex(), b"parent00".hex())
    assert (row["SpanName"], row["SpanKind"], row["ServiceName"]) == (
        "execute_tool lookup_order",
        "Internal",
        "shop",
    )
    assert (row["StatusCode"], row["Duration"]) == ("Error", 5_000_000)
    assert row["ResourceAttributes"] == {"service.name": "shop", "team": "a"}
    assert row["Events.Name"] == ["something"]
    assert row["Events.Attributes"] == [{"key": "value", "count": "1"}]
    roots = client.query("SELECT ParentSpanId, StatusCode FROM whodid.otel_traces WHERE SpanName = 'parent'")
    assert roots.result_rows == [("", "Unset")]


def test_attributes_with_columns_are_among_the_spans_attributes(client: Any) -> None:
    attributes = child(client)["SpanAttributes"]
    sent = attribution("execute_tool")
    for name, value in sent.items():
        text = attributes.pop(name)
        assert (json.loads(text) if isinstance(value, list) else text) == value
    assert attributes.pop(attr.GEN_AI_USAGE_INPUT_TOKENS) == "12"
    assert (attributes.pop("text"), attributes.pop("number")) == ("as it is", "7")
    # What the pipeline adds is there too, and nothing that is empty.
    assert all(attributes.values())


def test_a_traces_time_is_where_grafana_looks_for_it(client: Any) -> None:
    rows = client.query(
        "SELECT min(Start), max(End), count() FROM whodid.otel_traces_trace_id_ts "
        "WHERE TraceId = {id:String}",
        parameters={"id": (b"t" * 16).hex()},
        tz_mode="aware",
    ).result_rows
    assert rows[0][2] == 1
    assert rows[0][0] == rows[0][1]


def test_grafanas_question_for_a_trace(client: Any) -> None:
    """Of the shape that Grafana's data source for ClickHouse writes for the collector's schema."""
    pairs = "arrayMap(key -> map('key', key, 'value', \"{0}\"[key]), mapKeys(\"{0}\"))"
    rows = client.query(
        f"""WITH '{(b"t" * 16).hex()}' AS trace_id,
            (SELECT min(Start) FROM whodid.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_start,
            (SELECT max(End) + 1 FROM whodid.otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_end
        SELECT "TraceId" AS traceID, "SpanId" AS spanID, "ParentSpanId" AS parentSpanID,
            "ServiceName" AS serviceName, "SpanName" AS operationName,
            multiply(toUnixTimestamp64Nano("Timestamp"), 0.000001) AS startTime,
            multiply("Duration", 0.000001) AS duration,
            {pairs.format("SpanAttributes")} AS tags, {pairs.format("ResourceAttributes")} AS serviceTags,
            if("StatusCode" IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode,
            arrayMap((name, timestamp, attributes) ->
                tuple(name, toString(toUnixTimestamp64Milli(timestamp)),
                      arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes))),
                "Events.Name", "Events.Timestamp", "Events.Attributes") AS logs
        FROM whodid.otel_traces
        WHERE traceID = trace_id AND "Timestamp" >= trace_start AND "Timestamp" <= trace_end
        ORDER BY spanID LIMIT 1000"""
    ).named_results()
    first, second = rows
    assert (first["spanID"], second["parentSpanID"]) == (b"child000".hex(), "")
    assert (first["duration"], first["statusCode"]) == (5.0, 2)
    assert {"key": "gen_ai.tool.name", "value": "lookup_order"} in first["tags"]
    assert first["logs"][0][0] == "something"


@pytest.mark.parametrize("view", ["otel_traces", "otel_traces_trace_id_ts"])
def test_a_trace_is_looked_up_through_an_index(client: Any, view: str) -> None:
    plan = client.query(
        f"EXPLAIN indexes = 1 SELECT * FROM whodid.{view} WHERE TraceId = '{'0' * 31}1'"
    ).result_rows
    text = "\n".join(line for (line,) in plan)
    assert "by_trace_text" in text
    assert "Granules: 0/" in text
