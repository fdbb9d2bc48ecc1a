"""FastMCP: a client's calls as actions, and tools that a program calls on its own server.

The framework makes a span of each call itself, on both sides, which is completed here; where it is told to
make none, ours is made. What is carried over the hop, and what a server knows of its caller, is `mcp`'s.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any, Final

from whodid.instrumentation import frameworks
from whodid.instrumentation.core import ToolCall, in_action
from whodid.instrumentation.frameworks.mcp import denied, read_call, read_result
from whodid.instrumentation.frameworks.seam import argument, decide, quietly

ADAPTER: Final = "fastmcp"


class Instrumentor(frameworks.Instrumentor):
    """Hooks the framework's client, and its server where no request comes in."""

    name = ADAPTER
    distribution = "fastmcp"
    tested = ("3.4.0", "4.2.3")
    modules = ("fastmcp.client.client", "fastmcp.server.server")

    def hook(self, module: ModuleType) -> None:
        """Wrap what each of the modules has to offer."""
        if module.__name__ == "fastmcp.client.client":
            self.wrap(module, "Client.call_tool_mcp", _call_tool)
        else:
            self.wrap(module, "FastMCP.call_tool", _call_own_tool)


async def _call_tool(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a client's call; `call_tool` ends up here too, and raises what is no success."""
    if in_action(argument(args, kwargs, 0, "name")):  # a tool's body at work: the call is how it does it
        return await wrapped(*args, **kwargs)
    action = decide(ADAPTER, lambda: _call(args, kwargs, client.session))
    if action is None:
        return await wrapped(*args, **kwargs)
    if action.denial is not None:
        return denied(action.denial)
    with action.executing(native=_makes_spans("client.telemetry", "client_span")):
        result = await wrapped(*args, **kwargs)
        quietly(ADAPTER, "a result could not be read", lambda: read_result(action, result))
        return result


async def _call_own_tool(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a call on a server: inside of a request it is a part of the caller's action."""
    if in_action() or _in_request():
        return await wrapped(*args, **kwargs)
    action = decide(ADAPTER, lambda: _call(args, kwargs))
    if action is None:
        return await wrapped(*args, **kwargs)
    if action.denial is not None:
        raise sys.modules["fastmcp.exceptions"].ToolError(action.denial)
    with action.executing(native=_makes_spans("server.telemetry", "_build_server_span_attrs")):
        return await wrapped(*args, **kwargs)


def _call(args: tuple[Any, ...], kwargs: dict[str, Any], session: Any = None) -> ToolCall:
    name, arguments = argument(args, kwargs, 0, "name"), argument(args, kwargs, 1, "arguments")
    return read_call(session, name, arguments)


def _makes_spans(module: str, name: str) -> bool:
    """Whether the framework makes a span here that says that a tool is executed; older ones do not."""
    made = getattr(sys.modules.get(f"fastmcp.{module}"), name, None)
    enabled = getattr(sys.modules.get("fastmcp.telemetry"), "native_spans_enabled", None)
    if made is None or enabled is None:
        return False
    written = getattr(inspect.unwrap(made), "__code__", None)
    return "gen_ai.operation.name" in getattr(written, "co_consts", ()) and bool(enabled())


def _in_request() -> bool:
    dependencies = sys.modules.get("fastmcp.server.dependencies")
    known = getattr(dependencies, "fastmcp_request_ctx", None)
    return known is not None and known.get(None) is not None
