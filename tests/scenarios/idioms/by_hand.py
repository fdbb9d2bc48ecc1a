"""An agent written by hand, whose tools are those of an MCP server: what MCP's two libraries have alike."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, ClassVar

from tests.scenarios import stage
from tests.scenarios.script import Call, Script
from whodid.instrumentation import core

_NO_AGENTS = "The protocol knows tools, and no agents that could be delegated or handed over to."
_NO_APPROVALS = (
    "The protocol has no approvals: a client asks somebody before it calls, in whatever way it has."
)


class ByHand(stage.Idiom):
    """The agent's span is the program's own; a client's calls are what the adapter records."""

    cannot: ClassVar = {
        "delegation three deep": _NO_AGENTS,
        "hand-off": _NO_AGENTS,
        "approval granted": _NO_APPROVALS,
        "approval refused": _NO_APPROVALS,
        "approval expired": _NO_APPROVALS,
        "approval resumed later": _NO_APPROVALS,
        "stream abandoned": "A call has one answer, which is not streamed.",
    }
    lacks: ClassVar = {
        "call_id": "A call has no id of a model's.",
        "resource": "What the tool's author declared is in the server's process.",
    }
    errors_are_texts = True

    @abstractmethod
    def client(self) -> AbstractAsyncContextManager[Any]:
        """A client of a server in this process with all the tools."""

    async def act(self, script: Script) -> None:
        with core.agent_span(script.agent, adapter="scenario"):
            async with self.client() as client:
                await client.list_tools()
                for turn in script.turns:
                    await asyncio.gather(*self.calls(client, turn))

    def calls(self, client: Any, turn: Sequence[Any]) -> list[Any]:
        async def one(step: Call) -> None:
            with suppress(Exception):  # the model is told, and goes on
                await client.call_tool(step.tool, step.arguments)

        return [one(step) for step in turn]
