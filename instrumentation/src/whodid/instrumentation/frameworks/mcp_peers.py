"""MCP: with whom a client talks, and who calls a server, so that attribution goes and comes by the lists."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import get_value, set_value

from whodid.instrumentation import peers
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.hooks import Hooks, Wrapper
from whodid.instrumentation.streams import attached
from whodid.instrumentation.weakly import ByObject

TRANSPORTS: Final = {
    "mcp.client.streamable_http": ("streamable_http_client", "streamablehttp_client"),
    "mcp.client.sse": ("sse_client",),
    "mcp.client.stdio": ("stdio_client",),
    "mcp.shared.memory": ("create_client_server_memory_streams",),
}
"""Modules with what opens a connection, by all its names. It gives streams; the second is written to."""
_MAY_SEND: Final = "whodid.mcp.may_send"
_Address = tuple[str, int | None]
_addresses: Final[ByObject[_Address]] = ByObject()


def hook_transport(adapter: Hooks, module: ModuleType) -> None:
    """Wrap what opens a connection, and in every module that has it by import already."""
    for name in TRANSPORTS[module.__name__]:
        original = vars(module).get(name)
        if original is None:
            continue
        holders = [each for each in list(sys.modules.values()) if _holds(each, name, original)]
        for holder in holders:
            adapter.wrap(holder, name, _opened(module.__name__))


def _holds(module: Any, name: str, original: Any) -> bool:
    return isinstance(module, ModuleType) and vars(module).get(name) is original


def _opened(kind: str) -> Wrapper:
    def wrapper(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        address: _Address = (peers.THIS_MACHINE, None)
        if kind in ("mcp.client.streamable_http", "mcp.client.sse"):
            parts = urlsplit(str(argument(args, kwargs, 0, "url")))
            address = (parts.hostname or "", parts.port)
        return _Opening(wrapped(*args, **kwargs), address)

    return wrapper


class _Opening:
    """A connection's context manager that notes to whom what it gives leads."""

    def __init__(self, inner: Any, address: _Address) -> None:
        self._inner = inner
        self._address = address

    async def __aenter__(self) -> Any:
        streams = await self._inner.__aenter__()
        quietly("mcp", "a connection's address could not be noted", lambda: _note(streams, self._address))
        return streams

    async def __aexit__(self, *error: Any) -> Any:
        return await self._inner.__aexit__(*error)


def _note(streams: Any, address: _Address) -> None:
    # In-memory streams come in pairs, the client's and then the server's.
    ends = streams if isinstance(streams[0], tuple) else (streams,)
    for end in ends:
        _addresses.set(_stream(end[1]), address)


def _stream(given: Any) -> Any:
    """The stream itself: the wrapper around some of them takes no weak reference."""
    return getattr(given, "_inner", given)


async def send(wrapped: Any, dispatcher: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a dispatcher's request: whether attribution may go where it leads."""
    with attached(set_value(_MAY_SEND, may_send_over(dispatcher))):
        return await wrapped(*args, **kwargs)


def may_send_over(connection: Any) -> bool:
    """Whether what is written to a dispatcher, or a session that is its own, may carry attribution."""
    host, port = _addresses.get(_stream(getattr(connection, "_write_stream", None))) or (None, None)
    return peers.sends_to(host, port)


def may_send() -> bool:
    """Whether the request that is being written may carry attribution."""
    return get_value(_MAY_SEND) is True


def accepted(http: Any) -> bool:
    """Whether a request's word is taken: a pipe's (None) is this machine's, HTTP's its client address's."""
    if http is None:
        return peers.accepts_from(peers.THIS_MACHINE)
    client = getattr(http, "client", None)
    return peers.accepts_from(peers.THIS_MACHINE if client is None else str(client[0]))
