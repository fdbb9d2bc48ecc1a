"""Whether the program's own exporters send to where ours does: then a span would arrive twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from whodid.instrumentation.export import Target

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
OTLP_PORTS: Final = frozenset({4317, 4318})
"""One receiver's, for gRPC and HTTP, by convention."""


def processors(provider: TracerProvider) -> Iterable[Any]:
    """What a provider hands its spans to; nothing where an SDK keeps them otherwise."""
    return getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())


def sends_to(processor: Any, target: Target) -> bool:
    """Whether a span processor sends everything to the endpoint of this target, by either protocol.

    One of the host's own class may leave spans out, and says nothing about it.
    """
    if type(processor) not in (BatchSpanProcessor, SimpleSpanProcessor):
        return False
    endpoint = getattr(getattr(processor, "span_exporter", None), "_endpoint", None)
    if not isinstance(endpoint, str):
        return False
    (host, port), (our_host, our_port) = _address(endpoint), _address(target.shown)
    return host == our_host and (port == our_port or {port, our_port} <= OTLP_PORTS)


def _address(endpoint: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return endpoint, None
    return ("localhost" if host in LOOPBACK else host), port
