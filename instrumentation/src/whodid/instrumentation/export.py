"""Where spans go: the OTLP exporter that OTEL_* variables describe, and whether its receiver answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
DEFAULT_ENDPOINTS: Final[Mapping[str, str]] = {
    GRPC: "http://127.0.0.1:4317",
    HTTP: "http://127.0.0.1:4318/v1/traces",
}
PROBE_TIMEOUT_S: Final = 1
EXPORTER_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)


@dataclass(frozen=True, slots=True)
class Target:
    """An OTLP endpoint; `endpoint` is None where the exporter reads it from OTEL_* itself."""

    protocol: str
    endpoint: str | None
    shown: str
    """Without a user, a password or a query, for people."""


class UnknownProtocolError(ValueError):
    """OTEL_EXPORTER_OTLP_PROTOCOL names one that no exporter speaks."""


def target(environ: Mapping[str, str] | None = None) -> Target:
    """The endpoint by the OTEL_EXPORTER_OTLP_* variables, gRPC to the loopback by default.

    Raises UnknownProtocolError. Source: OpenTelemetry's OTLP exporter specification.
    """
    env = os.environ if environ is None else environ
    protocol = _first(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") or GRPC
    if protocol not in DEFAULT_ENDPOINTS:
        raise UnknownProtocolError(protocol)
    given = _first(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    default = DEFAULT_ENDPOINTS[protocol]
    return Target(protocol, None if given else default, _shown(given or default))


def exporter(to: Target, timeout_s: int | None = None) -> SpanExporter:
    """An exporter for a target. Imported here, so that only a process that exports pays for gRPC."""
    options: dict[str, Any] = {}
    if to.endpoint is not None:
        options["endpoint"] = to.endpoint
    if timeout_s is not None:
        options["timeout"] = timeout_s
    if to.protocol == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter(**options)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(**options)


def answers(to: Target) -> bool:
    """Whether the receiver takes an export without spans, within about PROBE_TIMEOUT_S."""
    loggers = [logging.getLogger(name) for name in EXPORTER_LOGGERS]
    for logger in loggers:
        logger.addFilter(_silent)
    try:
        probe = exporter(to, PROBE_TIMEOUT_S)
        try:
            return probe.export(()) is SpanExportResult.SUCCESS
        finally:
            probe.shutdown()
    except Exception:  # noqa: BLE001 a wrong certificate or address is an answer too: no
        return False
    finally:
        for logger in loggers:
            logger.removeFilter(_silent)


def _silent(_record: logging.LogRecord) -> bool:
    # The report says in one line what the exporter would say in many.
    return False


def _first(environ: Mapping[str, str], *variables: str) -> str | None:
    return next((value for name in variables if (value := environ.get(name, "").strip())), None)


def _shown(endpoint: str) -> str:
    bare = endpoint.partition("://")[2] or endpoint
    authority, slash, path = bare.partition("/")
    return authority.rpartition("@")[2] + slash + path.partition("?")[0]
