"""FastMCP, client and server."""

# pyright: basic
# The framework's types are incomplete.

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from fastmcp import Client, FastMCP
from mcp.types import ToolAnnotations

from tests.scenarios.idioms.by_hand import ByHand
from tests.scenarios.idioms.mcp import READ_ONLY
from tests.scenarios.tools import TOOLS


class Idiom(ByHand):
    def client(self) -> AbstractAsyncContextManager[Any]:
        server: Any = FastMCP("crm")
        for name, tool in TOOLS.items():
            server.tool(tool, annotations=ToolAnnotations(read_only_hint=True) if name in READ_ONLY else None)
        return Client(server)
