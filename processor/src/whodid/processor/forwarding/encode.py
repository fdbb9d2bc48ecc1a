"""Encodes a batch as OTLP requests: redacted, with the canonical attributes and the processor's own.

A message a span: the endpoint sets the pace of forwarding, and the messages of OTLP's own library are right.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from whodid.processor.arrow import pa
from whodid.processor.batch import Batch, Kind
from whodid.processor.stages.decode import SPAN_KINDS, STATUS_CODES

MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""gRPC takes 4 MiB where nobody says otherwise."""
_SPANS_AT_ONCE = 1000

Values = dict[str, list[Any]]
Attributes = list[tuple[str, AnyValue]]


def requests(batch: Batch) -> Iterator[bytes]:
    """The batch as serialized ExportTraceServiceRequests, the same ones every time."""
    attributes = _span_attributes(batch)
    for first in range(0, batch.row_count, _SPANS_AT_ONCE):
        rows = batch.spans.slice(first, _SPANS_AT_ONCE)
        yield from _fitting(rows, attributes[first : first + _SPANS_AT_ONCE])


def _fitting(rows: Any, attributes: list[Attributes]) -> Iterator[bytes]:
    """In as many requests as it takes for each to be short enough; a span is never cut."""
    encoded = _request(rows, attributes)
    if len(encoded) <= MAX_REQUEST_BYTES or rows.num_rows < 2:
        yield encoded
        return
    half = rows.num_rows // 2
    yield from _fitting(rows.slice(0, half), attributes[:half])
    yield from _fitting(rows.slice(half), attributes[half:])


def _request(rows: Any, attributes: list[Attributes]) -> bytes:
    message = ExportTraceServiceRequest()
    columns: Values = {
        name: rows.column(name).to_pylist() for name in rows.column_names if "time" not in name
    }
    columns |= {
        name: rows.column(name).combine_chunks().cast(pa.int64()).to_pylist()
        for name in ("start_time", "end_time")
    }
    times = rows.column("events.time").combine_chunks()
    columns["events.time"] = times.cast(pa.list_(pa.int64())).to_pylist()
    scopes: dict[str, Any] = {}
    for row in range(rows.num_rows):
        _add_span(_scope_spans(message, scopes, columns, row).spans.add(), columns, row, attributes[row])
    return message.SerializeToString()


def _scope_spans(message: Any, known: dict[str, Any], columns: Values, row: int) -> Any:
    """Where the span goes: below its own resource and scope, each of which is there once."""
    resource = _maps(columns, "resource_attributes", row)
    scope = _maps(columns, "scope_attributes", row)
    described = [columns[name][row] for name in ("scope_name", "scope_version", "schema_url")]
    resource_key = repr(resource)
    key = repr((resource, scope, described))
    if key not in known:
        if resource_key not in known:
            known[resource_key] = message.resource_spans.add()
            _fill(known[resource_key].resource.attributes, _decoded(*resource))
        made = known[resource_key].scope_spans.add(schema_url=described[2])
        made.scope.name, made.scope.version = described[0], described[1]
        _fill(made.scope.attributes, _decoded(*scope))
        known[key] = made
    return known[key]


def _add_span(span: Any, columns: Values, row: int, attributes: Attributes) -> None:
    for name in ("trace_id", "span_id", "name", "trace_state", "flags"):
        setattr(span, name, columns[name][row])
    for name in ("dropped_attributes_count", "dropped_events_count", "dropped_links_count"):
        setattr(span, name, columns[name][row])
    parent = columns["parent_span_id"][row]
    if any(parent):  # in the store a root's parent is zeros
        span.parent_span_id = parent
    span.start_time_unix_nano, span.end_time_unix_nano = columns["start_time"][row], columns["end_time"][row]
    span.kind = _number(columns["kind"][row], SPAN_KINDS)
    if columns["status_code"][row] != STATUS_CODES[0] or columns["status_message"][row]:
        span.status.code = _number(columns["status_code"][row], STATUS_CODES)
        span.status.message = columns["status_message"][row]
    _fill(span.attributes, attributes)
    _add_events(span, columns, row)
    _add_links(span, columns, row)


def _add_events(span: Any, columns: Values, row: int) -> None:
    names = ("events.time", "events.name", "events.attributes", "events.attributes_other")
    for time_ns, name, strings, others in zip(*(columns[each][row] for each in names), strict=True):
        _fill(span.events.add(time_unix_nano=time_ns, name=name).attributes, _decoded(strings, others))


def _add_links(span: Any, columns: Values, row: int) -> None:
    names = ("trace_id", "span_id", "trace_state", "attributes", "attributes_other")
    for trace_id, span_id, state, strings, others in zip(
        *(columns[f"links.{each}"][row] for each in names), strict=True
    ):
        link: trace_pb2.Span.Link = span.links.add(trace_id=trace_id, span_id=span_id, trace_state=state)
        _fill(link.attributes, _decoded(strings, others))


def _number(label: str, labels: tuple[str, ...]) -> int:
    """An enum's number; one that OTLP does not define is its own label."""
    return labels.index(label) if label in labels else int(label)


def _maps(columns: Values, name: str, row: int) -> tuple[list[Any], list[Any]]:
    return columns[name][row], columns[f"{name}_other"][row]


def _decoded(strings: list[tuple[str, str]], others: list[tuple[str, str]]) -> Attributes:
    found = [(key, AnyValue(string_value=text)) for key, text in strings]
    return sorted((*found, *((key, _of_json(text)) for key, text in others)), key=_key)


def _key(attribute: tuple[str, AnyValue]) -> str:
    return attribute[0]


def _fill(target: Any, attributes: Attributes) -> None:
    for key, value in attributes:
        target.add(key=key, value=value)


def _span_attributes(batch: Batch) -> list[Attributes]:
    """Per span its attributes, sorted by key: as sent, but where the processor has another value."""
    found: list[dict[str, AnyValue]] = [{} for _ in range(batch.row_count)]
    sent = batch.attributes
    lifted = batch.lifted if len(batch.lifted) else np.zeros(len(sent.codes), dtype=np.bool_)
    kept: set[tuple[int, str]] = set()
    entries: tuple[list[Any], ...] = (
        sent.owners.tolist(),
        sent.codes.tolist(),
        sent.kinds.tolist(),
        sent.texts.to_pylist(),
        lifted.tolist(),
    )
    for owner, code, kind, text, is_lifted in zip(*entries, strict=True):
        name = sent.names[int(code)]
        found[owner][name] = AnyValue(string_value=text) if kind == Kind.STRING else _of_json(text)
        if is_lifted:
            kept.add((owner, name))
    for name, column in batch.columns.items():
        for owner, value in enumerate(column.to_pylist()):
            if value is not None and value != [] and (owner, name) not in kept:
                found[owner][name] = _any_value(value)
    return [sorted(each.items()) for each in found]


def _of_json(text: str) -> AnyValue:
    """The value that was written as JSON; where redaction left no JSON, what it left as a string."""
    try:
        return _any_value(json.loads(text))
    except ValueError:
        return AnyValue(string_value=text)


def _any_value(value: object) -> AnyValue:
    encoded = AnyValue()
    match value:
        case bool():
            encoded.bool_value = value
        case int():
            encoded.int_value = value
        case float():
            encoded.double_value = value
        case str():
            encoded.string_value = value
        case list():
            encoded.array_value.SetInParent()
            encoded.array_value.values.extend(_any_value(each) for each in cast("list[object]", value))
        case {"$bytes": str(written)} if len(cast("dict[str, object]", value)) == 1:
            encoded.bytes_value = base64.b64decode(written)
        case dict():
            encoded.kvlist_value.SetInParent()
            for key, each in cast("dict[str, object]", value).items():
                encoded.kvlist_value.values.add(key=key, value=_any_value(each))
        case _:
            pass  # the empty value
    return encoded
