"""Scale data: a store of ordinary agent traffic with incidents in it, and the same spans in `otel_traces`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.benchmarks.subjects import OTEL_TRACES
from tests.spans import request
from whodid.processor import pipeline
from whodid.semconv.definitions import Column
from whodid.store import Store, schema

SPANS_A_SESSION = 48
CHUNK_SPANS = 2_000_000
DAYS = 6
"""Less than the days that the processor accepts, so that incidents may be anywhere."""
TRAFFIC = Path(__file__).with_name("traffic.sql")
MERGE_TIMEOUT_S = 300

# A finding in a dozen spans: what a store of well-behaved agents has.
_FINDINGS = (
    "INSERT INTO {database}.findings "
    "(day, trace_id, span_id, start_time, rule, severity, attribute, message) "
    "SELECT day, trace_id, span_id, start_time, 'missing_recommended', 'improvement', "
    "'gen_ai.provider.name', 'gen_ai.provider.name is missing; it is recommended' FROM {database}.spans "
    "WHERE gen_ai_operation_name = 'invoke_agent' AND sipHash64(span_id) % 2 = 0"
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much traffic, and when."""

    span_count: int
    begin: datetime

    @classmethod
    def of(cls, span_count: int) -> Scale:
        """So many spans, in whole sessions, in the days until now."""
        sessions = max(1, span_count // SPANS_A_SESSION)
        return cls(sessions * SPANS_A_SESSION, datetime.now(UTC) - timedelta(days=DAYS, hours=1))

    @property
    def users(self) -> int:
        """As many as leaves each about 25 sessions a week, however much traffic there is."""
        return max(20, self.span_count // SPANS_A_SESSION // 25)

    def parameters(self, first: int, count: int) -> dict[str, Any]:
        """Those of `traffic.sql` for a part of the spans."""
        sessions = self.span_count // SPANS_A_SESSION
        return {
            "users": self.users,
            "begin_ms": int(self.begin.timestamp() * 1000),
            "session_us": int(DAYS * 86_400e6 / sessions),
            "first": first,
            "count": count,
        }


@dataclass(frozen=True, slots=True)
class Filled:
    """What filling took and gave."""

    span_count: int
    traffic_s: float
    mirror_s: float
    bytes_a_span: float
    peer_bytes_a_span: float
    parts: int
    peer_parts: int


def fill(store: Store, client: Any, scale: Scale, incidents: Sequence[Any]) -> Filled:
    """Traffic, incidents through the pipeline, and then all of it as the collector's exporter writes it."""
    traffic = TRAFFIC.read_text().replace("{database}", store.database)
    began_s = time.perf_counter()
    for first in range(0, scale.span_count, CHUNK_SPANS):
        count = min(CHUNK_SPANS, scale.span_count - first)
        client.command(traffic, parameters=scale.parameters(first, count))
    traffic_s = time.perf_counter() - began_s
    client.command(_FINDINGS.replace("{database}", store.database))
    for number, incident in enumerate(incidents):
        for service, resource, spans in incident.requests():
            sealed = pipeline.run([request(*spans, service=service, resource=resource)])
            store.insert(sealed, f"incident {number} {service} {spans[0].span_id.hex()}")
    for statement in OTEL_TRACES.read_text().split(";"):
        if statement.strip():
            client.command(statement)
    began_s = time.perf_counter()
    client.command(mirror(store.database))
    mirror_s = time.perf_counter() - began_s
    settle(client)
    ours, peer = _table(client, store.database, "spans"), _table(client, "otel", "otel_traces")
    assert ours[0] == peer[0], "both tables hold the same spans"
    return Filled(ours[0], traffic_s, mirror_s, ours[1] / ours[0], peer[1] / peer[0], ours[2], peer[2])


def settle(client: Any) -> None:
    """Waits until no merge is under way, nor wanted: what is measured is not a store at work on itself."""
    deadline_s, quiet = time.monotonic() + MERGE_TIMEOUT_S, 0
    while quiet < 4 and time.monotonic() < deadline_s:
        time.sleep(0.5)
        running = client.query("SELECT count() FROM system.merges").result_rows[0][0]
        quiet = 0 if running else quiet + 1


def mirror(database: str) -> str:
    """The statement that copies `spans` into `otel_traces`, each attribute back under its own name."""
    names: list[str] = []
    values: list[str] = []
    for attribute in schema.registry_columns():
        column = attribute.column_name
        names.append(f"'{attribute.name}'")
        if attribute.column is Column.ARRAY:
            values.append(f"if(empty({column}), '', toJSONString({column}))")
        elif attribute.column is Column.INT:
            values.append(f"ifNull(toString({column}), '')")
        else:
            values.append(f"CAST({column}, 'String')")
    strings = "CAST({0}, 'Map(String, String)')"
    return f"""
INSERT INTO otel.otel_traces
WITH [{", ".join(names)}] AS names, [{", ".join(values)}] AS texts,
     mapFromArrays(arrayFilter((name, text) -> text != '', names, texts),
                   arrayFilter(text -> text != '', texts)) AS said
SELECT start_time, lower(hex(trace_id)), lower(hex(span_id)),
       if(parent_span_id = toFixedString('', 8), '', lower(hex(parent_span_id))),
       trace_state, name, kind, service_name,
       {strings.format("resource_attributes")},
       scope_name, scope_version,
       mapConcat(said, {strings.format("attributes")}, {strings.format("attributes_other")}),
       toUnixTimestamp64Nano(end_time) - toUnixTimestamp64Nano(start_time), status_code, status_message,
       `events.time`, `events.name`, `events.attributes`,
       arrayMap(id -> lower(hex(id)), `links.trace_id`), arrayMap(id -> lower(hex(id)), `links.span_id`),
       `links.trace_state`, `links.attributes`
FROM {database}.spans
SETTINGS max_insert_threads = 2, max_threads = 2, min_insert_block_size_rows = 500000
"""


def _table(client: Any, database: str, table: str) -> tuple[int, int, int]:
    """Rows, bytes and parts."""
    row = client.query(
        "SELECT sum(rows), sum(bytes_on_disk), count() FROM system.parts "
        f"WHERE active AND database = '{database}' AND table = '{table}'"
    ).result_rows[0]
    return int(row[0]), int(row[1]), int(row[2])
