"""MCP's own SDK."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from tests.scenarios.idioms.by_hand import ByHand
from tests.scenarios.tools import TOOLS

READ_ONLY = ("lookup_order",)


class Idiom(ByHand):
    def client(self) -> AbstractAsyncContextManager[Any]:
        server = MCPServer("crm", log_level="ERROR")
        for name, tool in TOOLS.items():
            server.add_tool(
                tool, annotations=ToolAnnotations(read_only_hint=True) if name in READ_ONLY else None
            )
        return Client(server)
