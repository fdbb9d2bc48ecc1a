"""A bare OTLP/gRPC receiver that keeps what it is sent, for tests of what leaves an agent's process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Its `endpoint`, and the spans that came."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 gRPC's name
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()  # pyright: ignore

    def spans(self) -> dict[str, dict[str, Any]]:
        """By name: string and string-array attributes, with the resource's under `resource`."""
        found: dict[str, dict[str, Any]] = {}
        for request in list(self.requests):
            for resource_spans in request.resource_spans:
                resource = _attributes(resource_spans.resource.attributes)
                for scope_spans in resource_spans.scope_spans:
                    for span in scope_spans.spans:
                        assert span.name not in found, f"{span.name} came twice"
                        found[span.name] = {**_attributes(span.attributes), "resource": resource}
        return found

    def wait_for(self, name: str, timeout_s: float = 10) -> dict[str, Any]:
        """The attributes of a span that will come."""
        deadline_s = time.monotonic() + timeout_s
        while name not in self.spans():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{name} did not come; there are {list(self.spans())}")
            time.sleep(0.05)
        return self.spans()[name]


@contextlib.contextmanager
def receiver(address: str = "http://127.0.0.1:0") -> Generator[Receiver, None, None]:
    """Listens on the loopback; on a free port, if none is given."""
    servicer = Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    generated: Any = trace_service_pb2_grpc  # without annotations
    generated.add_TraceServiceServicer_to_server(servicer, server)
    servicer.endpoint = f"http://127.0.0.1:{server.add_insecure_port(address.removeprefix('http://'))}"
    server.start()
    try:
        yield servicer
    finally:
        server.stop(None).wait()


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        array = pair.value.array_value.values
        found[pair.key] = tuple(item.string_value for item in array) if array else pair.value.string_value
    return found
