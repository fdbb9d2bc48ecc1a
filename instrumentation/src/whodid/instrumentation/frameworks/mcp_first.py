"""MCP's SDK before version 2, which makes no spans and carries nothing: the hop, and the server's part of it.

What is written is what the SDK writes since: the trace's context, and with it the attribution, in a request's
`_meta` (SEP-414), and a server span `tools/call NAME` inside of the caller's trace.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from opentelemetry import propagate
from opentelemetry.context import Context, get_value, set_value
from opentelemetry.trace import SpanKind, get_current_span

from whodid.instrumentation import baggage
from whodid.instrumentation.context import NOTHING_KNOWN, current, with_attribution
from whodid.instrumentation.core import Scope
from whodid.instrumentation.frameworks import mcp_peers
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.hooks import Hooks
from whodid.instrumentation.scopes import start_span
from whodid.instrumentation.streams import attached
from whodid.semconv import attributes as names

MODULES: Final = ("mcp.shared.session", "mcp.server.lowlevel.server")
_ADAPTER: Final = "mcp"
_CALL: Final = "tools/call"
_FOR_SOMEBODY: Final = (_CALL, "prompts/get", "resources/read")
"""The requests that a client sends in somebody's name. The others are the protocol's own."""
_SERVED: Final = "whodid.mcp.served"


@dataclass(slots=True)
class _Served:
    """A call that a server is at work on."""

    message: Any
    scope: Scope
    answered: bool = False


def hook(adapter: Hooks, module: ModuleType) -> None:
    """Wrap what the first version has; the second has one module of these names, and none of it."""
    if module.__name__ == "mcp.shared.session":
        adapter.wrap(module, "BaseSession.send_request", _send)
        adapter.wrap(module, "RequestResponder.respond", _respond)
    elif hasattr(module.Server, "_handle_request"):
        adapter.wrap(module, "Server._handle_request", _serve)


async def _send(wrapped: Any, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = argument(args, kwargs, 0, "request")
    said = quietly(_ADAPTER, "attribution could not be sent along", lambda: _with_meta(session, request))
    if said is None:
        return await wrapped(*args, **kwargs)
    if args:
        return await wrapped(said, *args[1:], **kwargs)
    return await wrapped(**{**kwargs, "request": said})


def _with_meta(session: Any, request: Any) -> Any:
    """A copy of a request that says in which trace and for whom; None where there is nothing to say."""
    inner = request.root
    if getattr(inner, "method", None) not in _FOR_SOMEBODY:
        return None
    before: dict[str, Any] = {} if inner.params.meta is None else inner.params.meta.model_dump(by_alias=True)
    meta = dict(before)
    propagate.inject(meta)
    if mcp_peers.may_send_over(session):
        baggage.inject(meta, current())
    if meta == before:
        return None
    params = inner.params.model_copy(update={"meta": inner.params.Meta.model_validate(meta)})
    return request.model_copy(update={"root": inner.model_copy(update={"params": params})})


async def _serve(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a server's request, in a task that has the Context of whoever started the server."""
    message, request = argument(args, kwargs, 0, "message"), argument(args, kwargs, 1, "req")
    context = quietly(_ADAPTER, "attribution could not be read", lambda: _arrived(message))
    if context is None:
        return await wrapped(*args, **kwargs)
    if getattr(request, "method", None) != _CALL:
        with attached(context):
            return await wrapped(*args, **kwargs)
    what = "a call could not be recorded"
    served = quietly(_ADAPTER, what, lambda: _Served(message, _started(message, request, context)))
    if served is None:
        with attached(context):
            return await wrapped(*args, **kwargs)
    served.scope.context = set_value(_SERVED, served, served.scope.context)
    with served.scope.running():
        result = await wrapped(*args, **kwargs)
        if not served.answered:  # nothing is raised, either, where the client gave up
            served.scope.finish("cancelled")
        return result


def _arrived(message: Any) -> Context:
    meta = message.request_meta
    said: Mapping[str, Any] = {} if meta is None else meta.model_dump(by_alias=True, exclude_none=True)
    known = baggage.extract(said) if mcp_peers.accepted(_http_request(message)) else None
    # Neither the trace nor the block of whoever started the server is its callers'.
    return with_attribution(known or NOTHING_KNOWN, _trace_of(said))


def _trace_of(said: Mapping[str, Any]) -> Context:
    # In a Context of its own: the extractor falls back to the one that it is given.
    found = propagate.extract({key: text for key, text in said.items() if isinstance(text, str)}, Context())
    return found if get_current_span(found).get_span_context().is_valid else Context()


def _http_request(message: Any) -> Any:
    return getattr(getattr(message, "message_metadata", None), "request_context", None)


def _started(message: Any, request: Any, context: Context) -> Scope:
    tool = request.params.name
    attributes = {
        names.MCP_METHOD_NAME: _CALL,
        names.GEN_AI_OPERATION_NAME: "execute_tool",
        names.GEN_AI_TOOL_NAME: tool,
        names.JSONRPC_REQUEST_ID: str(message.request_id),
    }
    name, known = f"{_CALL} {tool}", current(context)
    return Scope(*start_span(_ADAPTER, name, known, attributes, context, kind=SpanKind.SERVER))


async def _respond(wrapped: Any, message: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a server answers says whether the tool failed: nothing is raised."""
    served = get_value(_SERVED)
    if isinstance(served, _Served) and served.message is message:
        served.answered = True
        response = argument(args, kwargs, 0, "response")
        error = quietly(_ADAPTER, "an answer could not be read", lambda: _error(response))
        if error is not None:
            served.scope.finish(error)
    return await wrapped(*args, **kwargs)


def _error(response: Any) -> str | None:
    types = sys.modules["mcp.types"]
    if isinstance(response, types.ErrorData):
        return str(response.code)
    return "tool_error" if getattr(response.root, "isError", False) else None
