"""Pydantic AI, with its function model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, Tool, ToolDenied
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.output import ToolOutput

from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, HandOff, Script, Step
from tests.scenarios.tools import NEED_APPROVAL, TOOLS

AnyAgent = Agent[None, Any]


def said(step: Step) -> ToolCallPart:
    """What the model says of a step."""
    if isinstance(step, Call):
        return ToolCallPart(step.tool, step.arguments, tool_call_id=step.id)
    verb = "ask" if isinstance(step, Delegate) else "transfer_to"
    return ToolCallPart(f"{verb}_{step.to.agent}", {"question": "?"}, tool_call_id=step.id)


def asking(step: Delegate) -> Tool[None]:
    """An agent behind a tool."""
    other = agent(step.to)

    async def ask(question: str) -> str:
        """Asks another agent."""
        return str((await other.run(question)).output)

    return Tool(ask, name=f"ask_{step.to.agent}")


def handing(step: HandOff) -> Any:
    """An output that another agent makes."""
    other = agent(step.to)

    async def transfer(question: str) -> str:
        """Hands over."""
        return str((await other.run(question)).output)

    return ToolOutput(transfer, name=f"transfer_to_{step.to.agent}")


def agent(script: Script) -> AnyAgent:
    """The agent, whose model goes on after as many turns as there are in the messages."""
    steps = [step for turn in script.turns for step in turn]
    turns: list[Any] = [*([said(step) for step in turn] for turn in script.turns), [TextPart("done")]]

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=turns[sum(isinstance(each, ModelResponse) for each in messages)])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for word in ("a", "few", "words"):
            yield word

    handing_over = [handing(step) for step in steps if isinstance(step, HandOff)]
    make: Any = Agent  # its overloads want the outputs' types
    return make(
        FunctionModel(answer, stream_function=stream),
        name=script.agent,
        tools=[
            *(Tool(tool, requires_approval=name in NEED_APPROVAL) for name, tool in TOOLS.items()),
            *(asking(step) for step in steps if isinstance(step, Delegate)),
        ],
        output_type=[str, DeferredToolRequests, *handing_over],
    )


class Idiom(stage.Idiom):
    handing_over = ("transfer_to_billing",)

    async def act(self, script: Script) -> None:
        await agent(script).run("hi")

    async def stop_to_ask(self, script: Script) -> Any:
        return (await agent(script).run("hi")).all_messages_json().decode()

    async def go_on(self, script: Script, state: Any, granted: bool) -> None:
        answer = True if granted else ToolDenied("not now")
        with stage.approved():
            await agent(script).run(
                message_history=ModelMessagesTypeAdapter.validate_json(state),
                deferred_tool_results=DeferredToolResults(approvals={script.calls()[0].id: answer}),
            )

    async def abandon(self, script: Script) -> None:
        async with agent(script).run_stream("hi") as result:
            async for _ in result.stream_text(delta=True):
                break
