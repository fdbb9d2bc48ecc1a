"""What goes along with a request to a host that is trusted, and what is taken from one that arrived.

Outgoing: the attribution as baggage, a correlation id that the other side can log, and the trace, where
nobody else put it there. Arriving: the same, from peers that are accepted, as their own word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context, get_current, get_value
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from whodid.instrumentation import baggage, peers
from whodid.instrumentation.blocks import MAX_VALUE_CHARS
from whodid.instrumentation.context import NOTHING_KNOWN, Attribution, current, with_attribution

CORRELATION_HEADER: Final = "x-correlation-id"
TRACE_HEADER: Final = "traceparent"
HTTP_MAX_BYTES: Final = 4096
"""Servers refuse requests whose headers, all together, have more than 8 KiB."""
_SUPPRESSED: Final = (
    "suppress_instrumentation",
    getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)
"""Set around exporters' own requests, by older and newer versions."""
_LOGGABLE: Final = re.compile(r"[\x21-\x7e]+")
_propagator: Final = TraceContextTextMapPropagator()


def correlation_id(attribution: Attribution) -> str | None:
    """What a downstream system should log: the request's own id or the action's; `whodid who` finds both."""
    said = attribution.correlation_id or attribution.action_id
    return said if said is not None and _LOGGABLE.fullmatch(said) else None


def leave(headers: MutableMapping[str, Any], host: str | None, port: int | None = None) -> None:
    """Complete a request's headers (a case-insensitive mapping), or clear them on the way to a stranger.

    A redirect copies headers: what went to a trusted host must not go on to another one.
    """
    known = current()
    if known is NOTHING_KNOWN or any(get_value(key) for key in _SUPPRESSED):
        return
    said = correlation_id(known)
    if not peers.sends_to(host, port):
        _clear(headers, said)
        return
    entries = baggage.encode(known, _text(headers.get(baggage.HEADER)), HTTP_MAX_BYTES)
    if entries:
        headers[baggage.HEADER] = entries
    if said is not None and CORRELATION_HEADER not in headers:
        headers[CORRELATION_HEADER] = said
    if TRACE_HEADER not in headers:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        headers.update(carrier)


def _clear(headers: MutableMapping[str, Any], said: str | None) -> None:
    before = _text(headers.get(baggage.HEADER))
    others = baggage.without_ours(before)
    if others != before:
        if others:
            headers[baggage.HEADER] = others
        else:
            del headers[baggage.HEADER]
        if said is not None and headers.get(CORRELATION_HEADER) == said:
            del headers[CORRELATION_HEADER]


def arrive(headers: Mapping[str, str], peer: str | None) -> Context:
    """The Context of a request that came from a peer: for whom it says, or for nobody; never for the server.

    `headers`: names in lower case. The trace goes on where nothing of this process has begun one.
    """
    context = get_current()
    if not peers.accepts_from(peer):
        return with_attribution(NOTHING_KNOWN, context)
    said = baggage.extract(headers) or NOTHING_KNOWN
    correlation = headers.get(CORRELATION_HEADER)
    if said.correlation_id is None and correlation and len(correlation) <= MAX_VALUE_CHARS:
        said = said.changed(correlation_id=correlation)
    if not get_current_span(context).get_span_context().is_valid:
        context = _propagator.extract(headers, context)
    return with_attribution(said, context)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
