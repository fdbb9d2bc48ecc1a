"""MCP, both sides: a client's calls as actions, and attribution carried over the hop in a request's `_meta`.

The SDK makes spans of its own on both sides, which stamping completes; none is made a second time here
(before version 2 there are none: `mcp_first`). A server's part belongs to its caller's action. What a server
is told is self-asserted: it has only the client's word for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import Context, get_value, set_value

from whodid.instrumentation import baggage, effects, frameworks
from whodid.instrumentation.context import NOTHING_KNOWN, current, with_attribution
from whodid.instrumentation.core import Action, ToolCall, in_action
from whodid.instrumentation.frameworks import mcp_first, mcp_peers
from whodid.instrumentation.frameworks.seam import argument, decide, quietly
from whodid.instrumentation.streams import attached
from whodid.instrumentation.weakly import ByObject

ADAPTER: Final = "mcp"
_ARRIVED: Final = "whodid.mcp.arrived"
_SAME_TASK: Final = "whodid.mcp.same_task"
MAX_TOOLS: Final = 4096
_tools: Final[ByObject[dict[str, Any]]] = ByObject()


class Instrumentor(frameworks.Instrumentor):
    """Hooks the SDK's client, its dispatchers and its server."""

    name = ADAPTER
    distribution = "mcp"
    tested = ("1.24.0", "2.3.0")
    modules = (
        "mcp.client.session",
        "mcp.client.client",
        "mcp.shared.jsonrpc_dispatcher",
        "mcp.shared.direct_dispatcher",
        "mcp.server._otel",
        "mcp.server.runner",
        *mcp_first.MODULES,
        *mcp_peers.TRANSPORTS,
    )

    def hook(self, module: ModuleType) -> None:
        """Wrap what each of the modules has to offer."""
        if module.__name__ in mcp_peers.TRANSPORTS:
            mcp_peers.hook_transport(self, module)
            return
        if module.__name__ in mcp_first.MODULES:
            mcp_first.hook(self, module)
            return
        match module.__name__:
            case "mcp.client.session":
                self.wrap(module, "ClientSession.call_tool", _call_tool)
                self.wrap(module, "ClientSession.list_tools", _list_tools)
            case "mcp.client.client":
                # Its one call may take several of the session's, which are then this action's transport.
                self.wrap(module, "Client.call_tool", _call_tool)
            case "mcp.shared.jsonrpc_dispatcher":
                self.wrap(module, "inject_trace_context", _inject)
                self.wrap(module, "JSONRPCDispatcher.send_raw_request", mcp_peers.send)
            case "mcp.shared.direct_dispatcher":
                self.wrap(module, "DirectDispatcher.send_raw_request", _send_in_process)
            case "mcp.server._otel":
                self.wrap(module, "extract_trace_context", _extract)
            case _:
                # At each request and not in a server's constructor: a server may be older than the hooks.
                self.wrap(module, "ServerRunner._compose_server_middleware", _compose)


async def _list_tools(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A server's list is where it says what its tools are; kept with the session."""
    result = await wrapped(*args, **kwargs)
    quietly(ADAPTER, "a list of tools could not be read", lambda: _keep(instance, result.tools))
    return result


def _keep(session: Any, tools: list[Any]) -> None:
    known = _tools.get(session)
    if known is None:
        known = dict[str, Any]()
        _tools.set(session, known)
    for tool in tools:
        if tool.name in known or len(known) < MAX_TOOLS:
            known[tool.name] = tool


async def _call_tool(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if in_action(argument(args, kwargs, 0, "name")):  # a tool's body at work: the call is how it does it
        return await wrapped(*args, **kwargs)
    action = decide(ADAPTER, lambda: _call(instance, args, kwargs))
    if action is None:
        return await wrapped(*args, **kwargs)
    if action.denial is not None:
        return denied(action.denial)
    with action.executing():
        result = await wrapped(*args, **kwargs)
        quietly(ADAPTER, "a result could not be read", lambda: read_result(action, result))
        return result


def _call(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
    name, arguments = argument(args, kwargs, 0, "name"), argument(args, kwargs, 1, "arguments")
    return read_call(getattr(client, "session", client), name, arguments)


def read_call(session: Any, name: str, arguments: Any) -> ToolCall:
    """A call with what its server said of the tool, if this session has asked for the list."""
    tool = (_tools.get(session) or {}).get(name)
    if tool is None:
        return ToolCall(name=name, arguments=arguments)
    # As it was sent: the SDK's first version has the protocol's own names, and its second has others.
    said = tool.model_dump(mode="json", by_alias=True)
    hints = said.get("annotations")
    definition = {"name": tool.name, "description": tool.description, "parameters": said.get("inputSchema")}
    return ToolCall(
        name=name,
        arguments=arguments,
        description=tool.description,
        definition={key: value for key, value in definition.items() if value is not None},
        effect=hints and effects.of_hints(hints.get("readOnlyHint"), hints.get("destructiveHint")),
        tool=tool,
    )


def read_result(action: Action, result: Any) -> None:
    """Note what a server answered: an error is an answer, and nothing is raised."""
    if result.is_error if hasattr(result, "is_error") else result.isError:
        action.failed("tool_error")
    action.result(result.model_dump(mode="json"))


def denied(denial: str) -> Any:
    """What a server answers whose tool failed: the model reads it, and may try something else."""
    types = sys.modules["mcp.client.session"].types
    content = [{"type": "text", "text": denial}]
    return types.CallToolResult.model_validate({"isError": True, "content": content})


def _inject(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """After the SDK wrote the trace's context into a request's `_meta`."""
    done = wrapped(*args, **kwargs)
    if not mcp_peers.may_send():
        return done
    meta = argument(args, kwargs, 0, "meta")
    quietly(ADAPTER, "attribution could not be sent along", lambda: baggage.inject(meta, current()))
    return done


async def _send_in_process(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A server in this process is called in the caller's own task: there is no hop to carry anything over."""
    with attached(set_value(_SAME_TASK, True)):
        return await wrapped(*args, **kwargs)


def _extract(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The Context that the SDK starts its server span in holds nothing but the trace otherwise."""
    context = wrapped(*args, **kwargs)
    if context is None:
        return None
    return with_attribution(current() if get_value(_ARRIVED) else NOTHING_KNOWN, context)


def _compose(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the server's middleware, the SDK's own span included: done for whom the request says."""
    call_next: Callable[[Any], Any] = wrapped(*args, **kwargs)

    async def attribute(request: Any) -> Any:
        context = quietly(ADAPTER, "attribution could not be read", lambda: _arrived(request))
        if context is None:
            return await call_next(request)
        with attached(context):
            return await call_next(request)

    return attribute


def _arrived(request: Any) -> Context:
    said = baggage.extract(request.meta) if mcp_peers.accepted(getattr(request, "request", None)) else None
    if said is None:
        # Nobody said for whom: not the one in whose block the server happened to be started.
        said = current() if get_value(_SAME_TASK) else NOTHING_KNOWN
    return with_attribution(said, set_value(_ARRIVED, True))
