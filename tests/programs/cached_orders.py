"""Two users ask the same cached tool, one after the other; for the test of a result's provenance."""

from __future__ import annotations

from whodid.instrumentation import attribution, core, init
from whodid.instrumentation.provenance import cached


@cached
def look_up(order_id: str) -> str:
    """The slow system behind the tool."""
    return f"order {order_id}"


def ask(user: str) -> None:
    """One user's agent looks the order up."""
    with (
        attribution(
            principal=user, principal_type="human", initiator=user, initiator_type="human", task=f"t-{user}"
        ),
        core.agent_span("support", adapter="test"),
        core.tool_call(core.ToolCall("look_up", f"call-{user}", {"id": "17"}), adapter="test").executing(),
    ):
        look_up("17")


if __name__ == "__main__":
    init(report=False)
    for each in ("alice", "bob", "alice"):
        ask(each)
