"""An MCP server over stdio that says what attribution its handlers see, for the adapter's tests."""

from __future__ import annotations

import json

from mcp.server.mcpserver import MCPServer

from whodid.instrumentation import attribution, current, init

server = MCPServer("attributed")


@server.tool()
def whoami() -> str:
    """Says for whom it is called."""
    known = current()
    return json.dumps(
        {
            "principal": known.principal_id,
            "chain": known.chain,
            "task": known.task_id,
            "action": known.action_id,
            "remote": known.remote,
        }
    )


if __name__ == "__main__":
    init(report=False)
    # The server's own block must not become the answer for callers who say nothing.
    with attribution(principal="the-server", task="serving"):
        server.run()
