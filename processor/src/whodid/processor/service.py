"""The service: everything that `whodid up` runs, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from whodid.dashboards.pages import app as pages
from whodid.processor import adoption, api, health, listener, ports, storage, web
from whodid.processor.access import authentication, sign_in
from whodid.processor.access.headers import SecurityHeaders
from whodid.processor.access.middleware import AccessMiddleware
from whodid.processor.access.wiring import Access
from whodid.processor.announcement import Announcement, announced
from whodid.processor.ingest import Ingest
from whodid.processor.lock import DataLock
from whodid.processor.receivers.http import PATH
from whodid.processor.telemetry import unobserved

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from whodid.processor.health import Health
    from whodid.processor.settings import Settings
    from whodid.store import Store

Say = Callable[[str], None]


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
            with announced(settings.data_dir, announcement(settings, ingest.grpc_port, sockets[1])):
                say(report(settings, store, ingest.health(), ingest.grpc_port, sockets))
                await stop.wait()
        say(end(await ingest.drain()))
    say(found(ingest.health().findings))


def end(left_bytes: int) -> str:
    """The last word on what was acknowledged."""
    if left_bytes:
        return f"stopped: {left_bytes} bytes stay in the spool and are stored at the next start"
    return "stopped: everything that was acknowledged is stored"


def found(findings: Mapping[str, int]) -> str:
    """What the validator found in this run, by rule; the spans are in the store, and the findings too."""
    counts = ", ".join(f"{rule} {count}" for rule, count in findings.items())
    return f"findings: {counts or 'none'}"


def stop_on_signal(say: Say, *, at_once: Callable[[], None] | None = None) -> asyncio.Event:
    """The first SIGTERM or SIGINT sets the event; the second ends the process: the spool is durable.

    `at_once` is called before that end.
    """
    stop = asyncio.Event()

    def stop_or_die(number: int) -> None:
        if stop.is_set():
            if at_once is not None:
                at_once()
            os._exit(128 + number)
        say("stopping: no more is taken; what was acknowledged goes to the store")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_or_die, number)
    return stop


@contextlib.contextmanager
def _bound(settings: Settings) -> Generator[tuple[socket.socket, socket.socket]]:
    """The sockets of OTLP/HTTP and the API, bound before anything else is opened: a port in use is common."""
    receiver = settings.receiver
    with contextlib.ExitStack() as stack:
        # gRPC binds by itself, and says in its own log when it cannot: ask first, so that we can say it.
        ports.bind(receiver.host, receiver.grpc_port, "receiver.grpc_port").close()
        otlp = stack.enter_context(ports.bind(receiver.host, receiver.http_port, "receiver.http_port"))
        yield otlp, stack.enter_context(ports.bind(settings.api.host, settings.api.port, "api.port"))


def application(
    settings: Settings, store: Store, ask: Callable[[], Awaitable[Health]], access: Access | None = None
) -> Starlette:
    """The API and the pages, with /healthz and /readyz.

    `access`: without it nothing would record who saw content, so that none is shown. Raises WhodidError.
    """
    access = access or Access(settings)
    middleware = [Middleware(SecurityHeaders)]
    if ports.is_loopback(settings.api.host):
        # A page from elsewhere must not read the store through a name that it points at this machine.
        names = ["localhost", "127.0.0.1", "::1", "[::1]", settings.api.host, *_names(settings.access.origin)]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    middleware.append(Middleware(AccessMiddleware, access))
    app = Starlette(
        routes=[
            *health.routes(ask),
            *sign_in.routes(access),
            *api.routes(store, settings.api),
            *pages.routes(store, settings, ask),
        ],
        middleware=middleware,
        exception_handlers={HTTPException: pages.lost, Exception: pages.bug},
    )
    app.state.access = access
    return app


def _names(origin: str) -> list[str]:
    """The host's name by which a proxy may pass requests on; none where there is no such proxy."""
    host = urlsplit(origin).hostname
    return [host] if host else []


def announcement(settings: Settings, grpc_port: int, api_socket: socket.socket) -> Announcement:
    return Announcement(
        api=f"http://{ports.at(ports.reachable(settings.api.host), ports.port_of(api_socket))}",
        otlp_grpc=f"http://{ports.at(ports.reachable(settings.receiver.host), grpc_port)}",
        pid=os.getpid(),
    )


def report(
    settings: Settings, store: Store, state: Health, grpc_port: int, sockets: Sequence[socket.socket]
) -> str:
    """Where everything is."""
    host = settings.receiver.host
    folder = "spool" if settings.workers == 1 else f"worker-0 … worker-{settings.workers - 1}"
    lines = [
        "whodid is up",
        f"  OTLP/gRPC  {ports.at(host, grpc_port)}",
        f"  OTLP/HTTP  http://{ports.at(host, ports.port_of(sockets[0]))}{PATH}",
        f"  API        http://{ports.at(settings.api.host, ports.port_of(sockets[1]))}",
        f"  store      {store.description}, keeps {storage.retention(settings).description}",
        f"  spool      {settings.data_dir / folder}, "
        f"{state.spool_bytes} of {settings.spool.max_bytes} bytes in use",
    ]
    if settings.store.listen:
        lines.append(
            f"  listener   http://{settings.store.listen}, user {listener.READER}, who may only read"
        )
    if settings.forward.url:
        lines.append(f"  forwards   to {settings.forward.url}, {settings.forward.protocol}")
    lines.insert(4, f"  viewers    {authentication.described(settings)}")
    if not ports.is_loopback(host):
        lines.append(
            f"warning: receiver.host is {host}: there is no authentication yet: whoever reaches it can send"
        )
    return "\n".join(lines)
