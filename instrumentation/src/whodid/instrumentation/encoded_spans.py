"""From an OTLP request back to the spans that an exporter takes: encoded again they are the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

_IS_REMOTE: Final = 0x200
"""SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK."""


def decode_spans(request: bytes) -> list[ReadableSpan]:
    """The spans of a request that an SDK's exporter made.

    Raises DecodeError for what is no request, and ValueError for one that no SDK made: a kind that there is
    not. What the SDK does not send, it does not get back: a span's own trace flags.
    """
    message = ExportTraceServiceRequest.FromString(request)
    spans: list[ReadableSpan] = []
    for group in message.resource_spans:
        resource = Resource(_plain(group.resource.attributes), group.schema_url)
        for part in group.scope_spans:
            scope = InstrumentationScope(
                part.scope.name, part.scope.version, part.schema_url, _plain(part.scope.attributes)
            )
            spans += [_span(each, resource, scope) for each in part.spans]
    return spans


def _span(span: trace_pb2.Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        _context(span.trace_id, span.span_id, state=span.trace_state),
        _context(span.trace_id, span.parent_span_id, flags=span.flags) if span.parent_span_id else None,
        resource,
        _attributes(span.attributes, span.dropped_attributes_count),
        _bounded([_event(each) for each in span.events], span.dropped_events_count),
        _bounded([_link(each) for each in span.links], span.dropped_links_count),
        SpanKind(span.kind - 1),
        status=Status(StatusCode(span.status.code), span.status.message or None),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=scope,
    )


def _context(trace_id: bytes, span_id: bytes, *, flags: int = 0, state: str = "") -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        bool(flags & _IS_REMOTE),
        TraceFlags(TraceFlags.SAMPLED),
        TraceState.from_header([state]) if state else TraceState(),
    )


def _event(event: trace_pb2.Span.Event) -> Event:
    attributes = _attributes(event.attributes, event.dropped_attributes_count)
    return Event(event.name, attributes, event.time_unix_nano)


def _link(link: trace_pb2.Span.Link) -> Link:
    context = _context(link.trace_id, link.span_id, flags=link.flags)
    return Link(context, _attributes(link.attributes, link.dropped_attributes_count))


def _attributes(pairs: Iterable[KeyValue], dropped: int) -> BoundedAttributes:
    attributes = BoundedAttributes(attributes=_plain(pairs), immutable=False)
    attributes.dropped = dropped
    return attributes


def _bounded(items: list[Any], dropped: int) -> BoundedList[Any]:
    bounded: BoundedList[Any] = BoundedList(None)
    bounded.extend(items)
    bounded.dropped = dropped
    return bounded


def _plain(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _plain(value.kvlist_value.values)
        case which:
            return getattr(value, which)
