"""OpenAI Agents SDK, with its scripted model."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from agents import Agent, RunConfig, Runner, RunState, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, HandOff, Script, Step
from tests.scenarios.tools import NEED_APPROVAL, TOOLS

# The SDK sends its own traces to its vendor where tracing is on.
OFFLINE = RunConfig(tracing_disabled=True)


def tools() -> list[Any]:
    return [function_tool(tool, needs_approval=name in NEED_APPROVAL) for name, tool in TOOLS.items()]


def said(step: Step) -> Any:
    """What the model says of a step."""
    match step:
        case Call():
            return function_call(step.tool, step.arguments, call_id=step.id)
        case Delegate():
            return function_call(f"ask_{step.to.agent}", {"input": "?"}, call_id=step.id)
        case HandOff():
            return function_call(f"transfer_to_{step.to.agent}", {}, call_id=step.id)


def agent(script: Script, after: int = 0) -> Agent[None]:
    """The agent, whose model goes on after so many turns."""
    steps = [step for turn in script.turns for step in turn]
    others = [
        agent(step.to).as_tool(
            tool_name=f"ask_{step.to.agent}", tool_description="Asks another agent.", run_config=OFFLINE
        )
        for step in steps
        if isinstance(step, Delegate)
    ]
    turns = [[said(step) for step in turn] for turn in script.turns]
    return Agent(
        name=script.agent,
        model=ScriptedModel([*turns, [assistant_message("done")]][after:]),
        tools=[*tools(), *others],
        handoffs=[agent(step.to) for step in steps if isinstance(step, HandOff)],
    )


class Idiom(stage.Idiom):
    async def act(self, script: Script) -> None:
        await Runner.run(agent(script), "hi", run_config=OFFLINE)

    async def stop_to_ask(self, script: Script) -> Any:
        return (await Runner.run(agent(script), "hi", run_config=OFFLINE)).to_state().to_json()

    async def go_on(self, script: Script, state: Any, granted: bool) -> None:
        support = agent(script, after=1)
        stopped = await RunState.from_json(support, state)
        with stage.approved():
            answer = stopped.approve if granted else stopped.reject
            answer(stopped.get_interruptions()[0])
        await Runner.run(support, stopped, run_config=OFFLINE)

    async def abandon(self, script: Script) -> None:
        result = Runner.run_streamed(agent(script), "hi", run_config=OFFLINE)
        async for event in result.stream_events():
            if event.type == "raw_response_event":
                break
        result.cancel()
        with suppress(asyncio.CancelledError):
            await result.run_loop_task  # pyright: ignore[reportGeneralTypeIssues]
