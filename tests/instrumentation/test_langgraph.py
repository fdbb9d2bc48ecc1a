"""The langgraph adapter, with real graphs: langchain's agents, and graphs that are built by hand."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - langchain's
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt
from opentelemetry.trace import StatusCode

from tests.adapters import Spans, assert_only_of, for_user, is_child, said
from whodid.instrumentation import current
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.semconv import attributes as attr

ADAPTERS = ("langchain", "langgraph")
MESSAGES: dict[str, Any] = {"messages": [("user", "hi")]}


class OfflineModel(GenericFakeChatModel):
    """Says what it was given to say, whatever tools it is offered."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


@tool
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id} of {current().principal_id}"


@tool
def failing(order_id: str) -> str:
    """Fails."""
    raise LookupError(order_id)


@tool
def ask_somebody(question: str) -> str:
    """Waits for an answer."""
    return str(interrupt(question))


deleted: list[str] = []


@tool
def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    deleted.append(customer)
    return "deleted"


TOOLS = [lookup_order, failing, delete_customer, ask_somebody]


def call(name: str, call_id: str = "call_1", **arguments: Any) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": call_id}


def script(*calls: dict[str, Any]) -> Iterator[AIMessage]:
    return iter([AIMessage("", tool_calls=list(calls)), AIMessage("done")])


def agent(*calls: dict[str, Any], name: str = "research", **more: Any) -> Any:
    """langchain's agent, which makes these calls and then is done."""
    return cast(
        "Any",
        create_agent(OfflineModel(messages=script(*calls), disable_streaming=True), TOOLS, name=name, **more),
    )


def by_hand(*calls: dict[str, Any], name: str = "handmade") -> Any:
    """The same of parts: a node for the model, and a ToolNode."""
    model = OfflineModel(messages=script(*calls), disable_streaming=True)

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def more(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    graph: Any = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", more, ["tools", END])
    graph.add_edge("tools", "think")
    return graph.compile(name=name)


@pytest.mark.parametrize("build", [agent, by_hand])
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "astream_events"])
def test_an_agent_and_its_tool(spans: Spans, build: Any, way: str) -> None:
    graph = build(call("lookup_order", order_id="A-1"), name="research")

    async def run_async() -> None:
        if way == "ainvoke":
            await graph.ainvoke(MESSAGES)
            return
        events = graph.astream(MESSAGES) if way == "astream" else graph.astream_events(MESSAGES, version="v2")
        async for _ in events:
            assert current().agent_name is None  # the agent's Context is not the consumer's

    with for_user("alice"):
        if way == "invoke":
            state = graph.invoke(MESSAGES)
            assert state["messages"][-2].content == "order A-1 of alice"
        elif way == "stream":
            for _ in graph.stream(MESSAGES):
                assert current().agent_name is None
        else:
            asyncio.run(run_async())
    assert current() is NOTHING_KNOWN
    assert spans.names() == ["execute_tool lookup_order", "invoke_agent research"]
    executed, invoked = spans.find()
    assert is_child(executed, invoked)
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "research")
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "autonomous"
    assert said(invoked, attr.ATTRIBUTION_ACTION_ID) is None


@pytest.mark.parametrize("is_async", [False, True])
def test_parallel_tools_have_an_action_each(spans: Spans, is_async: bool) -> None:
    graph = agent(*(call("lookup_order", f"call_{number}", order_id="A") for number in range(6)))
    with for_user("alice"):
        state = asyncio.run(graph.ainvoke(MESSAGES)) if is_async else graph.invoke(MESSAGES)
    assert [message.content for message in state["messages"][-7:-1]] == ["order A of alice"] * 6
    executed = spans.find("execute_tool")
    assert {said(span, attr.GEN_AI_TOOL_CALL_ID) for span in executed} == {f"call_{n}" for n in range(6)}
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in executed}) == 6


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_a_stream_that_is_left_early(spans: Spans, how: str) -> None:
    with for_user("alice"):
        stream = agent(call("lookup_order", order_id="A")).stream(MESSAGES)
        for _ in stream:
            break
        if how == "closed":
            stream.close()
        del stream
        gc.collect()
        assert current().agent_name is None
    assert spans.names() == ["invoke_agent research"]
    assert spans.one().status.status_code is StatusCode.UNSET


def test_an_async_stream_that_is_left_early(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"):
            async for _ in agent(call("lookup_order", order_id="A")).astream(MESSAGES):
                break
            assert current().agent_name is None
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert spans.names() == ["invoke_agent research"]
    assert spans.one().status.status_code is StatusCode.UNSET


def test_a_stream_that_is_read_by_several_tasks(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"):
            stream = agent(call("lookup_order", order_id="A")).astream(MESSAGES)
        while True:
            try:
                await asyncio.create_task(anext(stream))
            except StopAsyncIteration:
                return

    asyncio.run(run())
    assert spans.names() == ["execute_tool lookup_order", "invoke_agent research"]
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "research")


def test_a_denied_call_does_not_run_and_the_model_is_told(guarded: Spans) -> None:
    deleted.clear()
    with for_user("alice"):
        state = agent(call("delete_customer", customer="C")).invoke(MESSAGES)
    assert deleted == []
    assert state["messages"][-2].status == "error"
    assert "denied by policy (rule no-deletion)" in state["messages"][-2].content
    assert guarded.names() == ["evaluate_policy delete_customer", "invoke_agent research"]


def test_a_tools_error(spans: Spans) -> None:
    with pytest.raises(LookupError):
        agent(call("failing", order_id="A")).invoke(MESSAGES)
    assert said(spans.one("execute_tool"), attr.ERROR_TYPE) == "LookupError"
    assert said(spans.one("invoke_agent"), attr.ERROR_TYPE) == "LookupError"


def test_a_pause_is_no_failure(spans: Spans) -> None:
    graph = agent(call("ask_somebody", question="?"), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "thread-7"}}
    with for_user("alice"):
        graph.invoke(MESSAGES, config)
        state = graph.invoke(Command(resume="yes"), config)
    assert state["messages"][-2].content == "yes"
    assert spans.names() == [
        "execute_tool ask_somebody",
        "invoke_agent research",
        "execute_tool ask_somebody",
        "invoke_agent research",
    ]
    for span in spans.find():
        assert span.status.status_code is StatusCode.UNSET
        assert said(span, attr.GEN_AI_CONVERSATION_ID) == "thread-7"


def test_a_graph_inside_of_an_agent_is_an_agent_only_if_it_has_tools(spans: Spans) -> None:
    @tool
    def ask_research(question: str) -> str:
        """An agent behind a tool."""
        return (
            agent(call("lookup_order", "call_inner", order_id="A")).invoke(MESSAGES)["messages"][-1].content
        )

    @tool
    def run_steps(question: str) -> str:
        """A graph without tools behind a tool: a fixed sequence, which chooses nothing."""
        steps: Any = StateGraph(MessagesState)
        steps.add_node("look", lambda state: {"messages": [lookup_order.invoke("A")]})  # pyright: ignore
        steps.add_edge(START, "look")
        return str(steps.compile(name="steps").invoke(MESSAGES))

    outer = cast(
        "Any",
        create_agent(
            OfflineModel(
                messages=script(
                    call("ask_research", "call_1", question="?"), call("run_steps", "call_2", question="?")
                )
            ),
            [ask_research, run_steps],
            name="support",
        ),
    )
    with for_user("alice"):
        outer.invoke(MESSAGES)
    chains = {
        said(span, attr.ATTRIBUTION_DELEGATION_CHAIN)
        for span in spans.find("execute_tool", gen_ai_tool_name="lookup_order")
    }
    assert chains == {("alice", "support", "research"), ("alice", "support")}
    assert {said(span, attr.GEN_AI_AGENT_NAME) for span in spans.find("invoke_agent")} == {
        "support",
        "research",
    }


def test_an_agent_as_a_node_of_a_graph(spans: Spans) -> None:
    outer: Any = StateGraph(MessagesState)
    outer.add_node("research", agent(call("lookup_order", order_id="A")))
    outer.add_edge(START, "research")
    with for_user("alice"):
        outer.compile(name="workflow").invoke(MESSAGES)
    executed = spans.one("execute_tool")
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "workflow", "research")


def test_a_pause_inside_of_an_inner_agent_is_no_failure(spans: Spans) -> None:
    """It goes through the inner graph's stream as an exception, up to the graph that keeps the state."""
    outer: Any = StateGraph(MessagesState)
    outer.add_node("research", agent(call("ask_somebody", question="?")))
    outer.add_edge(START, "research")
    graph = outer.compile(name="workflow", checkpointer=InMemorySaver())
    graph.invoke(MESSAGES, {"configurable": {"thread_id": "thread-8"}})
    assert {said(span, attr.GEN_AI_AGENT_NAME) for span in spans.find("invoke_agent")} == {
        "workflow",
        "research",
    }
    assert {span.status.status_code for span in spans.find()} == {StatusCode.UNSET}


def test_eight_users_at_once(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    def in_thread(user: str) -> str:
        with for_user(user):
            graph = agent(call("lookup_order", f"call_{user}", order_id=user))
            return graph.invoke(MESSAGES)["messages"][-2].content

    async def in_task(user: str) -> str:
        with for_user(user):
            graph = by_hand(call("lookup_order", f"call_{user}", order_id=user))
            return (await graph.ainvoke(MESSAGES))["messages"][-2].content

    async def gather() -> list[str]:
        return await asyncio.gather(*(in_task(user) for user in users))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(in_thread, users)) == [f"order {user} of {user}" for user in users]
    assert asyncio.run(gather()) == [f"order {user} of {user}" for user in users]
    for user in users:
        found = spans.find(attribution_principal_id=user)
        assert len(found) == 4
        for span in found:
            assert_only_of(span, user)
