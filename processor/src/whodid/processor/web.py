"""uvicorn as a part of the service's own event loop, with bounds on connections and on slow heads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.applications import Starlette

CLOSE_TIMEOUT_S = 5
HEAD_TIMEOUT_S = 30
# What a connection beyond the limit is told, before it is closed.
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


def _protocol(max_connections: int) -> type[H11Protocol]:
    class Bounded(H11Protocol):
        """uvicorn bounds requests; a connection that never sends one would stay for ever, and uncounted.

        Nor does it reckon with a request that breaks HTTP behind its head, when an answer is on its way: two
        answers to one request are an exception, and a traceback in the log for whoever sends a few bytes.
        """

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.write(_TOO_MANY)
                transport.close()
                return
            self.loop.call_later(HEAD_TIMEOUT_S, self._close_if_silent)

        def _close_if_silent(self) -> None:
            if self.scope is None and not self.transport.is_closing():  # pyright: ignore[reportUnnecessaryComparison]
                self.transport.close()

        def send_400_response(self, msg: str) -> None:
            if self.cycle is not None:  # pyright: ignore[reportUnnecessaryComparison]
                self.cycle.disconnected = True  # whoever makes an answer has nobody to send it to
                self.cycle.message_event.set()
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                super().send_400_response(msg)
            else:
                self.transport.close()

    return Bounded


class _Server(uvicorn.Server):
    """Signals are the service's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Starlette, bound: socket.socket, *, max_connections: int) -> AsyncGenerator[None]:
    """Serves an application on a bound socket until the block ends; requests in hand are answered first."""
    # Its warnings are one a bad request; an exception in a handler is an error and stays.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server = _Server(
        uvicorn.Config(
            app,
            http=_protocol(max_connections),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task
