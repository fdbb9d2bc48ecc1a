"""The crewai adapter, with the real framework and a model of the tests': run in its environment."""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

# Before the import: the framework reports to its vendor, asks whether to send traces there, and reads what
# another version of it has kept.
os.environ |= {
    "XDG_DATA_HOME": tempfile.mkdtemp(prefix="crewai-"),
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
}

from crewai import Agent, Crew, Process, Task
from crewai.hooks import (
    clear_all_tool_call_hooks,
    register_before_tool_call_hook,
)
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

from tests.adapters import Spans, assert_only_of, for_user, is_child, said
from whodid.instrumentation import approver, current, stamping
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.semconv import attributes as attr

ADAPTERS = ("crewai",)
WAYS = ("call", "text")
"""How models ask for a tool: with a call, or, those that cannot, in words."""
# The framework warns of its own, and so do the packages that it imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_hooks() -> Iterator[None]:
    clear_all_tool_call_hooks()
    yield
    clear_all_tool_call_hooks()


class Scripted(BaseLLM):
    """Says what it was given to say, one thing a turn, and keeps what it was told."""

    steps: list[Any] = []  # noqa: RUF012 - pydantic copies it
    told: list[str] = []  # noqa: RUF012

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.told.append(json.dumps(messages, default=str))
        return self.steps.pop(0) if self.steps else "Thought: I know\nFinal Answer: done"

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return not any(isinstance(step, str) and "Action:" in step for step in self.steps)


def call(name: str, call_id: str = "call_1", **arguments: Any) -> dict[str, Any]:
    """As a model writes a call that has calls of its own."""
    return {"id": call_id, "function": {"name": name, "arguments": json.dumps(arguments)}}


def written(name: str, **arguments: Any) -> str:
    """As a model writes a call that has nothing but text."""
    return f"Thought: I should\nAction: {name}\nAction Input: {json.dumps(arguments)}\n"


@tool
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id} of {current().principal_id}"


@tool
def failing(order_id: str) -> str:
    """Fails."""
    raise LookupError(order_id)


deleted: list[str] = []


@tool
def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    deleted.append(customer)
    return "deleted"


def agent(*steps: Any, role: str = "support", **more: Any) -> Agent:
    more.setdefault("tools", [lookup_order, failing, delete_customer])
    return Agent(
        role=role, goal="help", backstory="helps", llm=Scripted(model="scripted", steps=list(steps)), **more
    )


def task_for(worker: Agent | None, **more: Any) -> Task:
    return Task(description="answer", expected_output="an answer", agent=worker, **more)


def crew(*workers: Agent, **more: Any) -> Crew:
    return Crew(agents=list(workers), tasks=[task_for(worker) for worker in workers], **more)


def told(worker: Agent) -> str:
    """What the model was told last."""
    model: Any = worker.llm
    return model.told[-1]


@pytest.mark.parametrize(
    "step", [[call("lookup_order", order_id="A-1")], written("lookup_order", order_id="A-1")], ids=WAYS
)
def test_an_agent_and_its_tool(spans: Spans, step: Any) -> None:
    support = agent(step)
    with for_user("alice"):
        crew(support).kickoff()
    assert "order A-1 of alice" in told(support)
    executed, invoked = spans.one("execute_tool"), spans.one("invoke_agent")
    assert is_child(executed, invoked)
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "autonomous"
    assert said(executed, attr.GEN_AI_TOOL_NAME) == "lookup_order"
    assert said(executed, attr.GEN_AI_TOOL_CALL_ID) == (None if isinstance(step, str) else "call_1")
    assert said(executed, attr.ATTRIBUTION_TOOL_DEFINITION_HASH).startswith("sha256:")
    assert said(executed, attr.GEN_AI_TOOL_CALL_ARGUMENTS) is None
    assert current() is NOTHING_KNOWN


@pytest.mark.parametrize(
    "step", [[call("lookup_order", order_id="A-1")], written("lookup_order", order_id="A-1")], ids=WAYS
)
def test_in_an_event_loop(spans: Spans, step: Any) -> None:
    async def run() -> None:
        with for_user("alice"):
            await crew(agent(step)).akickoff()
        assert current() is NOTHING_KNOWN

    asyncio.run(run())
    executed, invoked = spans.one("execute_tool"), spans.one("invoke_agent")
    assert is_child(executed, invoked)
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")


@pytest.mark.parametrize("start", ["kickoff", "kickoff_async"])
def test_an_agent_without_a_crew(spans: Spans, start: str) -> None:
    support = agent([call("lookup_order", order_id="A")])
    with for_user("alice"):
        if start == "kickoff":
            support.kickoff("hi")
        else:
            asyncio.run(support.kickoff_async("hi"))
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
    assert len(spans.find("invoke_agent")) == 1


def test_agents_one_after_the_other_are_not_in_each_other_s_chain(spans: Spans) -> None:
    workers = [
        agent([call("lookup_order", f"call_{name}", order_id="A")], role=name) for name in ("one", "two")
    ]
    with for_user("alice"):
        crew(*workers).kickoff()
    assert [said(span, attr.ATTRIBUTION_DELEGATION_CHAIN) for span in spans.find("execute_tool")] == [
        ("alice", "one"),
        ("alice", "two"),
    ]


def test_parallel_tools(spans: Spans) -> None:
    both = [call("lookup_order", "call_1", order_id="A"), call("lookup_order", "call_2", order_id="B")]
    with for_user("alice"):
        crew(agent(both)).kickoff()
    found = spans.find("execute_tool")
    assert {said(span, attr.GEN_AI_TOOL_CALL_ID) for span in found} == {"call_1", "call_2"}
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in found}) == 2


def test_a_coworker(spans: Spans) -> None:
    research = agent([call("lookup_order", "call_2", order_id="A")], role="research")
    delegating = call("delegate_work_to_coworker", task="look", context="-", coworker="research")
    support = agent([delegating], allow_delegation=True)
    with for_user("alice"):
        Crew(agents=[support, research], tasks=[task_for(support)]).kickoff()
    executed = spans.one("execute_tool", gen_ai_tool_name="lookup_order")
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support", "research")
    delegated = spans.one("execute_tool", gen_ai_tool_name="delegate_work_to_coworker")
    assert said(delegated, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")


def test_a_manager(spans: Spans) -> None:
    research = agent([call("lookup_order", "call_2", order_id="A")], role="research")
    asking = call("ask_question_to_coworker", question="?", context="-", coworker="research")
    manager = agent([asking], role="boss", tools=[], allow_delegation=True)
    with for_user("alice"):
        Crew(
            agents=[research], tasks=[task_for(None)], process=Process.hierarchical, manager_agent=manager
        ).kickoff()
    executed = spans.one("execute_tool", gen_ai_tool_name="lookup_order")
    assert said(executed, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "boss", "research")


STEPS = [[call("delete_customer", customer="C")], written("delete_customer", customer="C")]


@pytest.mark.parametrize("step", STEPS, ids=WAYS)
def test_a_denied_call(guarded: Spans, step: Any) -> None:
    deleted.clear()
    support = agent(step)
    with for_user("alice"):
        crew(support).kickoff()
    assert deleted == []
    assert "denied by policy (rule no-deletion)" in told(support)
    assert said(guarded.one("evaluate_policy"), attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"
    assert guarded.find("execute_tool") == []


def test_a_denied_call_in_an_event_loop(guarded: Spans) -> None:
    deleted.clear()

    async def run() -> None:
        with for_user("alice"):
            await crew(agent(STEPS[1])).akickoff()

    asyncio.run(run())
    assert deleted == []
    assert said(guarded.one("evaluate_policy"), attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"


def test_a_tool_that_is_run_past_the_hooks_is_decided_on(guarded: Spans) -> None:
    deleted.clear()
    with for_user("alice"):
        answer = delete_customer.run(customer="C")
    assert "denied by policy" in answer
    assert deleted == []


def test_a_hook_of_the_host_s_comes_first(guarded: Spans) -> None:
    def rewrite(context: Any) -> None:
        context.tool_input["order_id"] = "changed"

    register_before_tool_call_hook(rewrite)
    support = agent([call("lookup_order", order_id="A")])
    with for_user("alice"):
        crew(support).kickoff()
    assert "order changed of alice" in told(support)
    decided, executed = guarded.one("evaluate_policy"), guarded.one("execute_tool")
    assert said(decided, attr.ATTRIBUTION_ACTION_ID) == said(executed, attr.ATTRIBUTION_ACTION_ID)


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_human_is_asked(spans: Spans, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    def ask(context: Any) -> bool | None:
        return None if context.request_human_input(prompt="may it?") == "yes" else False

    monkeypatch.setattr("builtins.input", lambda *_: answer)
    register_before_tool_call_hook(ask)
    with for_user("alice"), approver("bob"):
        crew(agent([call("lookup_order", order_id="A")])).kickoff()
    resolved = spans.one("resolve_approval")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_APPROVER_ID) == "bob"
    assert [event.name for event in resolved.events] == [
        "attribution.approval.requested",
        "attribution.approval.resolved",
    ]
    if answer == "yes":
        executed = spans.one("execute_tool")
        assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == "granted"
        assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
        assert said(executed, attr.ATTRIBUTION_APPROVAL_ID) == said(resolved, attr.ATTRIBUTION_APPROVAL_ID)
    else:
        assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == "refused"
        assert spans.find("execute_tool") == []


def test_a_tool_s_error_and_a_retry(spans: Spans) -> None:
    steps = [[call("failing", "call_1", order_id="A")], [call("lookup_order", "call_2", order_id="A")]]
    with for_user("alice"):
        crew(agent(*steps)).kickoff()
    failed, executed = spans.find("execute_tool")
    assert failed.status.status_code is StatusCode.ERROR
    assert said(failed, attr.ERROR_TYPE) == "LookupError"
    assert executed.status.status_code is StatusCode.UNSET
    assert said(failed, attr.ATTRIBUTION_ACTION_ID) != said(executed, attr.ATTRIBUTION_ACTION_ID)


def test_a_model_that_fails(spans: Spans) -> None:
    class Broken(Scripted):
        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            raise ConnectionError

    broken = Agent(
        role="support", goal="help", backstory="helps", llm=Broken(model="broken"), max_retry_limit=1
    )
    with for_user("alice"), pytest.raises(ConnectionError):
        crew(broken).kickoff()
    invoked = spans.one("invoke_agent")
    assert invoked.status.status_code is StatusCode.ERROR
    assert said(invoked, attr.ERROR_TYPE) == "ConnectionError"
    assert said(invoked, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")


@pytest.mark.parametrize("is_left_early", [False, True])
def test_a_stream(spans: Spans, is_left_early: bool) -> None:
    with for_user("alice"):
        streaming: Any = crew(agent([call("lookup_order", order_id="A")]), stream=True).kickoff()
        before = current()
        for _ in streaming:
            assert current() is before
            if is_left_early:
                break
        streaming.close()
        assert current() is before
    assert current() is NOTHING_KNOWN
    for span in spans.find():
        assert said(span, attr.ATTRIBUTION_PRINCIPAL_ID) == "alice"
    if not is_left_early:
        assert said(spans.one("execute_tool"), attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
        assert spans.one("invoke_agent").status.status_code is StatusCode.UNSET


def test_a_task_in_a_thread_of_its_own(spans: Spans) -> None:
    worker = agent([call("lookup_order", order_id="A")])
    with for_user("alice"):
        Crew(agents=[worker], tasks=[task_for(worker, async_execution=True)]).kickoff()
    assert said(spans.one("execute_tool"), attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")


def test_the_vendor_is_told_nobody_s_name(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """whodid stamps every provider that a process makes; the one that reports to the vendor is left alone."""
    from crewai.telemetry import telemetry

    made: list[bool] = []
    original = TracerProvider.__init__

    def init(provider: TracerProvider, *args: Any, **kwargs: Any) -> None:
        original(provider, *args, **kwargs)
        made.append(stamping.install(provider))

    monkeypatch.setattr(TracerProvider, "__init__", init)
    telemetry.TracerProvider()
    TracerProvider()
    assert made == [False, True]


def test_eight_users_at_once(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    def support(user: str) -> Agent:
        return agent([call("lookup_order", f"call_{user}", order_id=user)])

    def in_thread(user: str) -> str:
        worker = support(user)
        with for_user(user):
            crew(worker).kickoff()
        return told(worker)

    async def in_task(user: str) -> str:
        worker = support(user)
        with for_user(user):
            await crew(worker).akickoff()
        return told(worker)

    async def gather() -> list[str]:
        return await asyncio.gather(*(in_task(user) for user in users))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(in_thread, users))
    found += asyncio.run(gather())
    for user, text in zip(users * 2, found, strict=True):
        assert f"order {user} of {user}" in text
    for user in users:
        mine = spans.find(attribution_principal_id=user)
        assert len(mine) == 4
        for span in mine:
            assert_only_of(span, user)
