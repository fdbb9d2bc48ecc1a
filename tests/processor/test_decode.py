"""Decode: what comes out of the columns is what protobuf's own parser sees, for any message."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.spans import Sent, Value, any_value, request
from whodid.processor import pipeline
from whodid.processor.batch import Kind
from whodid.processor.stages import any_value as reader
from whodid.processor.stages.decode import MalformedRequestError, check, decode

_texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
_scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), _texts, st.binary(max_size=300)
)
_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_attributes = st.dictionaries(_texts, _values, max_size=6)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


def _read(value: bytes) -> tuple[int, str]:
    """The kind and the text of an attribute whose AnyValue is these bytes, in a request of one span."""
    span = _field(9, _field(1, b"key") + _field(2, value))
    body = _field(1, _field(2, _field(2, span)))
    check(body)
    attributes = decode([body]).attributes
    assert attributes.names == ("key",)
    return int(attributes.kinds[0]), attributes.texts[0].as_py()


@given(_values)
def test_a_value_keeps_its_kind_and_its_text(value: Value) -> None:
    assert _read(any_value(value).SerializeToString()) == reader.to_text(any_value(value))


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_a_string_of_any_length_is_read(size: int) -> None:
    # The lengths at which the varint before the text grows by a byte.
    assert _read(any_value("x" * size).SerializeToString()) == (Kind.STRING, "x" * size)


@pytest.mark.parametrize(
    ("encoded", "kind", "text"),
    [
        (b"\x0a\x81\x00x", Kind.STRING, "x"),  # a length in more bytes than it needs
        (b"\x0a\x01a\x0a\x01b", Kind.STRING, "b"),  # a repeated oneof: the last one counts
        (b"\x0a\x01a\x18\x07", Kind.INT, "7"),
        (b"\x18\x07\x0a\x01a", Kind.STRING, "a"),
        (b"", Kind.EMPTY, "null"),
    ],
)
def test_what_no_encoder_writes_is_read_as_protobuf_does(encoded: bytes, kind: Kind, text: str) -> None:
    assert _read(encoded) == (kind, text)


@settings(max_examples=60)
@given(st.lists(st.lists(_attributes, max_size=3), max_size=3))
def test_every_attribute_of_every_span_is_there(requests: list[list[dict[str, Any]]]) -> None:
    sent = [[Sent(attributes=attributes) for attributes in spans] for spans in requests]
    batch = decode([request(*spans) for spans in sent])

    assert batch.spans.column("span_id").to_pylist() == [span.span_id for spans in sent for span in spans]
    for row, attributes in enumerate(each.attributes for spans in sent for each in spans):
        mine = np.flatnonzero(batch.attributes.owners == row)
        decoded: dict[str, Any] = {
            batch.attributes.names[batch.attributes.codes[entry]]: (
                batch.attributes.kinds[entry],
                batch.attributes.texts[int(entry)].as_py(),
            )
            for entry in mine
        }
        assert decoded == {key: reader.to_text(any_value(value)) for key, value in attributes.items()}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1.0"),
        (True, "true"),
        (b"\0", '{"$bytes":"AA=="}'),
        (["1", 1], '["1",1]'),
        ({"a": 1e300}, '{"a":1e+300}'),
        (math.inf, "Infinity"),
    ],
)
def test_json_keeps_the_types_apart(value: Value, text: str) -> None:
    assert reader.to_text(any_value(value))[1] == text


def test_resource_scope_events_and_links_are_kept() -> None:
    message = ExportTraceServiceRequest.FromString(
        request(Sent(events={"tried": {"attempt": 2, "why": "timeout"}}), service="orders", scope="lib")
    )
    message.resource_spans[0].resource.attributes.add(key="host.cpus", value=any_value(8))
    message.resource_spans[0].schema_url = "https://example.org/resource"
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.links.add(trace_id=b"t" * 16, span_id=b"s" * 8).attributes.add(key="k", value=any_value("v"))
    span.trace_state = "vendor=1"
    span.dropped_links_count = 3
    span.MergeFromString(b"\x30\x63")  # kind 99
    row = decode([message.SerializeToString()]).spans.to_pylist()[0]

    assert row["service_name"] == "orders"
    assert row["scope_name"] == "lib"
    assert row["schema_url"] == "https://example.org/resource"
    assert row["resource_attributes"] == [("service.name", "orders")]
    assert row["resource_attributes_other"] == [("host.cpus", "8")]
    assert row["events.name"] == ["tried"]
    assert row["events.attributes"] == [[("why", "timeout")]]
    assert row["events.attributes_other"] == [[("attempt", "2")]]
    assert row["links.trace_id"] == [b"t" * 16]
    assert row["links.attributes"] == [[("k", "v")]]
    assert (row["trace_state"], row["dropped_links_count"]) == ("vendor=1", 3)
    assert row["kind"] == "99"  # a kind that OTLP does not define keeps its number


def test_wrong_ids_are_kept_with_a_finding() -> None:
    batch = decode([request(Sent(span_id=b"short"), Sent(trace_id=bytes(16)), Sent(parent_id=b"12345678"))])
    assert batch.spans.column("span_id").to_pylist()[0] == b"short\0\0\0"
    found = [(finding.attribute, finding.rows.tolist()) for finding in batch.findings]
    assert found == [("trace_id", [1]), ("span_id", [0])]


def test_no_spans_are_no_rows() -> None:
    assert decode([]).row_count == 0
    assert decode([b"", request()]).row_count == 0


@pytest.mark.parametrize(
    "body",
    [
        b"\xff" * 20,
        request(Sent(name="cut off"))[:-3],
        b"{}",
        b"\x0a\xff\xff\xff\xff\x07",
        b"\x80\x81\x80\x80\x80\x00\x01",
    ],
    ids=["all bits", "cut off", "JSON", "a length beyond the end", "a tag of six bytes"],
)
def test_garbage_is_refused_before_it_is_acknowledged(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        check(body)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_what_check_accepts_decode_can_decode(body: bytes) -> None:
    try:
        check(body)
    except MalformedRequestError:
        return
    json.dumps(decode([body]).spans.num_rows)


def test_a_value_may_be_thirty_deep() -> None:
    deep: Value = "x"
    for _ in range(30):
        deep = [deep]
    check(request(Sent(attributes={"deep": deep})))
    with pytest.raises(MalformedRequestError, match="more than 30 deep"):
        check(request(Sent(attributes={"deep": [deep]})))


@pytest.mark.parametrize(
    "value", [b"\x2a\x02\x0a\x05", b"\x32\x05\x0a\x03\x0a\x01\xff", b"\x2a\x04\x0a\x02\x0a\x01"]
)
def test_garbage_inside_of_a_value_is_refused_before_it_is_acknowledged(value: bytes) -> None:
    body = _field(1, _field(2, _field(2, _field(9, _field(1, b"key") + _field(2, value)))))
    with pytest.raises(MalformedRequestError):
        check(body)


@pytest.mark.parametrize(
    "reference",
    [
        b"\xff",  # cut off
        _field(2, b"\xff"),  # no UTF-8
        _field(3, b"service.name") + _field(4, b"\xed\xa0\x80"),
        _field(1, b"x") + b"\x00",
    ],
)
def test_garbage_in_a_resource_s_entities_is_refused(reference: bytes) -> None:
    body = _field(1, _field(1, _field(3, reference))) + request(Sent())
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(body)
    with pytest.raises(MalformedRequestError):
        check(body)


def test_a_resource_s_entities_change_nothing() -> None:
    message = ExportTraceServiceRequest.FromString(request(Sent()))
    before = pipeline.run([message.SerializeToString()]).spans
    reference = message.resource_spans[0].resource.entity_refs.add(schema_url="é", type="service")
    reference.id_keys.append("service.name")
    reference.description_keys.append("service.version")
    assert pipeline.run([message.SerializeToString()]).spans.equals(before)
    # A number where a text belongs: an unknown field, for protobuf as for us.
    odd = _field(1, _field(1, _field(3, b"\x10\x05")))
    check(odd)
    assert pipeline.run([odd + message.SerializeToString()]).spans.equals(before)


def test_an_attribute_may_have_no_name() -> None:
    body = request(Sent(attributes={"": "x"}))
    check(body)
    assert pipeline.run([body]).spans.column("attributes").to_pylist() == [[("", "x")]]
