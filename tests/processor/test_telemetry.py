"""The service's own metrics, as a collector gets them; and never into itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.running import environment, service
from tests.spans import Sent, request
from whodid.processor import ports
from whodid.processor.errors import WhodidError
from whodid.processor.settings import Settings, TelemetrySettings
from whodid.processor.telemetry import make

PROTOBUF = {"content-type": "application/x-protobuf"}


class Collector(grpc.GenericRpcHandler):
    """Takes whatever is exported to it, by method."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    def service(self, handler_call_details: Any) -> Any:
        library: Any = grpc

        def take(body: bytes, _context: Any) -> bytes:
            self.got.append((handler_call_details.method, body))
            return b""

        return library.unary_unary_rpc_method_handler(take)

    def metrics(self) -> dict[str, Any]:
        """The last value of each metric."""
        found: dict[str, Any] = {}
        for method, body in self.got:
            if "MetricsService" in method:
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        found |= {metric.name: metric for metric in scope.metrics}
        return found


@pytest.fixture
def collector() -> Generator[tuple[Collector, int]]:
    taker = Collector()
    server: Any = cast("Any", grpc).server(ThreadPoolExecutor(2), handlers=[taker])
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield taker, port
    server.stop(None)


def test_metrics_arrive_at_a_collector(tmp_path: Path, collector: tuple[Collector, int]) -> None:
    taker, port = collector
    variables = {"WHODID_TELEMETRY__ENDPOINT": f"http://127.0.0.1:{port}"}
    with service(tmp_path / "data", **variables) as running:
        for body in (request(Sent(), Sent()), request(Sent()), b"garbage"):
            httpx.post(running.http, content=body, headers=PROTOBUF)
        running.wait_until_stored()
        assert running.stop() == 0
        assert "Traceback" not in running.said
    metrics = taker.metrics()
    requests = {
        tuple(sorted((each.key, each.value.string_value) for each in point.attributes)): point.as_int
        for point in metrics["whodid.receiver.requests"].sum.data_points
    }
    taken = ("otel.component.type", "otlp_http_receiver")
    assert requests == {(taken,): 2, (("error.type", "MalformedRequestError"), taken): 1}
    assert [each.as_int for each in metrics["whodid.store.spans"].sum.data_points] == [3]
    assert metrics["whodid.store.freshness"].histogram.data_points[0].count >= 1
    assert metrics["whodid.spool.limit"].gauge.data_points[0].as_int == 1024**3
    # The spans of its own are of deliveries, far fewer than what passes through.
    assert any("TraceService" in method for method, _ in taker.got)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
def test_never_into_itself(host: str, bound: str) -> None:
    settings = Settings(telemetry=TelemetrySettings(endpoint=f"http://{host}:4317"))  # pyright: ignore[reportCallIssue]
    settings = settings.model_copy(update={"receiver": settings.receiver.model_copy(update={"host": bound})})
    with pytest.raises(WhodidError, match="own receiver"):
        make(settings, 4317, 4318)


def test_another_machine_or_port_is_another_collector() -> None:
    assert not ports.leads_to("192.0.2.1", "0.0.0.0")
    assert not ports.leads_to("does-not-exist.invalid", "0.0.0.0")
    settings = Settings(telemetry=TelemetrySettings(endpoint="http://127.0.0.1:9999"))  # pyright: ignore[reportCallIssue]
    make(settings, 4317, 4318).close()


def test_the_service_refuses_itself_at_start(tmp_path: Path) -> None:
    flags = ["--grpc-port", "43171", "--http-port", "0", "--api-port", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "whodid.cli.main", "up", "--data-dir", str(tmp_path / "data"), *flags],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(WHODID_TELEMETRY__ENDPOINT="http://localhost:43171"),
    )
    assert done.returncode == 1
    assert "is this service's own receiver" in done.stderr
    assert "hint: name another collector" in done.stderr
