"""The processor's own telemetry, by OTLP, off by default: the one place for its names and units.

| metric | kind, unit | what it is, and its attributes |
| --- | --- | --- |
| `whodid.receiver.requests` | counter, `{request}` | answered; `otel.component.type`, `error.type` |
| `whodid.receiver.request.body.size` | histogram, `By` | accepted, decompressed; `otel.component.type` |
| `whodid.receiver.in_flight.requests` | gauge, `{request}` | requests in hand |
| `whodid.receiver.in_flight.size` | gauge, `By` | their bodies in memory |
| `whodid.spool.size` | gauge, `By` | what waits for the store, on disk |
| `whodid.spool.limit` | gauge, `By` | where senders are told to retry |
| `whodid.spool.oldest.age` | gauge, `s` | how long the oldest request has been waiting |
| `whodid.store.away` | gauge, `1` | 1 while the store cannot be used |
| `whodid.store.spans` | counter, `{span}` | spans stored |
| `whodid.store.insert.duration` | histogram, `s` | pipeline and insert of a segment; `error.type` if failed |
| `whodid.store.freshness` | histogram, `s` | from a segment's first request to stored |
| `whodid.validator.findings` | counter, `{finding}` | findings stored; `attribution.finding.rule` |

One span, `whodid.deliver_segment`, for each segment. Nothing is recorded for a span that passes through.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import context, metrics, trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY  # pyright: ignore[reportPrivateUsage]
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from whodid.processor import ports
from whodid.processor.errors import WhodidError
from whodid.semconv import attributes as attr

if TYPE_CHECKING:
    from whodid.processor.settings import Settings

SCOPE = "whodid.processor"
GRPC, HTTP = "otlp_grpc_receiver", "otlp_http_receiver"
COMPONENT = "otel.component.type"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_BYTES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0)


class Telemetry:
    """What the receivers and the delivery report, once a request or a segment. Safe from any thread.

    Without providers it only counts what the service says at its end.
    """

    def __init__(self, meters: Any = None, tracers: Any = None) -> None:
        self._meters: Any = meters or metrics.NoOpMeterProvider()
        self._tracers: Any = tracers or trace.NoOpTracerProvider()
        self._meter: metrics.Meter = self._meters.get_meter(SCOPE, metadata.version("whodid"))
        self._tracer: trace.Tracer = self._tracers.get_tracer(SCOPE, metadata.version("whodid"))
        make = self._meter
        self._requests = make.create_counter("whodid.receiver.requests", "{request}")
        self._body_size = make.create_histogram(
            "whodid.receiver.request.body.size", "By", explicit_bucket_boundaries_advisory=_BYTES
        )
        self._spans = make.create_counter("whodid.store.spans", "{span}")
        self._insert_s = make.create_histogram(
            "whodid.store.insert.duration", "s", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._freshness_s = make.create_histogram(
            "whodid.store.freshness", "s", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._findings = make.create_counter("whodid.validator.findings", "{finding}")
        self.accepted_requests = 0
        self.stored_spans = 0

    def accepted(self, receiver: str, body_bytes: int) -> None:
        self.accepted_requests += 1
        self._requests.add(1, {COMPONENT: receiver})
        self._body_size.record(body_bytes, {COMPONENT: receiver})

    def refused(self, receiver: str, error_type: str) -> None:
        self._requests.add(1, {COMPONENT: receiver, attr.ERROR_TYPE: error_type})

    def stored(self, span_count: int, segment_id: str, findings: Mapping[str, int]) -> None:
        """A segment is in the store and out of the spool; its id begins with when it was opened (ns)."""
        self.stored_spans += span_count
        self._spans.add(span_count)
        opened_ns = segment_id.partition("-")[0]
        if opened_ns.isdecimal():
            self._freshness_s.record(max(time.time_ns() - int(opened_ns), 0) / 1e9)
        for rule, count in findings.items():
            self._findings.add(count, {attr.ATTRIBUTION_FINDING_RULE: rule})

    @contextlib.contextmanager
    def delivering(self) -> Generator[None]:
        """Around the insert of one segment, and what is left of its pipeline: time, failure, and one span."""
        started_s = time.perf_counter()
        failure: dict[str, str] = {}
        with (
            unobserved(),
            self._tracer.start_as_current_span("whodid.deliver_segment"),
        ):
            try:
                yield
            except Exception as error:
                failure = {attr.ERROR_TYPE: type(error).__name__}
                raise
            finally:
                self._insert_s.record(time.perf_counter() - started_s, failure)

    def watch(self, name: str, unit: str, read: Callable[[], float]) -> None:
        """A gauge that is read when metrics are exported, and only then."""

        def observe(_options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            return [metrics.Observation(read())]

        self._meter.create_observable_gauge(name, [observe], unit)

    def close(self) -> None:
        """Exports what is left."""
        for each in (self._meters, self._tracers):
            if hasattr(each, "shutdown"):
                each.shutdown()


@contextlib.contextmanager
def unobserved() -> Generator[None]:
    """What runs inside is not traced by instrumentations of gRPC, HTTP or urllib that someone switched on.

    Their spans would be exported to where agents export, which is here: each would bring the next.
    """
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        context.detach(token)


def make(settings: Settings, grpc_port: int, http_port: int, instance: str = "0") -> Telemetry:
    """The telemetry as it is configured: `telemetry.endpoint` empty means none leaves the process.

    Raises WhodidError when the endpoint is one of this service's own receivers, or no URL.
    """
    endpoint = settings.telemetry.endpoint
    if not endpoint:
        return Telemetry()
    _refuse_own(endpoint, settings.receiver.host, (grpc_port, http_port))
    resource = Resource.create(
        {
            "service.name": "whodid",
            "service.version": metadata.version("whodid"),
            "service.instance.id": f"{os.uname().nodename}:{os.getpid()}:{instance}",
        }
    )
    spans, measurements = _exporters(endpoint, settings.telemetry.protocol)
    reader = PeriodicExportingMetricReader(
        measurements, export_interval_millis=settings.telemetry.interval_s * 1000
    )
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    meters = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    return Telemetry(meters, tracers)


def _exporters(endpoint: str, protocol: str) -> tuple[Any, Any]:
    """Headers, certificates and compression are read from the standard OTEL_EXPORTER_OTLP_* variables."""
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

        return GrpcSpans(endpoint=endpoint), GrpcMetrics(endpoint=endpoint)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans

    base = endpoint.rstrip("/")
    return HttpSpans(endpoint=f"{base}/v1/traces"), HttpMetrics(endpoint=f"{base}/v1/metrics")


def _refuse_own(endpoint: str, receiver_host: str, receiver_ports: tuple[int, ...]) -> None:
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        raise WhodidError(
            "telemetry.endpoint is no http:// or https:// URL", "for example http://collector.internal:4317"
        )
    if port in receiver_ports and ports.leads_to(parts.hostname, receiver_host):
        raise WhodidError(
            f"telemetry.endpoint {ports.at(parts.hostname, port)} is this service's own receiver: "
            "its telemetry would bring more of it, without end",
            "name another collector in WHODID_TELEMETRY__ENDPOINT, or leave it empty to send none",
        )
