"""A loop of one's own over `whodid.instrumentation.core`: what the guide says to do without an adapter."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, HandOff, Script, Step
from tests.scenarios.tools import TOOLS
from whodid.instrumentation import core

ADAPTER = "scenario"


def tool_call(call: Call) -> core.ToolCall:
    return core.ToolCall(call.tool, call.id, call.arguments, tool=TOOLS[call.tool])


class Idiom(stage.Idiom):
    async def act(self, script: Script) -> None:
        run, next_one = core.agent_start(script.agent, adapter=ADAPTER), script
        while next_one is not None:
            current, next_one = next_one, None
            with run.attached():
                for turn in current.turns:
                    if isinstance(turn[0], HandOff):
                        next_one = turn[0].to
                        break
                    await asyncio.gather(*(self.step(step) for step in turn))
            if next_one is not None:
                run = run.handoff(next_one.agent)
        run.finish()

    async def step(self, step: Step) -> None:
        if isinstance(step, Delegate):
            call = core.ToolCall(f"ask_{step.to.agent}", step.id, {"question": "?"})
            with core.tool_call(call, adapter=ADAPTER).executing():
                await self.act(step.to)
            return
        assert isinstance(step, Call)
        action = core.tool_call(tool_call(step), adapter=ADAPTER)
        if not action.allowed:
            return
        with suppress(Exception), action.executing():  # the model is told, and goes on
            result: Any = TOOLS[step.tool](**action.arguments)
            action.result(await result if inspect.isawaitable(result) else result)

    async def stop_to_ask(self, script: Script) -> Any:
        with core.agent_span(script.agent, adapter=ADAPTER):
            core.approval_requested(tool_call(script.calls()[0]))
        return None

    async def go_on(self, script: Script, state: Any, granted: bool) -> None:
        with core.agent_span(script.agent, adapter=ADAPTER):
            with stage.approved():
                core.approval_resolved(tool_call(script.calls()[0]), granted, adapter=ADAPTER)
            for step in script.calls() if granted else ():
                await self.step(step)

    async def abandon(self, script: Script) -> None:
        async def answer() -> AsyncIterator[str]:
            yield "a"
            yield "few"

        async for _ in core.agent_astream(answer, script.agent, adapter=ADAPTER):
            break
