"""The demo's research agent: a LangGraph agent that looks orders up with a tool of an MCP server.

Nothing here mentions whodid: this is the code of somebody who does not know that it is being attributed.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - langchain's
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, tool
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from whodid.demo.orders import TOKEN_VARIABLE


class _ScriptedChatModel(GenericFakeChatModel):
    """langchain's offline model, which has no tool calling of its own: the script already holds the calls."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],  # noqa: ARG002 - langchain's
        **_: Any,
    ) -> Runnable[Any, AIMessage]:
        return self


def _model(call_id: str) -> _ScriptedChatModel:
    call = {"name": "lookup_order", "args": {"order_id": "A-1042"}, "id": call_id}
    answer = "Order A-1042 was an espresso machine for 329.00 EUR (invoice INV-1042). It arrived broken."
    return _ScriptedChatModel(messages=iter([AIMessage("", tool_calls=[call]), AIMessage(answer)]))


def _orders_server(token: str) -> StdioServerParameters:
    """How to start the order system: under `whodid run`, so that its spans are recorded as well."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "whodid.cli.main", "run", sys.executable, "-m", "whodid.demo.orders"],
        # MCP passes on only a few variables by itself; the server needs OpenTelemetry's and its token.
        env={**os.environ, "OTEL_SERVICE_NAME": "orders", TOKEN_VARIABLE: token},
    )


async def answer(question: str, *, token: str, call_id: str) -> str:
    """Answers `question` in a few sentences. `token` opens the order system."""
    async with Client(stdio_client(_orders_server(token))) as orders:

        @tool
        async def lookup_order(order_id: str) -> str:
            """Looks up one order by its number."""
            result = await orders.call_tool("lookup_order", {"order_id": order_id})
            return " ".join(getattr(part, "text", "") for part in result.content)

        agent = cast(
            "Runnable[Any, Any]", create_agent(_model(call_id), [lookup_order], name="research-agent")
        )
        state = await agent.ainvoke({"messages": [("user", question)]})
        return str(state["messages"][-1].content)
