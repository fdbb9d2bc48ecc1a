"""OTLP/gRPC: the trace service, handed raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from whodid.processor import ports
from whodid.processor.errors import WhodidError
from whodid.processor.intake import Intake
from whodid.processor.receivers import status
from whodid.processor.stages.decode import MalformedRequestError
from whodid.processor.telemetry import GRPC

if TYPE_CHECKING:
    from collections.abc import Callable

    from whodid.processor.settings import ReceiverSettings

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAX_CALLS_TO_REFUSE = 10_000
LOOK_EVERY_S = 1.0
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


def _not_grpcs_end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Says what nobody took, but for that of which grpcio's server ended: `_replace` says that in a line."""
    if not isinstance(context.get("exception"), UnicodeDecodeError):
        loop.default_exception_handler(context)


async def _abort(context: Any, error: WhodidError) -> None:
    refusal = status.of(error)
    context.set_trailing_metadata((("grpc-status-details-bin", refusal.SerializeToString()),))
    await context.abort(_CODES[refusal.code], refusal.message)


class Receiver:
    """The server; and another on the same port where it ended by itself.

    It does so, and without a word, when a sender's `:path` is no UTF-8 (seen in grpcio 1.85): whoever reaches
    the port could end it. Raises RuntimeError when the port cannot be bound.
    """

    def __init__(
        self,
        intake: Intake,
        settings: ReceiverSettings,
        say: Callable[[str], None],
        *,
        shared: bool = False,
    ) -> None:
        self._intake = intake
        self._say = say
        self._shared = shared
        self._server, self.port = _server(intake, settings, shared=shared)
        self._settings = settings.model_copy(update={"grpc_port": self.port})
        self._watch: asyncio.Task[None] | None = None
        self.is_down = False

    async def start(self) -> None:
        """Takes calls from now on."""
        asyncio.get_running_loop().set_exception_handler(_not_grpcs_end)
        await self._server.start()
        self._watch = asyncio.create_task(self._keep_up())

    async def stop(self, grace_s: float) -> None:
        """Takes no more; what is in hand is answered, for `grace_s`."""
        if self._watch is not None:
            self._watch.cancel()
        await self._server.stop(grace_s)

    async def _keep_up(self) -> None:
        # grpcio tells nobody that its server has ended, so we ask as a sender would. Where workers share the
        # port, another one answers for this one; when the last has ended all of them come back.
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.is_down = not await ports.is_listened_on(self._settings.host, self.port)
            if self.is_down:
                await self._replace()

    async def _replace(self) -> None:
        ended = self._server
        try:
            self._server, _ = _server(self._intake, self._settings, shared=self._shared)
            await self._server.start()
        except (RuntimeError, grpc.aio.UsageError) as error:
            self._say(f"warning: OTLP/gRPC is down and cannot be started again yet: {error}")
            return
        self.is_down = False
        self._say("warning: OTLP/gRPC had ended after a call that gRPC could not read; it is up again")
        with contextlib.suppress(Exception):  # whatever it ended of
            await ended.stop(0)


def _server(intake: Intake, settings: ReceiverSettings, *, shared: bool) -> tuple[grpc.aio.Server, int]:
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
