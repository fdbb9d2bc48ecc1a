"""OTLP/gRPC: the trace service, handed raw bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from whodid.processor.errors import WhodidError
from whodid.processor.intake import Intake
from whodid.processor.receivers import status
from whodid.processor.stages.decode import MalformedRequestError
from whodid.processor.telemetry import GRPC

if TYPE_CHECKING:
    from whodid.processor.settings import ReceiverSettings

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAX_CALLS_TO_REFUSE = 10_000
_CODES = {
    status.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    status.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_ACCEPTED = b""  # an ExportTraceServiceResponse without partial success


class _TraceService(grpc.GenericRpcHandler):
    def __init__(self, intake: Intake, body_timeout_s: float) -> None:
        self._intake = intake
        self._body_timeout_s = body_timeout_s

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method != METHOD:
            return None  # gRPC answers UNIMPLEMENTED
        library: Any = grpc
        # On the wire a stream of one message is a unary call. gRPC reads a unary call's message before it
        # calls the handler; this way the handler can refuse, and give a time-out, before anything is read.
        return library.stream_unary_rpc_method_handler(self._export)  # no deserializer: it gets bytes

    async def _export(self, _messages: Any, context: Any) -> bytes:
        telemetry = self._intake.telemetry
        try:
            size_bytes = await self._take(context)
        except status.REFUSALS as error:
            telemetry.refused(GRPC, type(error).__name__)
            # Its traceback holds the body, and would hold it until gRPC and the collector are done with it.
            refusal = error.with_traceback(None)
            refusal.__cause__ = refusal.__context__ = None
        else:
            telemetry.accepted(GRPC, size_bytes)
            return _ACCEPTED
        await _abort(context, refusal)
        return _ACCEPTED  # never: the abort raises

    async def _take(self, context: Any) -> int:
        with self._intake.in_hand() as add:
            async with self._intake.reading():
                body = await self._read(context)
                add(len(body))
            await self._intake.accept(body)
            return len(body)

    async def _read(self, context: Any) -> bytes:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                body: Any = await context.read()
        except TimeoutError:
            self._intake.telemetry.refused(GRPC, "DEADLINE_EXCEEDED")
            late = f"the message did not arrive within {self._body_timeout_s:g} s"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, late)
            raise
        if not isinstance(body, bytes):  # grpc.aio.EOF
            raise MalformedRequestError("the call has no message", "send what an OTLP exporter sends")
        return body


async def _abort(context: Any, error: WhodidError) -> None:
    refusal = status.of(error)
    context.set_trailing_metadata((("grpc-status-details-bin", refusal.SerializeToString()),))
    await context.abort(_CODES[refusal.code], refusal.message)


def server(
    intake: Intake, settings: ReceiverSettings, *, shared: bool = False
) -> tuple[grpc.aio.Server, int]:
    """The server, bound but not started, and its port. gzip is gRPC's own, which bounds what comes out.

    `shared`: other processes of this service bind the same port. Raises RuntimeError when it cannot be bound.
    """
    options: list[tuple[str, int]] = [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        # Otherwise a second process could bind the same port and take half of the requests.
        ("grpc.so_reuseport", int(shared)),
    ]
    if settings.max_connection_age_s:
        options.append(("grpc.max_connection_age_ms", int(settings.max_connection_age_s * 1000)))
        options.append(("grpc.max_connection_age_grace_ms", int(settings.body_timeout_s * 1000)))
    made = grpc.aio.server(
        options=options,
        # gRPC refuses without a RetryInfo. The intake refuses with one, before a message is read; this is
        # only against calls that are opened faster than they can be refused.
        maximum_concurrent_rpcs=settings.max_concurrent_requests + MAX_CALLS_TO_REFUSE,
    )
    made.add_generic_rpc_handlers((_TraceService(intake, settings.body_timeout_s),))
    address = f"[{settings.host}]" if ":" in settings.host else settings.host
    return made, made.add_insecure_port(f"{address}:{settings.grpc_port}")
