"""The openai-agents adapter, with the real SDK and its scripted model."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from agents import Agent, ModelBehaviorError, RunConfig, Runner, RunState, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.adapters import Spans, assert_only_of, for_user, installed, is_child, said
from whodid.instrumentation import approver, current
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.semconv import attributes as attr

# The SDK sends its own traces to its vendor where tracing is on; tests stay offline.
OFFLINE = RunConfig(tracing_disabled=True)
ADAPTERS = ("openai_agents",)


@function_tool
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id} of {current().principal_id}"


@function_tool
async def lookup_order_async(order_id: str) -> str:
    """Looks up an order."""
    await asyncio.sleep(0)
    return f"order {order_id} of {current().principal_id}"


@function_tool
def failing(order_id: str) -> str:
    """Fails."""
    raise LookupError(order_id)


deleted: list[str] = []


@function_tool
def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    deleted.append(customer)
    return "deleted"


@function_tool(needs_approval=True)
def refund(amount: int) -> str:
    """Refunds."""
    return f"refunded {amount}"


def agent(*steps: Any, name: str = "support", **more: Any) -> Agent[None]:
    more.setdefault("tools", [lookup_order, lookup_order_async, failing, delete_customer, refund])
    return Agent(name=name, model=ScriptedModel(steps), **more)


def call(tool: str, call_id: str = "call_1", **arguments: Any) -> Any:
    return function_call(tool, arguments, call_id=call_id)


def done(text: str = "done") -> list[Any]:
    return [assistant_message(text)]


def run_sync(support: Agent[None]) -> None:
    """The SDK's synchronous run, which leaves its event loop open for the next one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        Runner.run_sync(support, "hi", run_config=OFFLINE)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.mark.parametrize("tool", ["lookup_order", "lookup_order_async"])
def test_an_agent_and_its_tool(spans: Spans, tool: str) -> None:
    async def run() -> Any:
        with for_user("alice"):
            return await Runner.run(agent([call(tool, order_id="A-1")], done()), "hi", run_config=OFFLINE)

    result = asyncio.run(run())
    assert [item.output for item in result.new_items if hasattr(item, "output")] == ["order A-1 of alice"]
    assert spans.names() == [f"execute_tool {tool}", "invoke_agent support"]
    executed, invoked = spans.find()
    assert is_child(executed, invoked)
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "autonomous"
    assert said(executed, attr.GEN_AI_TOOL_CALL_ID) == "call_1"
    assert said(executed, attr.GEN_AI_TOOL_TYPE) == "function"
    assert said(executed, attr.GEN_AI_TOOL_CALL_ARGUMENTS) is None
    assert said(invoked, attr.ATTRIBUTION_ACTION_ID) is None
    assert said(invoked, attr.GEN_AI_AGENT_NAME) == "support"


def test_sync_runs_leave_nothing_behind(spans: Spans) -> None:
    with for_user("alice"):
        before = current()
        run_sync(agent([call("lookup_order", order_id="A")], done()))
        assert current() is before
    assert current() is NOTHING_KNOWN
    assert spans.names() == ["execute_tool lookup_order", "invoke_agent support"]


def test_a_streamed_run(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"):
            result = Runner.run_streamed(
                agent([call("lookup_order", order_id="A")], done()), "hi", run_config=OFFLINE
            )
        async for _ in result.stream_events():
            assert current() is NOTHING_KNOWN

    asyncio.run(run())
    assert spans.names() == ["execute_tool lookup_order", "invoke_agent support"]
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")


def test_a_stream_that_is_left_early(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"):
            result = Runner.run_streamed(
                agent([call("lookup_order", order_id="A")], done()), "hi", run_config=OFFLINE
            )
            async for event in result.stream_events():
                if event.type == "raw_response_event":  # by then the agent is at work in every version
                    break
            result.cancel()
            assert current().agent_name is None
        with suppress(asyncio.CancelledError):
            await result.run_loop_task  # pyright: ignore[reportGeneralTypeIssues]

    asyncio.run(run())
    assert spans.names()[-1] == "invoke_agent support"


def test_parallel_tools_have_an_action_each(spans: Spans) -> None:
    calls = [call("lookup_order_async", f"call_{number}", order_id=str(number)) for number in range(6)]

    async def run() -> None:
        with for_user("alice"):
            await Runner.run(agent(calls, done()), "hi", run_config=OFFLINE)

    asyncio.run(run())
    executed = spans.find("execute_tool")
    assert {said(span, attr.GEN_AI_TOOL_CALL_ID) for span in executed} == {f"call_{n}" for n in range(6)}
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in executed}) == 6
    assert all(is_child(span, spans.one("invoke_agent")) for span in executed)


def test_a_denied_call_does_not_run_and_the_model_is_told(guarded: Spans) -> None:
    deleted.clear()
    model_sees: list[str] = []

    async def run() -> None:
        support = agent([call("delete_customer", customer="C")], done())
        with for_user("alice"):
            result = await Runner.run(support, "hi", run_config=OFFLINE)
        model_sees.extend(str(item.output) for item in result.new_items if hasattr(item, "output"))

    asyncio.run(run())
    assert deleted == []
    assert len(model_sees) == 1
    assert "denied by policy (rule no-deletion)" in model_sees[0]
    assert guarded.names() == ["evaluate_policy delete_customer", "invoke_agent support"]
    decision = guarded.one("evaluate_policy")
    assert said(decision, attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"
    assert said(decision, attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION) == "blocked"
    assert said(decision, attr.GEN_AI_TOOL_CALL_ID) == "call_1"


def test_a_tools_error_is_recorded_although_the_model_gets_a_text(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"):
            await Runner.run(agent([call("failing", order_id="A")], done()), "hi", run_config=OFFLINE)

    asyncio.run(run())
    executed, invoked = spans.one("execute_tool"), spans.one("invoke_agent")
    assert executed.status.status_code is StatusCode.ERROR
    assert said(executed, attr.ERROR_TYPE) == "LookupError"
    assert executed.events == ()  # an exception's message can hold content
    assert invoked.status.status_code is StatusCode.UNSET


def test_a_failing_run_fails_its_agent(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"):
            await Runner.run(agent([call("no_such_tool")]), "hi", run_config=OFFLINE)

    try:
        raise KeyError("an exception in whose handler the run happens is none of the run's")
    except KeyError:
        with pytest.raises(ModelBehaviorError):
            asyncio.run(run())
    assert said(spans.one("invoke_agent"), attr.ERROR_TYPE) == "agents.exceptions.ModelBehaviorError"


def test_a_run_in_an_exceptions_handler_has_not_failed(spans: Spans) -> None:
    try:
        raise KeyError("handled")
    except KeyError:
        run_sync(agent(done()))
    assert spans.one("invoke_agent").status.status_code is StatusCode.UNSET


def test_a_granted_approval_covers_its_call_and_nothing_after_it(spans: Spans) -> None:
    steps = ([call("refund", "call_r", amount=5)], [call("lookup_order", "call_l", order_id="A")], done())

    async def run() -> None:
        support = agent(*steps)
        with for_user("alice"):
            result = await Runner.run(support, "hi", run_config=OFFLINE)
            state = result.to_state()
            with approver("bob"):
                state.approve(result.interruptions[0])
            await Runner.run(support, state, run_config=OFFLINE)

    asyncio.run(run())
    resolved = spans.one("resolve_approval")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == "granted"
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_APPROVER_ID) == "bob"
    assert said(resolved, attr.ATTRIBUTION_TASK_ID) == "task-alice"
    assert said(resolved, attr.GEN_AI_AGENT_NAME) == "support", "whose call it is, though its span has ended"
    asked_by = spans.find("invoke_agent")[0].context
    assert asked_by is not None
    assert resolved.parent is not None
    assert (resolved.parent.trace_id, resolved.parent.span_id) == (asked_by.trace_id, asked_by.span_id)
    assert [event.name for event in resolved.events] == [
        "attribution.approval.requested",
        "attribution.approval.resolved",
    ]
    refunded = spans.one("execute_tool", gen_ai_tool_name="refund")
    assert said(refunded, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
    assert said(refunded, attr.ATTRIBUTION_APPROVAL_ID) == said(resolved, attr.ATTRIBUTION_APPROVAL_ID)
    assert said(refunded, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    looked_up = spans.one("execute_tool", gen_ai_tool_name="lookup_order")
    assert said(looked_up, attr.ATTRIBUTION_ACTION_MODE) == "autonomous_after_approval"
    assert said(looked_up, attr.ATTRIBUTION_APPROVAL_ID) is None


def test_a_refused_call_does_not_run(spans: Spans) -> None:
    async def run() -> None:
        support = agent([call("refund", amount=5)], done())
        with for_user("carol"):
            result = await Runner.run(support, "hi", run_config=OFFLINE)
            state = result.to_state()
            state.reject(result.interruptions[0])
            await Runner.run(support, state, run_config=OFFLINE)

    asyncio.run(run())
    assert spans.find("execute_tool") == []
    resolved = spans.one("resolve_approval")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == "refused"
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_APPROVER_ID) is None  # nobody said who, so nobody knows


def test_an_approval_that_comes_outside_of_the_task(spans: Spans) -> None:
    """A worker that answers requests, with a state that was stored, knows the task only from the request."""

    async def run() -> None:
        support = agent([call("refund", "call_out", amount=7)], done())
        with for_user("dora"):
            stored = json.dumps((await Runner.run(support, "hi", run_config=OFFLINE)).to_state().to_json())
        state = await RunState.from_json(support, json.loads(stored))
        with approver("bob"):
            state.approve(state.get_interruptions()[0])
        with for_user("dora"):
            await Runner.run(support, state, run_config=OFFLINE)

    asyncio.run(run())
    assert said(spans.one("resolve_approval"), attr.ATTRIBUTION_TASK_ID) == "task-dora"
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_ACTION_MODE) == "human_approved"


def test_an_approval_in_a_streamed_run(spans: Spans) -> None:
    async def run() -> None:
        support = agent([call("refund", "call_s", amount=9)], done())
        with for_user("erin"):
            first = Runner.run_streamed(support, "hi", run_config=OFFLINE)
            _ = [event async for event in first.stream_events()]
            state = first.to_state()
            with approver("bob"):
                state.approve(first.interruptions[0])
            second = Runner.run_streamed(support, state, run_config=OFFLINE)
            _ = [event async for event in second.stream_events()]

    asyncio.run(run())
    assert len(spans.one("resolve_approval").events) == 2
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_ACTION_MODE) == "human_approved"


def test_an_approval_inside_of_an_agent_that_is_a_tool(spans: Spans) -> None:
    async def run() -> None:
        inner = agent([call("refund", "call_inner", amount=1)], done(), name="cashier")
        tool = inner.as_tool(tool_name="ask_cashier", tool_description="asks", run_config=OFFLINE)
        outer = agent([call("ask_cashier", "call_outer", input="refund it")], done(), tools=[tool])
        with for_user("frank"):
            result = await Runner.run(outer, "hi", run_config=OFFLINE)
            state = result.to_state()
            with approver("bob"):
                state.approve(result.interruptions[0])
            await Runner.run(outer, state, run_config=OFFLINE)

    asyncio.run(run())
    assert len(spans.find("resolve_approval")) == 1
    refunded = spans.one("execute_tool", gen_ai_tool_name="refund")
    assert said(refunded, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
    assert said(refunded, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("frank", "support", "cashier")


def test_an_agent_as_a_tool_is_the_next_in_the_chain(spans: Spans) -> None:
    async def run() -> None:
        inner = agent([call("lookup_order", "call_inner", order_id="A")], done("found"), name="research")
        tool = inner.as_tool(tool_name="ask_research", tool_description="asks", run_config=OFFLINE)
        outer = agent([call("ask_research", "call_outer", input="A?")], done(), tools=[tool])
        with for_user("alice"):
            await Runner.run(outer, "hi", run_config=OFFLINE)

    asyncio.run(run())
    inner_call = spans.one("execute_tool", gen_ai_tool_name="lookup_order")
    assert said(inner_call, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support", "research")
    outer_call = spans.one("execute_tool", gen_ai_tool_name="ask_research")
    assert said(outer_call, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    assert is_child(spans.one("invoke_agent", gen_ai_agent_name="research"), outer_call)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_hand_off_makes_the_chain_longer(spans: Spans, streamed: bool) -> None:
    async def run() -> None:
        billing = agent(
            [call("lookup_order", order_id="A")], [call("refund", "call_h", amount=1)], done(), name="billing"
        )
        triage = agent([call("transfer_to_billing", "call_t")], name="triage", handoffs=[billing])
        with for_user("gina"):
            if streamed:
                result: Any = Runner.run_streamed(triage, "hi", run_config=OFFLINE)
                _ = [event async for event in result.stream_events()]
            else:
                result = await Runner.run(triage, "hi", run_config=OFFLINE)
            state = result.to_state()
            state.approve(result.interruptions[0])
            await Runner.run(triage, state, run_config=OFFLINE)

    asyncio.run(run())
    triage, *billing = spans.find("invoke_agent")
    assert said(triage, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("gina", "triage")
    assert len(billing) == 2  # before and after the approval
    assert {said(span, attr.ATTRIBUTION_DELEGATION_CHAIN) for span in billing} == {
        ("gina", "triage", "billing")
    }
    for executed in spans.find("execute_tool"):
        assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("gina", "triage", "billing")


def _of(user: str) -> Any:
    return agent(
        [call("lookup_order_async", f"call_a_{user}", order_id=user)],
        [call("lookup_order", f"call_b_{user}", order_id=user)],
        done(),
        name=f"agent-{user}",
    )


def _assert_no_leak(spans: Spans, users: list[str]) -> None:
    assert len(spans.find()) == 3 * len(users)
    for user in users:
        found = spans.find(gen_ai_agent_name=f"agent-{user}")
        assert len(found) == 3
        for span in found:
            assert_only_of(span, user)


def test_eight_users_at_once_in_one_loop(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    async def one(user: str) -> None:
        with for_user(user):
            await Runner.run(_of(user), "hi", run_config=OFFLINE)

    async def run() -> None:
        await asyncio.gather(*(one(user) for user in users))

    asyncio.run(run())
    _assert_no_leak(spans, users)


def test_eight_users_at_once_in_threads(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    def one(user: str) -> None:
        async def run() -> None:
            await Runner.run(_of(user), "hi", run_config=OFFLINE)

        with for_user(user):
            asyncio.run(run())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, users))
    _assert_no_leak(spans, users)


def test_uninstrumented_it_is_the_sdk_alone(exporter: InMemorySpanExporter) -> None:
    with installed(exporter, *ADAPTERS):
        pass
    run_sync(agent([call("lookup_order", order_id="A")], done()))
    assert exporter.get_finished_spans() == ()
