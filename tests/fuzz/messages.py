"""Random OTLP messages, quickly and from a seed: every field and kind of value, small and odd."""

from __future__ import annotations

import random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.spans import Value, any_value
from whodid.semconv.registry import ATTRIBUTES

_NAMES = tuple(ATTRIBUTES)
_TEXTS = (
    *("", "a", "alice@acme.example", "é", "日本", "\0", "\U0001f600", '{"a":1}', "[1]", "null", "x" * 127),
    *("x" * 128, "x" * 300, "sha256:" + "0" * 64, "sk-" + "a" * 30, "2026-01-01T00:00:00Z", "execute_tool"),
    *("chat", "human", "agent", "allow", "deny", "x" * 16_384),
)
_INTS = (0, 1, -1, 127, 128, 2**31, 2**63 - 1, -(2**63))
_DOUBLES = (0.0, -0.0, 1.5, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"))
_TIMES = (0, 1, 1_800_000_000_000_000_000, 2**63 - 1, 2**63, 2**64 - 1)


def message(draw: random.Random) -> bytes:
    """One serialized request."""
    request = ExportTraceServiceRequest()
    for _ in range(draw.choice((0, 1, 1, 1, 2))):
        resource_spans = request.resource_spans.add(schema_url=_text(draw))
        _attributes(draw, resource_spans.resource.attributes)
        for _ in range(draw.choice((0, 1, 1, 2))):
            scope_spans = resource_spans.scope_spans.add(schema_url=_text(draw))
            if draw.random() < 0.8:
                scope_spans.scope.name = _text(draw)
                scope_spans.scope.version = _text(draw)
                _attributes(draw, scope_spans.scope.attributes)
            for _ in range(draw.choice((0, 1, 1, 2, 5))):
                _span(draw, scope_spans.spans.add())
    return request.SerializeToString()


def _span(draw: random.Random, span: Any) -> None:
    span.trace_id = _id(draw, 16)
    span.span_id = _id(draw, 8)
    span.parent_span_id = _id(draw, 8) if draw.random() < 0.5 else b""
    span.name = _text(draw)
    span.start_time_unix_nano = draw.choice(_TIMES)
    span.end_time_unix_nano = draw.choice(_TIMES)
    span.trace_state = _text(draw)
    span.kind = draw.choice((0, 1, 2, 3, 4, 5, 6, 99, -1))
    span.flags = draw.choice((0, 1, 2**32 - 1))
    span.dropped_attributes_count = draw.choice((0, 1, 2**32 - 1))
    span.dropped_events_count = draw.choice((0, 7))
    span.dropped_links_count = draw.choice((0, 7))
    _attributes(draw, span.attributes)
    for _ in range(draw.choice((0, 0, 1, 3))):
        event = span.events.add(name=_text(draw), time_unix_nano=draw.choice(_TIMES))
        _attributes(draw, event.attributes)
    for _ in range(draw.choice((0, 0, 1, 3))):
        link = span.links.add(trace_id=_id(draw, 16), span_id=_id(draw, 8), trace_state=_text(draw))
        _attributes(draw, link.attributes)
    if draw.random() < 0.5:
        span.status.code = draw.choice((0, 1, 2, 3))
        span.status.message = _text(draw)


def _attributes(draw: random.Random, attributes: Any) -> None:
    for _ in range(draw.choice((0, 1, 2, 5))):
        key = draw.choice(_NAMES) if draw.random() < 0.6 else _text(draw)
        attributes.add(key=key, value=any_value(_value(draw, 0)))


def _value(draw: random.Random, depth: int) -> Value:
    match draw.randrange(11 if depth < 4 else 9):
        case 0:
            return None
        case 1:
            return draw.random() < 0.5
        case 2:
            return draw.choice(_INTS)
        case 3:
            return draw.choice(_DOUBLES)
        case 4:
            return draw.randbytes(draw.choice((0, 1, 20)))
        case 9:
            return [_value(draw, depth + 1) for _ in range(draw.randrange(4))]
        case 10:
            return {_text(draw): _value(draw, depth + 1) for _ in range(draw.randrange(4))}
        case _:
            return _text(draw)


def _text(draw: random.Random) -> str:
    # The longest of them seldom.
    return draw.choice(_TEXTS if draw.random() < 0.05 else _TEXTS[:-1])


def _id(draw: random.Random, size: int) -> bytes:
    if draw.random() < 0.1:
        return draw.choice((b"", bytes(size), b"short", draw.randbytes(size + 3)))
    return draw.randbytes(size)
