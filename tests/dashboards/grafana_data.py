"""What Grafana's dashboards are tried on: ordinary traffic, planted incidents, and a processor's metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.benchmarks.incident import Incident
from tests.benchmarks.incidents import plant
from tests.benchmarks.scale import DAYS, TRAFFIC, Scale
from tests.spans import request
from whodid.processor import pipeline
from whodid.store import Store

ORDINARY, VICTIM = "", "umbrella"
"""Two tenants in one store: with ordinary traffic, and with incidents."""
SPAN_COUNT = 48 * 200
METRICS = "otel"

_MAP = "Map(LowCardinality(String), String)"
_METRIC = (
    f"ResourceAttributes {_MAP}, ResourceSchemaUrl String, ScopeName String, ScopeVersion String, "
    f"ScopeAttributes {_MAP}, ScopeDroppedAttrCount UInt32, ScopeSchemaUrl String, "
    "ServiceName LowCardinality(String), MetricName String, MetricDescription String, MetricUnit String, "
    f"Attributes {_MAP}, StartTimeUnix DateTime64(9), TimeUnix DateTime64(9), Flags UInt32, "
    f"Exemplars Nested(FilteredAttributes {_MAP}, TimeUnix DateTime64(9), Value Float64, SpanId String, "
    "TraceId String)"
)
_TABLES = {
    "otel_metrics_gauge": "Value Float64",
    "otel_metrics_sum": "Value Float64, AggregationTemporality Int32, IsMonotonic Boolean",
    "otel_metrics_histogram": "Count UInt64, Sum Float64, BucketCounts Array(UInt64), "
    "ExplicitBounds Array(Float64), Min Float64, Max Float64, AggregationTemporality Int32",
}
"""The tables of a collector's ClickHouse exporter, with the names and types that it writes."""


def fill(store: Store, client: Any) -> tuple[Scale, list[Incident]]:
    """The traffic for one tenant, every incident twice for the other."""
    scale = Scale.of(SPAN_COUNT)
    traffic = TRAFFIC.read_text().replace("{database}", store.database)
    client.command(traffic, parameters=scale.parameters(0, scale.span_count))
    incidents = plant(scale.begin, DAYS)
    requests = [
        request(*spans, service=service, resource=resource)
        for incident in incidents
        for service, resource, spans in incident.requests()
    ]
    store.insert(pipeline.run(requests, tenant=VICTIM), "incidents")
    return scale, incidents


def create_metrics(client: Any) -> None:
    """The metrics' tables, empty."""
    client.command(f"CREATE DATABASE IF NOT EXISTS {METRICS}")
    for table, columns in _TABLES.items():
        client.command(
            f"CREATE TABLE IF NOT EXISTS {METRICS}.{table} ({_METRIC}, {columns}) ENGINE = MergeTree "
            "ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a processor says of itself once."""

    at: datetime
    instance: str
    stored: int
    """Spans since it was started."""
    age_s: float = 0.0
    """How long the oldest request in its spool has been waiting."""


def report(client: Any, reports: Sequence[Report]) -> None:
    """The reports as a collector's exporter writes them."""
    _insert(client, "otel_metrics_gauge", ["Value"], [row for each in reports for row in _gauges(each)])
    columns = ["Value", "AggregationTemporality", "IsMonotonic"]
    _insert(client, "otel_metrics_sum", columns, [row for each in reports for row in _counters(each)])
    columns = ["Count", "Sum", "BucketCounts", "ExplicitBounds"]
    _insert(client, "otel_metrics_histogram", columns, [row for each in reports for row in _histograms(each)])


def three_hours(until: datetime) -> list[Report]:
    """A processor that keeps up, and is started anew in the middle."""
    return [
        Report(until - timedelta(minutes=180 - minute), "one:1:0", 5_000 * (minute % 90 + 1))
        for minute in range(181)
    ]


def _gauges(said: Report) -> Iterator[tuple[Any, ...]]:
    for name, value in {
        "whodid.spool.oldest.age": said.age_s,
        "whodid.spool.size": said.age_s * 1_000,
        "whodid.spool.limit": 2.0**30,
        "whodid.store.away": float(said.age_s > 0),
    }.items():
        yield *_series(said, name, {}), value


def _counters(said: Report) -> Iterator[tuple[Any, ...]]:
    refused = {"otel.component.type": "otlp_http_receiver", "error.type": "413"}
    for name, labels, every in (
        ("whodid.store.spans", {}, 1),
        ("whodid.validator.findings", {"attribution.finding.rule": "missing_required"}, 10),
        ("whodid.receiver.requests", {"otel.component.type": "otlp_grpc_receiver"}, 100),
        ("whodid.receiver.requests", refused, 1_000),
    ):
        yield *_series(said, name, labels), float(said.stored // every), 2, True


def _histograms(said: Report) -> Iterator[tuple[Any, ...]]:
    segments = said.stored // 50
    # Nine of ten segments within a second, the tenth within ten.
    buckets, bounds = [0, segments - segments // 10, segments // 10, 0], [0.1, 1.0, 10.0]
    for name in ("whodid.store.freshness", "whodid.store.insert.duration"):
        yield *_series(said, name, {}), segments, 1.0, buckets, bounds


def _series(said: Report, name: str, labels: dict[str, str]) -> tuple[Any, ...]:
    return {"service.instance.id": said.instance}, "whodid", name, labels, said.at


def _insert(client: Any, table: str, columns: list[str], rows: Sequence[tuple[Any, ...]]) -> None:
    names = ["ResourceAttributes", "ServiceName", "MetricName", "Attributes", "TimeUnix", *columns]
    client.insert(table, rows, column_names=names, database=METRICS)
