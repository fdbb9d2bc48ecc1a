"""HTTP servers: each request is for whom it says, or whom your hook says, and never for the server's starter.

`app.add_middleware(AsgiAttribution, identify=…)` for Starlette and FastAPI;
`app.wsgi_app = WsgiAttribution(app.wsgi_app, identify=…)` for Flask.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from opentelemetry.context import Context

from whodid.instrumentation import hops
from whodid.instrumentation.blocks import derive
from whodid.instrumentation.context import NOTHING_KNOWN, current, with_attribution
from whodid.instrumentation.frameworks.seam import say_once
from whodid.instrumentation.peers import THIS_MACHINE
from whodid.instrumentation.streams import attached

Said = Mapping[str, Any] | None
"""What `attribution(...)` takes: `principal`, `principal_type`, `session_id` …; None is not known."""
_HEADERS: Final = ("baggage", hops.CORRELATION_HEADER, hops.TRACE_HEADER, "tracestate")


class AsgiAttribution:
    """ASGI middleware. `identify` is given the scope and says for whom the request is; it may be async.

    Put it inside of what authenticates, which is then done when `identify` runs. What `identify` says wins
    over what the caller says. If it raises, nobody is known.
    """

    def __init__(
        self, app: Any, identify: Callable[[Mapping[str, Any]], Said | Awaitable[Said]] | None = None
    ) -> None:
        self._app = app
        self._identify = identify

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with attached(await self._context(scope)):
            await self._app(scope, receive, send)

    async def _context(self, scope: Mapping[str, Any]) -> Context:
        try:
            found = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
            }
            client = scope.get("client")
            arrived = hops.arrive(found, client[0] if client else THIS_MACHINE)
            said = None if self._identify is None else self._identify(scope)
            if inspect.isawaitable(said):
                said = await said
            return _with(arrived, said)
        except Exception as error:  # noqa: BLE001 the request is served, for nobody
            say_once("http", "a request could not be attributed", error)
            return with_attribution(NOTHING_KNOWN)


class WsgiAttribution:
    """WSGI middleware. `identify` is given the environ; as for `AsgiAttribution`."""

    def __init__(self, app: Any, identify: Callable[[Mapping[str, Any]], Said] | None = None) -> None:
        self._app = app
        self._identify = identify

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        """One request; its body is made in the same Context, step by step."""
        context = self._context(environ)
        with attached(context):
            body = self._app(environ, start_response)
        return _Body(body, context)

    def _context(self, environ: Mapping[str, Any]) -> Context:
        try:
            names = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in _HEADERS}
            found = {name: environ[key] for name, key in names.items() if key in environ}
            arrived = hops.arrive(found, environ.get("REMOTE_ADDR") or THIS_MACHINE)
            return _with(arrived, None if self._identify is None else self._identify(environ))
        except Exception as error:  # noqa: BLE001 the request is served, for nobody
            say_once("http", "a request could not be attributed", error)
            return with_attribution(NOTHING_KNOWN)


class _Body:
    """A response's body; the server takes it step by step, after the application has returned."""

    def __init__(self, body: Any, context: Context) -> None:
        self._body = body
        self._steps: Any = None
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with attached(self._context):
            if self._steps is None:
                self._steps = iter(self._body)
            return next(self._steps)

    def close(self) -> None:
        """Called by the server at the end."""
        if hasattr(self._body, "close"):
            with attached(self._context):
                self._body.close()


def _with(arrived: Context, said: Said) -> Context:
    if not said:
        return arrived
    known = {name: value for name, value in said.items() if value is not None}
    return with_attribution(derive(current(arrived), **known), arrived)
