"""The service: everything that `whodid up` runs, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from whodid.processor import adoption, listener, notices, ports, storage, web
from whodid.processor.access import authentication
from whodid.processor.access.wiring import Access
from whodid.processor.announcement import announced
from whodid.processor.application import application
from whodid.processor.ingest import Ingest
from whodid.processor.lock import DataLock
from whodid.processor.signals import stop_on_signal
from whodid.processor.telemetry import unobserved

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Sequence

    from whodid.processor.health import Health
    from whodid.processor.notices import Say
    from whodid.processor.settings import Settings
    from whodid.store import Store


async def run(settings: Settings, say: Say) -> None:
    """Runs until SIGTERM or SIGINT, then drains. `say` gets what a person should read, a text at a time.

    Raises WhodidError when it cannot start.
    """
    authentication.check(settings)
    if settings.workers > 1:
        from whodid.processor import supervisor  # only where there is something to supervise

        await supervisor.run(settings, say)
        return
    stop = stop_on_signal(say)
    with unobserved(), DataLock(settings.data_dir), _bound(settings) as sockets:
        adoption.adopt(settings.data_dir, settings.data_dir)
        async with listener.listening(settings, say) as settings:
            store = await asyncio.to_thread(storage.opened, settings)
            try:
                await _serve(settings, store, sockets, stop, say)
            finally:
                await asyncio.to_thread(store.close)


async def _serve(
    settings: Settings, store: Store, sockets: Sequence[socket.socket], stop: asyncio.Event, say: Say
) -> None:
    ingest = Ingest(settings, settings.data_dir, store, sockets[0], say)

    async def ask() -> Health:
        return ingest.health()

    # The API outlives the receivers: it says that the service is stopping, and what is left.
    app = application(settings, store, ask, Access(settings, ingest.accept, say))
    async with web.serving(app, sockets[1], max_connections=settings.api.max_connections):
        async with ingest.serving():
            with announced(settings.data_dir, notices.announcement(settings, ingest.grpc_port, sockets[1])):
                say(notices.report(settings, store, ingest.health(), ingest.grpc_port, sockets))
                await stop.wait()
        say(notices.end(await ingest.drain()))
    say(notices.found(ingest.health().findings))


@contextlib.contextmanager
def _bound(settings: Settings) -> Generator[tuple[socket.socket, socket.socket]]:
    """The sockets of OTLP/HTTP and the API, bound before anything else is opened: a port in use is common."""
    receiver = settings.receiver
    with contextlib.ExitStack() as stack:
        # gRPC binds by itself, and says in its own log when it cannot: ask first, so that we can say it.
        ports.bind(receiver.host, receiver.grpc_port, "receiver.grpc_port").close()
        otlp = stack.enter_context(ports.bind(receiver.host, receiver.http_port, "receiver.http_port"))
        yield otlp, stack.enter_context(ports.bind(settings.api.host, settings.api.port, "api.port"))
