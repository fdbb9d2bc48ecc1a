"""Google's ADK, with a scripted model: runs in its own environment."""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService, Session
from google.adk.tools import AgentTool, FunctionTool
from google.genai import types

from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, HandOff, Script, Step
from tests.scenarios.tools import NEED_APPROVAL, TOOLS

APP, USER = "app", "u"
HI = types.Part(text="hi")


class Scripted(BaseLlm):
    """Says what it was given to say, one thing a turn."""

    model: str = "scripted"
    steps: list[Any] = []  # noqa: RUF012 - pydantic copies it

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = self.steps.pop(0) if self.steps else [types.Part(text="done")]
        yield LlmResponse(content=types.Content(role="model", parts=parts))


def said(step: Step) -> types.Part:
    """What the model says of a step."""
    match step:
        case Call():
            name, arguments = step.tool, step.arguments
        case Delegate():
            name, arguments = step.to.agent, {"request": "?"}
        case HandOff():
            name, arguments = "transfer_to_agent", {"agent_name": step.to.agent}
    return types.Part(function_call=types.FunctionCall(name=name, id=step.id, args=arguments))


def agent(script: Script, after: int = 0) -> LlmAgent:
    """The agent, whose model goes on after so many turns."""
    steps = [step for turn in script.turns for step in turn]
    turns = [[said(step) for step in turn] for turn in script.turns]
    return LlmAgent(
        name=script.agent,
        description="Another agent.",
        model=Scripted(steps=turns[after:]),
        tools=[
            *(FunctionTool(tool, require_confirmation=name in NEED_APPROVAL) for name, tool in TOOLS.items()),
            *(AgentTool(agent(step.to)) for step in steps if isinstance(step, Delegate)),
        ],
        sub_agents=[agent(step.to) for step in steps if isinstance(step, HandOff)],
    )


class Conversation:
    """One user's session with an agent, which may be one that was kept."""

    def __init__(self, root: LlmAgent) -> None:
        self.sessions = InMemorySessionService()
        self.id = ""
        self._runner = Runner(app=App(name=APP, root_agent=root), session_service=self.sessions)

    async def begin(self, kept: Session | None = None) -> None:
        session = await self.sessions.create_session(
            app_name=APP, user_id=USER, session_id=kept.id if kept else None
        )
        self.id = session.id
        for event in kept.events if kept else ():
            await self.sessions.append_event(session, event)

    def say(self, *parts: types.Part) -> Any:
        content = types.Content(role="user", parts=list(parts))
        return self._runner.run_async(user_id=USER, session_id=self.id, new_message=content)


class Idiom(stage.Idiom):
    delegating = ("planner", "research")
    handing_over = ("transfer_to_agent",)

    async def act(self, script: Script) -> None:
        conversation = Conversation(agent(script))
        await conversation.begin()
        async for _ in conversation.say(HI):
            pass

    async def stop_to_ask(self, script: Script) -> Any:
        conversation = Conversation(agent(script))
        await conversation.begin()
        async for _ in conversation.say(HI):
            pass
        kept = await conversation.sessions.get_session(app_name=APP, user_id=USER, session_id=conversation.id)
        return kept.model_dump_json()

    async def go_on(self, script: Script, state: Any, granted: bool) -> None:
        kept = Session.model_validate_json(state)
        conversation = Conversation(agent(script, after=1))
        await conversation.begin(kept)
        asked = next(
            call
            for event in kept.events
            for call in event.get_function_calls()
            if call.name == "adk_request_confirmation"
        )
        answer = types.FunctionResponse(id=asked.id, name=asked.name, response={"confirmed": granted})
        with stage.approved():
            async for _ in conversation.say(types.Part(function_response=answer)):
                pass

    async def abandon(self, script: Script) -> None:
        conversation = Conversation(agent(script))
        await conversation.begin()
        async for _ in conversation.say(HI):
            break
