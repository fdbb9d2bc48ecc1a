"""Ingest: receivers, spool and delivery of one process, from the first request to the drained spool."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from whodid.processor import health, ports, spool, telemetry, web
from whodid.processor.delivery import Courier, Delivery
from whodid.processor.errors import WhodidError
from whodid.processor.forwarding.endpoint import connect
from whodid.processor.forwarding.forwarder import Forwarder
from whodid.processor.health import Health
from whodid.processor.intake import Intake
from whodid.processor.memory import reuse_buffers, unload_what_starting_took
from whodid.processor.pipeline import warm_up
from whodid.processor.quarantine import Quarantine
from whodid.processor.receivers import grpc as grpc_receiver
from whodid.processor.receivers import http as http_receiver
from whodid.processor.recent import Recent
from whodid.processor.settings import NO_STORE
from whodid.processor.spool import Spool

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from whodid.processor.settings import Settings
    from whodid.store import Store

QUARANTINE = "quarantine"


class Ingest:
    """What one process does between the wire and the store. Built on the event loop.

    `folder` holds its spool. The quarantine is one for all: its files have names of their own.
    `shared`: other processes of this service listen on the same ports.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        store: Store,
        http_socket: socket.socket,
        say: Callable[[str], None],
        *,
        shared: bool = False,
    ) -> None:
        self._settings = settings
        self._say = say
        self._http_socket = http_socket
        self.spool_folder = folder / spool.FOLDER
        self._stopping = False
        kept = Quarantine(
            settings.data_dir / QUARANTINE,
            max_files=settings.quarantine.max_files,
            max_bytes=settings.quarantine.max_bytes,
        )
        recent = Recent(
            window_s=settings.receiver.resend_window_s, max_requests=settings.receiver.resend_window_requests
        )
        stores, forwards = settings.store_url != NO_STORE, bool(settings.forward.url)
        self._spool = Spool(
            self.spool_folder,
            kept,
            max_bytes=settings.spool.max_bytes,
            flush_after_s=settings.spool.flush_after_s,
            flush_after_bytes=settings.spool.flush_after_bytes,
            cursors=[spool.STORE] * stores + [spool.FORWARD] * forwards,
            recovered=recent.recover if recent.enabled else None,
        )
        self._intake = Intake(
            self._spool,
            kept,
            max_concurrent_requests=settings.receiver.max_concurrent_requests,
            max_in_flight_bytes=settings.receiver.max_in_flight_bytes,
            max_request_bytes=settings.receiver.max_request_bytes,
            max_spans=settings.limits.max_spans,
            max_copied_bytes=settings.limits.max_copied_bytes,
            telemetry=telemetry.Telemetry(),
            say=say,
            recent=recent,
        )
        self._grpc = _grpc(settings, self._intake, say, shared=shared)
        self.grpc_port = self._grpc.port
        self._telemetry = telemetry.make(settings, self.grpc_port, ports.port_of(http_socket), folder.name)
        self._intake.telemetry = self._telemetry
        self._delivery = Delivery(
            self._spool, store, kept, say, self._telemetry, settings.tenant, settings.limits
        )
        self._forwarder = (
            Forwarder(self._spool, connect(settings.forward), kept, say, settings.limits)
            if forwards
            else None
        )
        self._couriers: list[Courier[Any]] = [self._delivery] if stores else []
        if self._forwarder is not None:
            self._couriers.append(self._forwarder)
        self._watch()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Receives and delivers while the block runs; afterwards it takes no more."""
        reuse_buffers()
        await asyncio.to_thread(warm_up)
        app = http_receiver.app(self._intake, self._settings.receiver)
        for each in self._couriers:
            each.start()
        await self._grpc.start()
        unload_what_starting_took()
        try:
            limit = self._settings.receiver.max_connections
            async with web.serving(app, self._http_socket, max_connections=limit):
                yield
                self._stopping = True
                await self._grpc.stop(web.CLOSE_TIMEOUT_S)
        finally:
            self._stopping = True

    async def accept(self, body: bytes) -> None:
        """Takes a request of the service's own; returns when it is durable.

        Raises BusyError and SpoolUnavailableError.
        """
        with self._intake.in_hand() as add:
            add(len(body))
            await self._intake.accept(body)

    async def drain(self) -> int:
        """Delivers what is left, for as long as the settings allow; the bytes that stay in the spool."""
        await asyncio.to_thread(self._spool.close)
        timeout_s = self._settings.spool.drain_timeout_s
        done = await asyncio.gather(*(asyncio.to_thread(each.drain, timeout_s) for each in self._couriers))
        await asyncio.to_thread(self._telemetry.close)
        return 0 if all(done) else self._spool.used_bytes

    def health(self) -> Health:
        limit = self._settings.api.ready_spool_age_s
        return health.judged(self._figures(), max_age_s=limit, stopping=self._stopping)

    def _figures(self) -> Health:
        return Health(
            store_is_away=self._delivery.store_is_away,
            grpc_is_down=self._grpc.is_down,
            spool_bytes=self._spool.used_bytes,
            spool_max_bytes=self._settings.spool.max_bytes,
            forward_is_away=self._forwarder and self._forwarder.is_away,
            spool_oldest_age_s=self._spool.oldest_age_s,
            accepted_requests=self._telemetry.accepted_requests,
            stored_spans=self._telemetry.stored_spans,
            findings=self._delivery.findings,
        )

    def _watch(self) -> None:
        watch, intake = self._telemetry.watch, self._intake
        watch("whodid.receiver.in_flight.requests", "{request}", lambda: intake.in_hand_count)
        watch("whodid.receiver.in_flight.size", "By", lambda: intake.in_flight_bytes)
        watch("whodid.spool.size", "By", lambda: self._spool.used_bytes)
        watch("whodid.spool.limit", "By", lambda: self._settings.spool.max_bytes)
        watch("whodid.spool.oldest.age", "s", lambda: self._spool.oldest_age_s)
        watch("whodid.store.away", "1", lambda: int(self._delivery.store_is_away))


def _grpc(
    settings: Settings, intake: Intake, say: Callable[[str], None], *, shared: bool
) -> grpc_receiver.Receiver:
    receiver = settings.receiver
    try:
        return grpc_receiver.Receiver(intake, receiver, say, shared=shared)
    except RuntimeError:
        raise WhodidError(
            f"cannot listen on {ports.at(receiver.host, receiver.grpc_port)}",
            "choose another with --grpc-port (setting receiver.grpc_port; 0 takes a free port)",
        ) from None
