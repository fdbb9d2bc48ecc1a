"""Outgoing HTTP of requests, httpx, httpx2 and aiohttp: each request and redirect, on its way to its host."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from whodid.instrumentation import hops
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.hooks import Hooks

_FAILED: Final = "attribution could not be sent along"


class Requests(Hooks):
    """Hooks the one method that redirects go through too."""

    name = "requests"
    distribution = "requests"
    modules = ("requests.sessions",)

    def hook(self, module: ModuleType) -> None:
        """Wrap it."""
        self.wrap(module, "Session.send", _send)


class Httpx(Hooks):
    """Hooks what sends one request, after redirects and authentication have made it."""

    name = "httpx"
    distribution = "httpx"
    modules = ("httpx",)

    def hook(self, module: ModuleType) -> None:
        """Wrap both clients."""
        self.wrap(module, "Client._send_single_request", _send)
        self.wrap(module, "AsyncClient._send_single_request", _send)


class Httpx2(Httpx):
    """The same of its successor."""

    name = "httpx2"
    distribution = "httpx2"
    modules = ("httpx2",)


class Aiohttp(Hooks):
    """Hooks the request, of which a redirect makes another one."""

    name = "aiohttp"
    distribution = "aiohttp"
    modules = ("aiohttp.client_reqrep",)

    def hook(self, module: ModuleType) -> None:
        """Wrap what writes it to the connection; its name has changed."""
        inner = "_send" if hasattr(module.ClientRequest, "_send") else "send"
        self.wrap(module, f"ClientRequest.{inner}", _send_itself)


CLIENTS: Final = (Requests, Httpx, Httpx2, Aiohttp)


def install() -> None:
    """Install the hooks of all; nothing is imported."""
    for client in CLIENTS:
        client().install()


def _send(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = argument(args, kwargs, 0, "request")
    quietly("http", _FAILED, lambda: _leave(request.headers, request.url))
    return wrapped(*args, **kwargs)


def _send_itself(wrapped: Any, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    quietly("http", _FAILED, lambda: _leave(request.headers, request.url))
    return wrapped(*args, **kwargs)


def _leave(headers: Any, url: Any) -> None:
    if _is_mcp(headers.get("accept")):
        # Sent by a connection's own task, in whoever's block it was opened; its calls say for whom they are.
        return
    parts = urlsplit(str(url))
    hops.leave(headers, parts.hostname, parts.port)


def _is_mcp(accept: Any) -> bool:
    """Every request of MCP's HTTP transports accepts event streams. Source: MCP, Streamable HTTP."""
    return isinstance(accept, str) and "text/event-stream" in accept
