"""The demo's order system: an MCP server with one tool, in a process of its own.

It speaks MCP over its standard input and output and knows nothing of whodid. Like any system of record it
wants a token, which the demo's application puts into its environment.
"""

import os

from mcp.server.mcpserver import MCPServer

TOKEN_VARIABLE = "ORDERS_TOKEN"  # noqa: S105 - the name of the variable, not a token
SCOPE = "orders:read"

_ORDERS = {
    "A-1042": "Order A-1042: one espresso machine, 329.00 EUR, invoice INV-1042, arrived broken on 3 March.",
    "A-1043": "Order A-1043: two kilos of coffee, 48.00 EUR, invoice INV-1043, delivered.",
}

server = MCPServer("orders")


@server.tool()
def lookup_order(order_id: str) -> str:
    """Looks up one order by its number."""
    if not os.environ.get(TOKEN_VARIABLE, "").startswith(SCOPE):
        raise PermissionError(f"{TOKEN_VARIABLE} holds no token for {SCOPE}")
    return _ORDERS.get(order_id, f"There is no order {order_id}.")


if __name__ == "__main__":
    server.run()
