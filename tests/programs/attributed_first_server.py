"""A server of MCP's SDK before version 2, over stdio: its tools say what attribution they see, or fail."""

# pyright: basic, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import json

from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations
from opentelemetry.trace import get_current_span

from whodid.instrumentation import attribution, current, init

server = FastMCP("attributed", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def whoami() -> str:
    """Says for whom it is called, and in which trace."""
    known = current()
    return json.dumps(
        {
            "principal": known.principal_id,
            "chain": known.chain,
            "action": known.action_id,
            "remote": known.remote,
            "trace": get_current_span().get_span_context().trace_id,
        }
    )


@server.tool()
def failing(order_id: str) -> str:
    """Fails."""
    raise LookupError(order_id)


@server.tool()
def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    return f"deleted {customer}"


if __name__ == "__main__":
    init(report=False)
    # The server's own block must not become the answer for callers who say nothing.
    with attribution(principal="the-server", task="serving"):
        server.run()
