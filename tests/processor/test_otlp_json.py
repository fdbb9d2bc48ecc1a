"""OTLP/JSON to protobuf: the same message for everything OTLP can say, and one kind of error for the rest."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.spans import any_value
from whodid.processor.receivers.otlp_json import to_protobuf
from whodid.processor.stages.decode import MalformedRequestError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource_spans = message.resource_spans.add(schema_url=draw(TEXT))
        resource_spans.resource.attributes.add(key="a", value=any_value(draw(VALUES)))
        span = resource_spans.scope_spans.add().spans.add(
            trace_id=draw(st.binary(max_size=16)),
            span_id=draw(st.binary(max_size=8)),
            parent_span_id=draw(st.binary(max_size=8)),
            name=draw(TEXT),
            kind=cast("Any", draw(st.integers(0, 7))),
            start_time_unix_nano=draw(st.integers(0, 2**64 - 1)),
        )
        span.status.code = cast("Any", draw(st.integers(0, 3)))
        span.attributes.add(key=draw(TEXT), value=any_value(draw(VALUES)))
        span.links.add(trace_id=draw(st.binary(max_size=16)), span_id=draw(st.binary(max_size=8)))
        span.events.add(name=draw(TEXT)).attributes.add(key="b", value=AnyValue())
    return message


def otlp_json(message: ExportTraceServiceRequest) -> bytes:
    """The message as OTLP/JSON: protobuf's JSON, but enums as integers and ids as hex."""
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    _hex_ids(document)
    return json.dumps(document).encode()


def _hex_ids(node: Any) -> None:
    if isinstance(node, dict):
        fields = cast("dict[str, Any]", node)
        for name, value in fields.items():
            if name in ("traceId", "spanId", "parentSpanId"):
                fields[name] = base64.b64decode(value).hex()
            else:
                _hex_ids(value)
    elif isinstance(node, list):
        for each in cast("list[Any]", node):
            _hex_ids(each)


@given(requests())
def test_it_says_the_same_as_protobuf(message: ExportTraceServiceRequest) -> None:
    assert ExportTraceServiceRequest.FromString(to_protobuf(otlp_json(message))) == message


CONTAINERS = ["resourceSpans", "scopeSpans", "spans", "status", "attributes", "events", "kvlistValue"]
LEAVES = ["traceId", "kind", "code", "key", "value", "intValue", "bytesValue", "startTimeUnixNano", "unknown"]
FIELDS = st.sampled_from(CONTAINERS + LEAVES)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("00ff"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(FIELDS, ANY_JSON, max_size=3) | ANY_JSON)
def test_other_json_has_one_kind_of_error(document: Any) -> None:
    try:
        ExportTraceServiceRequest.FromString(to_protobuf(json.dumps(document).encode()))
    except MalformedRequestError as error:
        cause = error.cause
    else:
        cause = ""
    assert len(cause) < 500
    assert "\n" not in cause


@given(st.binary(max_size=100))
def test_other_bytes_have_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        to_protobuf(b"!" + body)


def test_ids_may_be_upper_case() -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"00F067AA0BA902B7"}]}]}]}'
    message = ExportTraceServiceRequest.FromString(to_protobuf(body))
    assert message.resource_spans[0].scope_spans[0].spans[0].span_id.hex() == "00f067aa0ba902b7"
