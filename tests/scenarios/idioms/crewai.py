"""CrewAI, with a scripted model: runs in its own environment."""

# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false
# It takes this file for the framework, which is not installed beside it.
from __future__ import annotations

import json
import os
from typing import Any, ClassVar
from unittest.mock import patch

os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "OTEL_SDK_DISABLED": "false",
    "CREWAI_TRACING_ENABLED": "false",
}

from crewai import Agent, Crew, Task
from crewai.hooks import register_before_tool_call_hook
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool

from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, Script, Step
from tests.scenarios.tools import NEED_APPROVAL, TOOLS

DONE = "Thought: I know\nFinal Answer: done"


class Scripted(BaseLLM):
    """Says what it was given to say, one thing a turn."""

    steps: list[Any] = []  # noqa: RUF012 - pydantic copies it

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return self.steps.pop(0) if self.steps else DONE

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return True


def said(step: Step) -> dict[str, Any]:
    """What the model says of a step."""
    if isinstance(step, Call):
        name, arguments = step.tool, step.arguments
    else:
        name, arguments = f"ask_{step.to.agent}", {"question": "?"}
    return {"id": step.id, "function": {"name": name, "arguments": json.dumps(arguments)}}


def asking(step: Delegate) -> Any:
    """Another crew behind a tool: a coworker, to whom the framework delegates, has nobody to delegate to."""

    def ask(question: str) -> str:
        """Asks another agent."""
        return str(crew(step.to).kickoff())

    return tool(f"ask_{step.to.agent}")(ask)


def crew(script: Script, **more: Any) -> Crew:
    steps = [step for turn in script.turns for step in turn]
    worker = Agent(
        role=script.agent,
        goal="help",
        backstory="helps",
        llm=Scripted(model="scripted", steps=[[said(step) for step in turn] for turn in script.turns]),
        tools=[
            *(tool(function) for function in TOOLS.values()),
            *(asking(step) for step in steps if isinstance(step, Delegate)),
        ],
    )
    task = Task(description="answer", expected_output="an answer", agent=worker)
    return Crew(agents=[worker], tasks=[task], **more)


def ask(context: Any) -> bool | None:
    """The host's hook before a tool's call, which asks somebody."""
    if context.tool_name not in NEED_APPROVAL:
        return None
    return None if context.request_human_input(prompt="may it?") == "yes" else False


class Idiom(stage.Idiom):
    cannot: ClassVar = {
        "hand-off": "Agents delegate and get an answer back, or come one after the other; none hands over.",
        "approval resumed later": "A human is asked at the terminal while the run waits.",
    }

    def __init__(self) -> None:
        register_before_tool_call_hook(ask)

    async def act(self, script: Script) -> None:
        await crew(script).akickoff()

    async def ask_first(self, script: Script, granted: bool) -> None:
        answer = "yes" if granted else "no"
        with stage.approved(), patch("builtins.input", return_value=answer):
            await self.act(script)

    async def abandon(self, script: Script) -> None:
        streaming: Any = crew(script, stream=True).kickoff()
        for _ in streaming:
            break
        streaming.close()
