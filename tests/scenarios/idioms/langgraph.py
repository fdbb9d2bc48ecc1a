"""LangGraph: LangChain's agents, which are graphs, with an offline model."""

# pyright: basic
# The frameworks' types are incomplete.

from __future__ import annotations

import pickle
import uuid
from base64 import b64decode, b64encode
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from tests.scenarios import stage
from tests.scenarios.script import Call, Delegate, HandOff, Script, Step
from tests.scenarios.tools import NEED_APPROVAL, TOOLS

AROUND = "workflow"
HI: Any = {"messages": [("user", "hi")]}


class OfflineModel(GenericFakeChatModel):
    """Says what it was given to say, whatever tools it is offered."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def config(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def tools() -> list[BaseTool]:
    made: list[BaseTool] = []
    for name, tool in TOOLS.items():
        is_async = name == "check_stock"
        given: Any = {"coroutine": tool} if is_async else {"func": tool}
        made.append(StructuredTool.from_function(**given))
    return made


def said(step: Step) -> Any:
    """What the model says of a step."""
    if isinstance(step, Call):
        return {"name": step.tool, "args": step.arguments, "id": step.id}
    if isinstance(step, HandOff):
        return {"name": f"transfer_to_{step.to.agent}", "args": {}, "id": step.id}
    return {"name": f"ask_{step.to.agent}", "args": {"question": "?"}, "id": step.id}


def asking(step: Delegate) -> BaseTool:
    """An agent behind a tool."""
    other = agent(step.to)

    async def ask(question: str) -> str:
        return (await other.ainvoke(HI))["messages"][-1].content

    return StructuredTool.from_function(
        coroutine=ask, name=f"ask_{step.to.agent}", description="Asks another agent."
    )


def agent(script: Script, after: int = 0, **more: Any) -> Any:
    """The agent, whose model goes on after so many turns."""
    steps = [step for turn in script.turns for step in turn]
    turns = [AIMessage("", tool_calls=[said(step) for step in turn]) for turn in script.turns]
    return create_agent(
        OfflineModel(messages=iter([*turns, AIMessage("done")][after:]), disable_streaming=True),
        [
            *tools(),
            *(asking(step) for step in steps if isinstance(step, Delegate)),
            *(handing(step) for step in steps if isinstance(step, HandOff)),
        ],
        name=script.agent,
        middleware=[HumanInTheLoopMiddleware(interrupt_on=dict.fromkeys(NEED_APPROVAL, True))],
        **more,
    )


def handing(step: HandOff) -> BaseTool:
    """A tool that sends the graph around this agent on to another one."""

    def transfer() -> Any:
        return Command(goto=step.to.agent, graph=Command.PARENT)

    return StructuredTool.from_function(
        func=transfer, name=f"transfer_to_{step.to.agent}", description="Hands over."
    )


def workflow(script: Script, others: list[Script]) -> Any:
    """A graph with an agent for each node."""
    graph = StateGraph(MessagesState)
    for each in (script, *others):
        graph.add_node(each.agent, agent(each))
    graph.add_edge(START, script.agent)
    return graph.compile(name=AROUND)


class Idiom(stage.Idiom):
    handing_over = ("transfer_to_billing",)
    around = (AROUND,)

    async def act(self, script: Script) -> None:
        others = [step.to for turn in script.turns for step in turn if isinstance(step, HandOff)]
        await (workflow(script, others) if others else agent(script)).ainvoke(HI)

    async def stop_to_ask(self, script: Script) -> Any:
        saver, thread = InMemorySaver(), uuid.uuid4().hex
        await agent(script, checkpointer=saver).ainvoke(HI, config(thread))
        kept = (
            thread,
            {thread: dict(saver.storage[thread])},
            dict(saver.writes),
            dict(saver.blobs),
        )
        return b64encode(pickle.dumps(kept)).decode()

    async def go_on(self, script: Script, state: Any, granted: bool) -> None:
        saver = InMemorySaver()
        thread, storage, writes, blobs = pickle.loads(b64decode(state))
        saver.storage[thread].update(storage[thread])
        saver.writes.update(writes)
        saver.blobs.update(blobs)
        decision = {"type": "approve"} if granted else {"type": "reject", "message": "not now"}
        with stage.approved():
            await agent(script, after=1, checkpointer=saver).ainvoke(
                Command(resume={"decisions": [decision]}), config(thread)
            )

    async def abandon(self, script: Script) -> None:
        async for _ in agent(script).astream(HI, stream_mode="messages"):
            break
