"""Everything that a random message says is in the sealed rows, with its type, whatever decodes it.

What is expected is written down here from protobuf's own parser alone, and not with the pipeline's code.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1 import trace_pb2

from whodid.processor import pipeline
from whodid.processor.arrow import pa
from whodid.processor.stages.decode import check
from whodid.semconv import attributes as attr
from whodid.semconv.definitions import Attribute, AttributeType, Column
from whodid.semconv.registry import ATTRIBUTES

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
CODES = ("UNSET", "OK", "ERROR")
LAST_NS = 2**63 - 1

# No surrogates: protobuf's texts are UTF-8.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1)
scalars = st.one_of(
    st.builds(AnyValue),
    st.builds(AnyValue, string_value=texts),
    st.builds(AnyValue, string_value=st.text("xé", min_size=120, max_size=200)),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=40)),
)


def nested(inner: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    pairs = st.lists(st.builds(KeyValue, key=texts, value=inner), max_size=3, unique_by=lambda each: each.key)
    arrays = st.lists(inner, max_size=3)
    return arrays.map(lambda values: AnyValue(array_value=ArrayValue(values=values))) | pairs.map(
        lambda values: AnyValue(kvlist_value=KeyValueList(values=values))
    )


values = st.recursive(scalars, nested, max_leaves=6)
# Names with a column of their own are in as well: a column must not lose what has another type.
keys = texts | st.sampled_from(
    [attr.GEN_AI_TOOL_NAME, attr.ATTRIBUTION_TASK_ID, attr.ATTRIBUTION_DELEGATION_CHAIN]
)
attributes = st.lists(
    st.builds(KeyValue, key=keys, value=values), max_size=5, unique_by=lambda each: each.key
)
ids = {size: st.binary(min_size=size, max_size=size) for size in (8, 16)}
events = st.builds(
    trace_pb2.Span.Event,
    time_unix_nano=uint64,
    name=texts,
    attributes=attributes,
    dropped_attributes_count=uint32,
)
links = st.builds(
    trace_pb2.Span.Link,
    trace_id=ids[16],
    span_id=ids[8],
    trace_state=texts,
    attributes=attributes,
    dropped_attributes_count=uint32,
    flags=uint32,
)
spans = st.builds(
    trace_pb2.Span,
    trace_id=ids[16],
    span_id=ids[8],
    parent_span_id=st.just(b"") | ids[8],
    trace_state=texts,
    flags=uint32,
    name=texts,
    kind=st.integers(0, 5),
    start_time_unix_nano=uint64,
    end_time_unix_nano=uint64,
    attributes=attributes,
    dropped_attributes_count=uint32,
    events=st.lists(events, max_size=3),
    dropped_events_count=uint32,
    links=st.lists(links, max_size=3),
    dropped_links_count=uint32,
    status=st.builds(trace_pb2.Status, code=st.integers(0, 2), message=texts),
)
scopes = st.builds(
    trace_pb2.ScopeSpans,
    scope=st.fixed_dictionaries({"name": texts, "version": texts, "attributes": attributes}),
    schema_url=texts,
    spans=st.lists(spans, max_size=3),
)
resources = st.builds(
    trace_pb2.ResourceSpans,
    resource=st.fixed_dictionaries({"attributes": attributes}),
    schema_url=texts,
    scope_spans=st.lists(scopes, max_size=2),
)
requests = st.builds(ExportTraceServiceRequest, resource_spans=st.lists(resources, max_size=2))
unknown = st.sampled_from([b"", b"\xa2\x06\x03abc", b"\xa0\x06\x05", b"\xa5\x06abcd", b"\xa1\x06abcdefgh"])
"""Fields with the number 100, of every wire type that OTLP uses."""


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, min_size=1, max_size=3), unknown)
def test_all_that_a_message_says_is_kept(messages: list[ExportTraceServiceRequest], more: bytes) -> None:
    for message in messages:
        for each in spans_of(message):
            each[2].MergeFromString(more)
    bodies = [message.SerializeToString() + more for message in messages]
    for body in bodies:
        check(body)
    rows = rows_of(bodies)
    expected = [each for message in messages for each in spans_of(message)]
    assert len(rows) == len(expected)
    for row, (resource, scope, span) in zip(rows, expected, strict=True):
        assert_surroundings(row, resource, scope)
        assert_span(row, span)


@pytest.mark.parametrize(
    "pieces",
    [
        (AnyValue(string_value="a"), AnyValue(string_value="b")),
        (AnyValue(string_value="a"), AnyValue(int_value=7)),
        (AnyValue(int_value=7), AnyValue(bytes_value=b"x")),
        (AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])), AnyValue(bool_value=True)),
        (AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])),) * 2,
        (
            AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k")])),
            AnyValue(kvlist_value=KeyValueList()),
        ),
    ],
)
def test_of_a_oneof_that_is_repeated_the_last_counts(pieces: tuple[AnyValue, AnyValue]) -> None:
    encoded = b"".join(piece.SerializeToString() for piece in pieces)
    entry = b"\x0a\x01k\x12" + bytes([len(encoded)]) + encoded
    span = trace_pb2.Span(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.MergeFromString(b"\x4a" + bytes([len(entry)]) + entry)
    body = ExportTraceServiceRequest(
        resource_spans=[trace_pb2.ResourceSpans(scope_spans=[trace_pb2.ScopeSpans(spans=[span])])]
    ).SerializeToString()
    check(body)
    assert_span(rows_of([body])[0], span)


def rows_of(bodies: list[bytes]) -> list[dict[str, Any]]:
    """The sealed rows, with times as nanoseconds: Python's own have microseconds."""
    table: Any = pipeline.run(bodies).spans
    for name, kind in (
        ("start_time", pa.int64()),
        ("end_time", pa.int64()),
        ("events.time", pa.list_(pa.int64())),
    ):
        position = table.schema.get_field_index(name)
        table = table.set_column(position, name, table.column(name).cast(kind))
    return table.to_pylist()


def spans_of(message: ExportTraceServiceRequest) -> list[tuple[Any, Any, Any]]:
    return [
        (resource, scope, span)
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def assert_surroundings(row: dict[str, Any], resource: Any, scope: Any) -> None:
    assert_object(row["resource"], resource.resource.attributes)
    assert_object(row["scope"], scope.scope.attributes)
    assert row["scope_name"] == scope.scope.name
    assert row["scope_version"] == scope.scope.version
    assert row["schema_url"] == (scope.schema_url or resource.schema_url)
    names = [each.value.string_value for each in resource.resource.attributes if each.key == "service.name"]
    assert row["service_name"] == (names[-1] if names else "")


def assert_span(row: dict[str, Any], span: Any) -> None:
    assert row["trace_id"] == span.trace_id
    assert row["span_id"] == span.span_id
    assert row["parent_span_id"] == span.parent_span_id.ljust(8, b"\0")
    assert row["kind"] == KINDS[span.kind]
    assert row["status_code"] == CODES[span.status.code]
    assert row["status_message"] == span.status.message
    assert row["start_time"] == min(span.start_time_unix_nano, LAST_NS)
    assert row["end_time"] == min(span.end_time_unix_nano, LAST_NS)
    for name in ("name", "trace_state", "flags", *(f"dropped_{each}_count" for each in DROPPED)):
        assert row[name] == getattr(span, name), name
    assert_attributes(row, span.attributes)
    assert row["events.time"] == [min(e.time_unix_nano, LAST_NS) for e in span.events]
    assert row["events.name"] == [each.name for each in span.events]
    for name in ("trace_id", "span_id", "trace_state"):
        assert row[f"links.{name}"] == [getattr(each, name) for each in span.links]
    for kind, owners in (("events", span.events), ("links", span.links)):
        for position, owner in enumerate(owners):
            one = {name: row[f"{kind}.{name}"][position] for name in ("attributes", "attributes_other")}
            assert_maps(one, "attributes", owner.attributes)


DROPPED = ("attributes", "events", "links")


def assert_maps(row: dict[str, Any], name: str, sent: Any) -> None:
    """Strings are in one map, all else is in the other, as JSON."""
    strings = {each.key: each.value.string_value for each in sent if is_string(each.value)}
    others = {each.key: as_json(each.value) for each in sent if not is_string(each.value)}
    assert dict(row[name]) == strings
    assert typed(row[f"{name}_other"]) == others


def assert_object(text: str, sent: Any) -> None:
    """All are in one JSON object; of a key that came as a string and otherwise the latter counts."""
    others = {each.key: as_json(each.value) for each in sent if not is_string(each.value)}
    strings = {each.key: each.value.string_value for each in sent if is_string(each.value)}
    found: dict[str, Any] = json.loads(text, parse_constant=pytest.fail) if text else {}
    assert {key: value for key, value in found.items() if isinstance(value, str)} == {
        key: value for key, value in strings.items() if key not in others
    }
    left = {key: value for key, value in found.items() if not isinstance(value, str)}
    assert {key: of_json(json_of(value)) for key, value in left.items()} == others


def json_of(value: Any) -> Any:
    """What stands for a value that has no JSON, such as an infinite number, read as Python reads it."""
    return json.loads(value["$json"]) if isinstance(value, dict) and "$json" in value else value  # pyright: ignore


def assert_attributes(row: dict[str, Any], sent: Any) -> None:
    """The same for a span's own, of which those with a column and the right type are in the column."""
    left: list[KeyValue] = []
    for each in sent:
        attribute = ATTRIBUTES.get(each.key)
        wanted = in_column(each, attribute) if attribute is not None and attribute.column else None
        if attribute is None or wanted is None:
            left.append(each)
        else:
            assert row[attribute.column_name] == wanted, each.key
    assert_maps(row, "attributes", left)


def in_column(entry: KeyValue, attribute: Attribute) -> Any:
    """What the attribute's column has to hold; None where its value stays in the maps."""
    value = entry.value
    if attribute.type is AttributeType.STRING:
        return value.string_value or None
    if attribute.column is Column.ARRAY and value.HasField("array_value"):
        elements = value.array_value.values
        return [each.string_value for each in elements] if all(map(is_string, elements)) else None
    return None


def is_string(value: AnyValue) -> bool:
    return value.WhichOneof("value") == "string_value"


def as_json(value: AnyValue) -> Any:
    """A value as something that can be compared, and in which a bool, an int and a double differ."""
    match value.WhichOneof("value"):
        case None:
            return ("null",)
        case "array_value":
            return ("array", [as_json(each) for each in value.array_value.values])
        case "kvlist_value":
            return ("map", {each.key: as_json(each.value) for each in value.kvlist_value.values})
        case "bytes_value":
            return ("map", {"$bytes": ("str", base64.b64encode(value.bytes_value).decode())})
        case "double_value":
            return number(value.double_value)
        case name:
            found = getattr(value, name)
            return (type(found).__name__, found)


def number(value: float) -> tuple[str, str]:
    # NaN is not equal to itself, and minus zero is equal to zero: compared as written.
    return ("float", "nan" if math.isnan(value) else value.hex())


def typed(pairs: Any) -> dict[str, Any]:
    return {key: of_json(json.loads(text)) for key, text in pairs}


def of_json(value: Any) -> Any:
    if value is None:
        return ("null",)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ("array", [of_json(each) for each in value])  # type: ignore[misc]
    if isinstance(value, dict):
        return ("map", {key: of_json(each) for key, each in value.items()})  # type: ignore[misc]
    return (type(value).__name__, value)
