"""The service: everything that `whodid up` runs, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from whodid.processor import api, spool
from whodid.processor.announcement import Announcement, announced
from whodid.processor.delivery import Delivery
from whodid.processor.errors import WhodidError
from whodid.processor.intake import Intake
from whodid.processor.lock import DataLock
from whodid.processor.quarantine import Quarantine
from whodid.processor.receivers import grpc as grpc_receiver
from whodid.processor.receivers import http as http_receiver
from whodid.processor.spool import Spool
from whodid.store import Store

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.processor.settings import Settings

QUARANTINE = "quarantine"
CLOSE_TIMEOUT_S = 5

Say = Callable[[str], None]


async def run(settings: Settings, say: Say) -> None:
    """Runs until SIGTERM or SIGINT, then drains. `say` gets what a person should read, a text at a time.

    Raises WhodidError when it cannot start.
    """
    stop = _stop_on_signal(say)
    with DataLock(settings.data_dir), _bound(settings) as sockets:
        store = await asyncio.to_thread(
            Store.open,
            settings.store_url,
            database=settings.store.database,
            retention_days=settings.store.retention_days,
        )
        try:
            await _serve(settings, store, sockets, stop, say)
        finally:
            await asyncio.to_thread(store.close)


async def _serve(
    settings: Settings, store: Store, sockets: Sequence[socket.socket], stop: asyncio.Event, say: Say
) -> None:
    kept = Quarantine(
        settings.data_dir / QUARANTINE,
        max_files=settings.quarantine.max_files,
        max_bytes=settings.quarantine.max_bytes,
    )
    waiting = Spool(
        settings.data_dir / spool.FOLDER,
        kept,
        max_bytes=settings.spool.max_bytes,
        flush_after_s=settings.spool.flush_after_s,
        flush_after_bytes=settings.spool.flush_after_bytes,
    )
    delivery = Delivery(waiting, store, kept, say)
    intake = Intake(waiting, kept, max_concurrent_requests=settings.receiver.max_concurrent_requests, say=say)
    grpc_server, grpc_port = _grpc_server(settings, intake)
    otlp = http_receiver.app(intake, max_request_bytes=settings.receiver.max_request_bytes)
    delivery.start()
    await grpc_server.start()
    async with _http(otlp, sockets[0]), _http(_api(settings, store, waiting, delivery), sockets[1]):
        with announced(settings.data_dir, _announcement(settings, grpc_port, sockets[1])):
            say(_report(settings, store, waiting, grpc_port, sockets))
            await stop.wait()
        await grpc_server.stop(CLOSE_TIMEOUT_S)
    await asyncio.to_thread(waiting.close)
    if not await asyncio.to_thread(delivery.drain, settings.spool.drain_timeout_s):
        say(f"stopped: {waiting.used_bytes} bytes stay in the spool and are stored at the next start")
    else:
        say("stopped: everything that was acknowledged is stored")
    say(_found(delivery))


def _found(delivery: Delivery) -> str:
    """What the validator found in this run, by rule; the spans are in the store, and the findings too."""
    counts = ", ".join(f"{rule} {count}" for rule, count in delivery.findings.items())
    return f"findings: {counts or 'none'}"


def _stop_on_signal(say: Say) -> asyncio.Event:
    """The first SIGTERM or SIGINT sets the event; the second ends the process: the spool is durable."""
    stop = asyncio.Event()

    def stop_or_die(number: int) -> None:
        if stop.is_set():
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
        _bind(receiver.host, receiver.grpc_port, "receiver.grpc_port").close()
        otlp = stack.enter_context(_bind(receiver.host, receiver.http_port, "receiver.http_port"))
        yield otlp, stack.enter_context(_bind(settings.api.host, settings.api.port, "api.port"))


def _bind(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        flag = "--" + setting.removeprefix("receiver.").replace("_", "-").replace(".", "-")
        raise WhodidError(
            f"cannot listen on {_at(host, port)}: {error.strerror}",
            f"stop what uses it, or choose another with {flag} (setting {setting}; 0 takes a free port)",
        ) from error
    return bound


def _grpc_server(settings: Settings, intake: Intake) -> Any:
    receiver = settings.receiver
    try:
        return grpc_receiver.server(
            intake,
            receiver.host,
            receiver.grpc_port,
            max_request_bytes=receiver.max_request_bytes,
            max_concurrent_requests=receiver.max_concurrent_requests,
        )
    except RuntimeError:
        raise WhodidError(
            f"cannot listen on {_at(receiver.host, receiver.grpc_port)}",
            "choose another with --grpc-port (setting receiver.grpc_port; 0 takes a free port)",
        ) from None


class _Server(uvicorn.Server):
    """uvicorn as a part of our loop: signals are the service's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def _http(app: Starlette, bound: socket.socket) -> AsyncGenerator[None]:
    """Serves an application on a bound socket until the block ends; requests in hand are answered first."""
    # Its warnings are one a bad request; an exception in a handler is an error and stays.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _api(settings: Settings, store: Store, waiting: Spool, delivery: Delivery) -> Starlette:
    async def healthz(_request: Request) -> JSONResponse:
        store_is = "away" if delivery.store_is_away else "ok"
        return JSONResponse(
            {"store": store_is, "spool_bytes": waiting.used_bytes, "findings": delivery.findings}
        )

    middleware: list[Middleware] = []
    if _is_loopback(settings.api.host):
        # A page from elsewhere must not read the store through a name that it points at this machine.
        names = ["localhost", "127.0.0.1", "::1", "[::1]", settings.api.host]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    return Starlette(routes=[Route("/healthz", healthz), *api.routes(store)], middleware=middleware)


def _announcement(settings: Settings, grpc_port: int, api_socket: socket.socket) -> Announcement:
    return Announcement(
        api=f"http://{_at(_reachable(settings.api.host), _port(api_socket))}",
        otlp_grpc=f"http://{_at(_reachable(settings.receiver.host), grpc_port)}",
        pid=os.getpid(),
    )


def _report(
    settings: Settings, store: Store, waiting: Spool, grpc_port: int, sockets: Sequence[socket.socket]
) -> str:
    host = settings.receiver.host
    lines = [
        "whodid is up",
        f"  OTLP/gRPC  {_at(host, grpc_port)}",
        f"  OTLP/HTTP  http://{_at(host, _port(sockets[0]))}{http_receiver.PATH}",
        f"  API        http://{_at(settings.api.host, _port(sockets[1]))}",
        f"  store      {store.description}, keeps {settings.store.retention_days} days",
        f"  spool      {settings.data_dir / spool.FOLDER}, "
        f"{waiting.used_bytes} of {settings.spool.max_bytes} bytes in use",
    ]
    for name, each in (("receiver.host", host), ("api.host", settings.api.host)):
        if not _is_loopback(each):
            lines.append(
                f"warning: {name} is {each}: there is no authentication yet, so whoever reaches it can use it"
            )
    return "\n".join(lines)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _reachable(host: str) -> str:
    """Where this machine reaches what listens on `host`."""
    return "127.0.0.1" if _is_wildcard(host) else host


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _port(bound: socket.socket) -> int:
    return bound.getsockname()[1]
