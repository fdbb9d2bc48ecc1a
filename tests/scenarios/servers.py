"""The MCP servers of the stories, a process each: python -m tests.scenarios.servers orders|warehouse [URL]

Prints its address. The orders server asks the warehouse, whose address it is given, for what it is asked.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from mcp import Client
from mcp.server.mcpserver import MCPServer

from whodid.instrumentation import init


def orders(warehouse_url: str) -> MCPServer:
    server = MCPServer("orders", log_level="ERROR")

    async def check_stock(item: str) -> str:
        async with Client(warehouse_url) as client:
            result: Any = await client.call_tool("count_items", {"item": item})
            return "".join(part.text for part in result.content)

    server.add_tool(check_stock)
    return server


def warehouse() -> MCPServer:
    server = MCPServer("warehouse", log_level="ERROR")

    def count_items(item: str) -> str:
        return f"7 of {item}"

    server.add_tool(count_items)
    return server


async def serve(server: MCPServer) -> None:
    """Over HTTP on a free port of the loopback, until SIGTERM."""
    config = uvicorn.Config(server.streamable_http_app(), log_level="error", ws="none")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        print(f"http://127.0.0.1:{bound.getsockname()[1]}/mcp", flush=True)
        await uvicorn.Server(config).serve(sockets=[bound])


if __name__ == "__main__":
    init(report=False)
    asyncio.run(serve(orders(sys.argv[2]) if sys.argv[1] == "orders" else warehouse()))
