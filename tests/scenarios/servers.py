"""The MCP servers of the stories, a process each: python -m tests.scenarios.servers orders|warehouse [URL]

Prints its address. The orders server asks the warehouse, whose address it is given, for what it is asked.
"""

from __future__ import annotations

import asyncio
import pkgutil
import socket
import sys
from collections.abc import Callable
from typing import Any

import mcp
import uvicorn

from whodid.instrumentation import init

IS_FIRST = not hasattr(mcp, "Client")
"""Whether it is the SDK before version 2, which some frameworks bring."""


def server(name: str, tool: Callable[..., Any]) -> Any:
    """A server of one tool, by either version of the SDK."""
    kind = "mcp.server.fastmcp.FastMCP" if IS_FIRST else "mcp.server.mcpserver.MCPServer"
    made = pkgutil.resolve_name(kind)(name, log_level="ERROR")
    made.add_tool(tool)
    return made


async def called(url: str, tool: str, **arguments: str) -> str:
    """What a tool of the server at that address answers."""
    if not IS_FIRST:
        async with mcp.Client(url) as client:
            return text(await client.call_tool(tool, arguments))
    from mcp.client.streamable_http import streamable_http_client

    opening: Any = streamable_http_client(url)  # which gives three things in that version
    async with opening as (read, write, _), mcp.ClientSession(read, write) as session:
        await session.initialize()
        return text(await session.call_tool(tool, arguments))


def text(result: Any) -> str:
    return "".join(part.text for part in result.content)


def orders(warehouse_url: str) -> Any:
    async def check_stock(item: str) -> str:
        return await called(warehouse_url, "count_items", item=item)

    return server("orders", check_stock)


def warehouse() -> Any:
    def count_items(item: str) -> str:
        return f"7 of {item}"

    return server("warehouse", count_items)


async def serve(made: Any) -> None:
    """Over HTTP on a free port of the loopback, until SIGTERM."""
    config = uvicorn.Config(made.streamable_http_app(), log_level="error", ws="none")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        print(f"http://127.0.0.1:{bound.getsockname()[1]}/mcp", flush=True)
        await uvicorn.Server(config).serve(sockets=[bound])


if __name__ == "__main__":
    init(report=False)
    asyncio.run(serve(orders(sys.argv[2]) if sys.argv[1] == "orders" else warehouse()))
