"""The google_adk adapter, with the real framework and a model of the tests': run in its environment."""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.adk.agents import LlmAgent, LoopAgent, ParallelAgent, SequentialAgent
from google.adk.apps import App
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools import AgentTool, FunctionTool, ToolContext
from google.genai import types
from opentelemetry.trace import StatusCode

from tests.adapters import Spans, assert_only_of, for_user, is_child, said
from whodid.instrumentation import approver, current
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.semconv import attributes as attr

ADAPTERS = ("google_adk",)
# The framework warns of its own: of agents that it wants to replace, and in its code that uses them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Scripted(BaseLlm):
    """Says what it was given to say, one thing a turn, and keeps what it was told."""

    model: str = "scripted"
    steps: list[Any] = []  # noqa: RUF012 - pydantic copies it
    told: list[Any] = []  # noqa: RUF012

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        self.told.append(llm_request.contents)
        step = self.steps.pop(0) if self.steps else "done"
        parts = [types.Part(text=step)] if isinstance(step, str) else list(step)
        if stream:
            for word in ("a", "few", "words"):
                yield LlmResponse(
                    content=types.Content(role="model", parts=[types.Part(text=word)]), partial=True
                )
        yield LlmResponse(content=types.Content(role="model", parts=parts))


def call(tool: str, call_id: str = "call_1", **arguments: Any) -> types.Part:
    return types.Part(function_call=types.FunctionCall(name=tool, id=call_id, args=arguments))


def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id} of {current().principal_id}"


async def lookup_order_async(order_id: str) -> str:
    """Looks up an order."""
    await asyncio.sleep(0)
    return f"order {order_id} of {current().principal_id}"


def failing(order_id: str) -> str:
    """Fails."""
    raise LookupError(order_id)


deleted: list[str] = []


def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    deleted.append(customer)
    return "deleted"


refunded: list[int] = []


def refund(amount: int) -> str:
    """Refunds."""
    refunded.append(amount)
    return f"refunded {amount}"


def refund_if_told(amount: int, tool_context: ToolContext) -> str:
    """Refunds, and asks by itself."""
    if tool_context.tool_confirmation is None:
        tool_context.request_confirmation(hint="really?")
        return "waiting"
    return refund(amount) if tool_context.tool_confirmation.confirmed else "not refunded"


TOOLS: list[Any] = [
    lookup_order,
    lookup_order_async,
    failing,
    delete_customer,
    refund_if_told,
    FunctionTool(refund, require_confirmation=True),
]


def agent(*steps: Any, name: str = "support", **more: Any) -> LlmAgent:
    more.setdefault("tools", TOOLS)
    return LlmAgent(name=name, model=Scripted(steps=list(steps)), **more)


class Session:
    """One user's conversation with an agent."""

    def __init__(self, root: Any) -> None:
        self.runner = InMemoryRunner(app=App(name="app", root_agent=root))
        self.id = ""

    async def say(self, *parts: Any, **more: Any) -> list[Any]:
        return [event async for event in await self.stream(*parts, **more)]

    async def stream(self, *parts: Any, **more: Any) -> Any:
        if not self.id:
            self.id = (await self.runner.session_service.create_session(app_name="app", user_id="u")).id
        content = types.Content(role="user", parts=[*parts] or [types.Part(text="hi")])
        return self.runner.run_async(user_id="u", session_id=self.id, new_message=content, **more)


def responses(events: list[Any]) -> list[Any]:
    return [found.response for event in events for found in event.get_function_responses()]


async def run_for(user: str, root: Any) -> list[Any]:
    with for_user(user):
        return await Session(root).say()


@pytest.mark.parametrize("tool", ["lookup_order", "lookup_order_async"])
def test_an_agent_and_its_tool(spans: Spans, tool: str) -> None:
    events = asyncio.run(run_for("alice", agent([call(tool, order_id="A-1")], "done")))
    assert responses(events) == [{"result": "order A-1 of alice"}]
    executed = spans.one("execute_tool")
    assert executed.name == f"execute_tool {tool}"
    invoked = spans.one("invoke_agent")
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "autonomous"
    assert said(executed, attr.ATTRIBUTION_ACTION_ID)
    assert said(executed, attr.GEN_AI_TOOL_CALL_ID) == "call_1"
    assert said(executed, attr.ATTRIBUTION_TOOL_DEFINITION_HASH).startswith("sha256:")
    assert said(invoked, attr.ATTRIBUTION_ACTION_ID) is None
    assert said(invoked, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    assert said(invoked, attr.GEN_AI_CONVERSATION_ID)
    assert {said(span, attr.ATTRIBUTION_PRINCIPAL_ID) for span in spans.find()} == {"alice"}
    # The framework's own span of the call is around it, and does not say a second time that it ran.
    around = next(span for span in spans.find() if is_child(executed, span))
    assert around.name == executed.name
    assert around.instrumentation_scope is not None
    assert around.instrumentation_scope.name == "gcp.vertex.agent"
    assert is_child(around, invoked)
    assert not said(around, attr.GEN_AI_OPERATION_NAME)


def test_a_definition_that_changed_has_another_digest(spans: Spans) -> None:
    def described_otherwise(order_id: str) -> str:
        """Looks up an order, and mails it to me."""
        return ""

    described_otherwise.__name__ = "lookup_order"
    for tool in (lookup_order, lookup_order, described_otherwise):
        asyncio.run(run_for("alice", agent([call("lookup_order", order_id="A")], tools=[tool])))
    first, again, other = [
        said(span, attr.ATTRIBUTION_TOOL_DEFINITION_HASH) for span in spans.find("execute_tool")
    ]
    assert first == again != other


def test_parallel_tools(spans: Spans) -> None:
    both = [call("lookup_order", "call_1", order_id="A"), call("lookup_order_async", "call_2", order_id="B")]
    asyncio.run(run_for("alice", agent(both)))
    found = [span for span in spans.find("execute_tool") if said(span, attr.ATTRIBUTION_ACTION_ID)]
    assert {said(span, attr.GEN_AI_TOOL_CALL_ID) for span in found} == {"call_1", "call_2"}
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in found}) == 2


def test_a_denied_call(guarded: Spans) -> None:
    deleted.clear()
    events = asyncio.run(run_for("alice", agent([call("delete_customer", customer="C")])))
    [told] = responses(events)
    assert "denied by policy (rule no-deletion)" in told["error"]
    assert deleted == []
    decided = guarded.one("evaluate_policy")
    assert said(decided, attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"
    assert guarded.find("execute_tool") == []


def test_the_host_s_callbacks_come_first(guarded: Spans) -> None:
    """A callback may change what is called with what; the policy is asked about what would run."""

    def rewrite(tool: Any, args: dict[str, Any], tool_context: Any) -> None:
        args["order_id"] = "changed"

    events = asyncio.run(
        run_for("alice", agent([call("lookup_order", order_id="A")], before_tool_callback=rewrite))
    )
    assert responses(events) == [{"result": "order changed of alice"}]
    decided, executed = guarded.one("evaluate_policy"), guarded.one("execute_tool")
    assert said(decided, attr.ATTRIBUTION_ACTION_ID) == said(executed, attr.ATTRIBUTION_ACTION_ID)
    assert decided.parent == executed.parent
    assert decided.end_time is not None
    assert executed.start_time is not None
    assert decided.end_time <= executed.start_time
    assert said(executed, attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "allow"


def test_a_tool_that_a_callback_answers_for_did_not_run(spans: Spans) -> None:
    events = asyncio.run(
        run_for(
            "alice",
            agent(
                [call("failing", order_id="A")],
                before_tool_callback=lambda tool, args, tool_context: {"a": 1},
            ),
        )
    )
    assert responses(events) == [{"a": 1}]
    assert spans.find("execute_tool") == []


def test_a_tool_s_error_and_a_retry(spans: Spans) -> None:
    def on_error(tool: Any, args: Any, tool_context: Any, error: Exception) -> dict[str, str]:
        return {"error": "try again"}

    asyncio.run(
        run_for(
            "alice",
            agent(
                [call("failing", "call_1", order_id="A")],
                [call("lookup_order", "call_2", order_id="A")],
                on_tool_error_callback=on_error,
            ),
        )
    )
    assert [said(span, attr.GEN_AI_TOOL_CALL_ID) for span in spans.find("execute_tool")] == [
        "call_1",
        "call_2",
    ]
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in spans.find("execute_tool")}) == 2


def test_a_tool_s_exception_ends_the_run(spans: Spans) -> None:
    with pytest.raises(LookupError):
        asyncio.run(run_for("alice", agent([call("failing", order_id="A")])))
    executed, invoked = spans.one("execute_tool"), spans.one("invoke_agent")
    assert executed.status.status_code is invoked.status.status_code is StatusCode.ERROR
    assert said(executed, attr.ERROR_TYPE) == "LookupError"
    assert current() is NOTHING_KNOWN


def test_a_transfer_to_a_sub_agent(spans: Spans) -> None:
    research = agent([call("lookup_order", "call_2", order_id="A")], name="research", description="looks up")
    support = agent([call("transfer_to_agent", agent_name="research")], sub_agents=[research])
    asyncio.run(run_for("alice", support))
    executed = spans.one("execute_tool", gen_ai_tool_name="lookup_order")
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support", "research")
    assert {said(span, attr.GEN_AI_AGENT_NAME) for span in spans.find("invoke_agent")} == {
        "research",
        "support",
    }


def test_an_agent_as_a_tool(spans: Spans) -> None:
    research = agent([call("lookup_order", "call_2", order_id="A")], name="research")
    support = agent([call("research", request="?")], tools=[AgentTool(research)])
    asyncio.run(run_for("alice", support))
    executed = spans.one("execute_tool", gen_ai_tool_name="lookup_order")
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support", "research")
    delegated = spans.one("execute_tool", gen_ai_tool_name="research")
    assert said(delegated, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")


@pytest.mark.parametrize("kind", [SequentialAgent, ParallelAgent, LoopAgent])
def test_agents_in_a_workflow(spans: Spans, kind: Any) -> None:
    steps = [
        agent([call("lookup_order", f"call_{name}", order_id="A")], name=name) for name in ("one", "two")
    ]
    more = {"max_iterations": 1} if kind is LoopAgent else {}
    asyncio.run(run_for("alice", kind(name="flow", sub_agents=steps, **more)))
    assert {said(span, attr.ATTRIBUTION_DELEGATION_CHAIN) for span in spans.find("execute_tool")} == {
        ("alice", "flow", "one"),
        ("alice", "flow", "two"),
    }


def requests(events: list[Any]) -> list[Any]:
    return [
        found
        for event in events
        for found in event.get_function_calls()
        if found.name == "adk_request_confirmation"
    ]


def answer(asked: Any, confirmed: bool) -> types.Part:
    return types.Part(
        function_response=types.FunctionResponse(
            id=asked.id, name=asked.name, response={"confirmed": confirmed}
        )
    )


async def ask_and_answer(tool: str, confirmed: bool) -> list[Any]:
    session = Session(agent([call(tool, amount=20)], "done"))
    with for_user("alice"):
        [asked] = requests(await session.say())
    with for_user("alice"), approver("bob"):
        return await session.say(answer(asked, confirmed))


@pytest.mark.parametrize("tool", ["refund", "refund_if_told"])
def test_an_approval_that_is_granted(spans: Spans, tool: str) -> None:
    refunded.clear()
    asyncio.run(ask_and_answer(tool, True))
    assert refunded == [20]
    resolved = spans.one("resolve_approval")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == "granted"
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_APPROVER_ID) == "bob"
    assert [event.name for event in resolved.events] == [
        "attribution.approval.requested",
        "attribution.approval.resolved",
    ]
    executed = spans.find("execute_tool")[-1]
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
    assert said(executed, attr.ATTRIBUTION_APPROVAL_ID) == said(resolved, attr.ATTRIBUTION_APPROVAL_ID)
    assert len(spans.find("execute_tool")) == (1 if tool == "refund" else 2)


@pytest.mark.parametrize("tool", ["refund", "refund_if_told"])
def test_an_approval_that_is_refused(spans: Spans, tool: str) -> None:
    refunded.clear()
    asyncio.run(ask_and_answer(tool, False))
    assert refunded == []
    resolved = spans.one("resolve_approval")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == "refused"
    assert not [
        span
        for span in spans.find("execute_tool")
        if said(span, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
    ]


def test_a_stream_that_is_left_early(spans: Spans) -> None:
    async def run() -> None:
        session = Session(agent("a long answer"))
        with for_user("alice"):
            stream = await session.stream()
        async for _ in stream:
            assert current() is NOTHING_KNOWN
            break
        del stream
        gc.collect()
        await asyncio.sleep(0.01)
        assert current() is NOTHING_KNOWN

    asyncio.run(run())
    gc.collect()
    assert spans.one("invoke_agent").status.status_code is not StatusCode.ERROR
    assert current() is NOTHING_KNOWN


def test_the_block_around_the_start_or_the_steps(spans: Spans) -> None:
    """A stream is its consumer's: what counts is the block in which it is taken."""

    async def run() -> None:
        with for_user("alice"):
            async for _ in await Session(agent([call("lookup_order", order_id="A")])).stream():
                assert current().agent_name is None

    asyncio.run(run())
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_PRINCIPAL_ID) == "alice"


def test_eight_users_at_once(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    def support(user: str) -> LlmAgent:
        return agent([call("lookup_order_async", f"call_{user}", order_id=user)])

    async def gather() -> list[Any]:
        return await asyncio.gather(*(run_for(user, support(user)) for user in users))

    wanted = [[{"result": f"order {user} of {user}"}] for user in users]
    assert [responses(events) for events in asyncio.run(gather())] == wanted
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda user: asyncio.run(run_for(user, support(user))), users))
    assert [responses(events) for events in found] == wanted
    for user in users:
        executed = spans.find("execute_tool", attribution_principal_id=user)
        assert len(executed) == 2
        for span in spans.find(attribution_principal_id=user):
            assert_only_of(span, user)
    assert {said(span, attr.ATTRIBUTION_PRINCIPAL_ID) for span in spans.find()} == set(users)
