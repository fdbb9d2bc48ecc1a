"""OTLP/gRPC: the trace service, handed raw bytes."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from whodid.processor.errors import WhodidError
from whodid.processor.intake import Intake
from whodid.processor.receivers import status

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_CODES = {
    status.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    status.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_ACCEPTED = b""  # an ExportTraceServiceResponse without partial success


class _TraceService(grpc.GenericRpcHandler):
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method != METHOD:
            return None  # gRPC answers UNIMPLEMENTED
        library: Any = grpc
        return library.unary_unary_rpc_method_handler(self._export)  # no deserializer: it gets bytes

    async def _export(self, body: bytes, context: Any) -> bytes:
        try:
            with self._intake.in_hand():
                await self._intake.accept(body)
        except status.REFUSALS as error:
            await _abort(context, error)
        return _ACCEPTED


async def _abort(context: Any, error: WhodidError) -> None:
    refusal = status.of(error)
    context.set_trailing_metadata((("grpc-status-details-bin", refusal.SerializeToString()),))
    await context.abort(_CODES[refusal.code], refusal.message)


def server(
    intake: Intake, host: str, port: int, *, max_request_bytes: int, max_concurrent_requests: int
) -> tuple[grpc.aio.Server, int]:
    """The server, bound but not started, and its port. gzip is gRPC's own, which bounds what comes out.

    Raises RuntimeError when the port cannot be bound.
    """
    made = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", max_request_bytes),
            # Otherwise a second process could bind the same port and take half of the requests.
            ("grpc.so_reuseport", 0),
        ),
        # A message is in memory before the intake can count it: this is what bounds those.
        maximum_concurrent_rpcs=2 * max_concurrent_requests,
    )
    made.add_generic_rpc_handlers((_TraceService(intake),))
    address = f"[{host}]" if ":" in host else host
    return made, made.add_insecure_port(f"{address}:{port}")
