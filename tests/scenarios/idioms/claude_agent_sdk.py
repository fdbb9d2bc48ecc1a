"""Claude Agent SDK, with the CLI that comes with it and a model on loopback.

The stories are questions to one connection, because each CLI takes a second to start; users at once have one
each.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import typing
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

from claude_agent_sdk import (
    AgentDefinition,
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    PermissionResultAllow,
    PermissionResultDeny,
    create_sdk_mcp_server,
    query,
    tool,
)
from mcp.types import ToolAnnotations

from tests.anthropic_server import anthropic
from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, Script, Step
from tests.scenarios.tools import NEED_APPROVAL, TOOLS

PREFIX = "mcp__crm__"
READ_ONLY = ("lookup_order",)
NOWHERE = "http://127.0.0.1:9"  # discard: the CLI reaches loopback and nothing else
TEAM = ("support", "planner", "research")


def made(name: str) -> Any:
    """A tool of the CLI's that runs in this process."""
    function = TOOLS[name]
    schema = {key: hint for key, hint in typing.get_type_hints(function).items() if key != "return"}
    hints = ToolAnnotations(read_only_hint=True) if name in READ_ONLY else None

    async def run(given: Any) -> Any:
        result: Any = function(**given)
        text = await result if inspect.isawaitable(result) else result
        return {"content": [{"type": "text", "text": text}]}

    return tool(name, str(function.__doc__), schema, annotations=hints)(run)


def said(step: Step, question: int) -> tuple[str, str, dict[str, Any]]:
    """What the model says of a step. In one conversation no call's id comes twice."""
    call_id = f"{step.id}~{question}"
    if isinstance(step, Call):
        return f"{PREFIX}{step.tool}", call_id, step.arguments
    kind = step.to.agent
    given = {"description": "?", "prompt": f"script:{kind}", "subagent_type": kind}
    return "Agent", call_id, {**given, "run_in_background": False}


async def asked(text: str) -> AsyncIterator[dict[str, Any]]:
    """A question as a stream, which `can_use_tool` wants."""
    yield {"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": None}


class Idiom(stage.Idiom):
    prefix = PREFIX
    delegating = ("Agent",)
    lacks: ClassVar = {"resource": "Tools are called by the CLI, which knows nothing of their functions."}
    errors_are_texts = True
    decides_first = True
    cannot: ClassVar = {
        "hand-off": "A sub-agent gives its answer back; nothing hands over for good.",
        "approval expired": "Policies are asked before anybody else: what they deny is never asked for.",
        "approval resumed later": "A request is a question to the process that is connected.",
    }

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self._model = self._open.enter_context(anthropic())
        self._folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        self._home: Any = None
        self._client: ClaudeSDKClient | None = None
        self._session: list[Any] = []
        self._granted = True
        self._asked = 0
        self._model.scripts["session"] = self._session

    def _options(self, name: str) -> ClaudeAgentOptions:
        async def can_use_tool(name: str, given: Any, context: Any) -> Any:
            return PermissionResultAllow() if self._granted else PermissionResultDeny(message="not now")

        folder = self._folder / name
        (folder / "work").mkdir(parents=True)
        return ClaudeAgentOptions(
            cwd=folder / "work",
            env={
                "ANTHROPIC_BASE_URL": self._model.url,
                "ANTHROPIC_API_KEY": "none",
                "CLAUDE_CONFIG_DIR": str(folder / "config"),
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
                "HTTPS_PROXY": NOWHERE,
                "HTTP_PROXY": NOWHERE,
                "NO_PROXY": "127.0.0.1",
            },
            allowed_tools=["Agent", *(f"{PREFIX}{name}" for name in TOOLS if name not in NEED_APPROVAL)],
            can_use_tool=can_use_tool,
            mcp_servers={"crm": create_sdk_mcp_server("crm", tools=[made(name) for name in TOOLS])},
            agents={
                kind: AgentDefinition(
                    description=kind, prompt=kind, tools=["Agent", *(f"{PREFIX}{name}" for name in TOOLS)]
                )
                for kind in TEAM
            },
            extra_args={"agent": TEAM[0]},
            setting_sources=[],
        )

    async def act(self, script: Script) -> None:
        self._asked += 1
        self._learn(script)
        turns = [[said(step, self._asked) for step in turn] for turn in script.turns]
        if asyncio.current_task() is not self._at_home():
            name = f"alone-{self._asked}"
            self._model.scripts[name] = turns
            _ = [each async for each in query(prompt=asked(f"script:{name}"), options=self._options(name))]
            return
        self._session += [*turns, "done"]
        client = await self._connected()
        await client.query("script:session")
        _ = [each async for each in client.receive_response()]

    def _learn(self, script: Script) -> None:
        """The parts of an agent and of its sub-agents."""
        self._model.scripts[script.agent] = [
            [said(step, self._asked) for step in turn] for turn in script.turns
        ]
        for turn in script.turns:
            for step in turn:
                if isinstance(step, Delegate):
                    self._learn(step.to)

    def _at_home(self) -> Any:
        if self._home is None:
            self._home = asyncio.current_task()
        return self._home

    async def _connected(self) -> ClaudeSDKClient:
        if self._client is None:
            with stage.approved():  # whoever answers does so for as long as the connection lasts
                self._client = await self._open.enter_async_context(ClaudeSDKClient(self._options("session")))
        return self._client

    async def ask_first(self, script: Script, granted: bool) -> None:
        self._granted = granted
        await self.act(script)

    async def abandon(self, script: Script) -> None:
        async for message in query(prompt=asked("script:none"), options=self._options("abandoned")):
            if isinstance(message, AssistantMessage):
                break

    async def close(self) -> None:
        await self._open.aclose()
