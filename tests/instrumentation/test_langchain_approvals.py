"""LangChain's human-in-the-loop middleware: what waits, and what is answered, all at once or call by call."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any, cast

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - langchain's
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.adapters import Spans, for_user, installed, said
from whodid.instrumentation import approver
from whodid.instrumentation.digest import freeze
from whodid.semconv import attributes as attr

HAS_MODES = "interrupt_mode" in inspect.signature(HumanInTheLoopMiddleware.__init__).parameters
MODES = ("batched", "per_call") if HAS_MODES else ("batched",)
refunded: list[int] = []


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Generator[Spans]:
    refunded.clear()
    with installed(exporter, "langchain", "langgraph") as found:
        yield found


class OfflineModel(GenericFakeChatModel):
    """Says what it was given to say, whatever tools it is offered."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


@tool
def refund(amount: int) -> str:
    """Refunds."""
    refunded.append(amount)
    return f"refunded {amount}"


def ask_and_answer(mode: str, *decisions: dict[str, Any]) -> None:
    """The model wants as many refunds as there are decisions, of 5, 6 and so on, which Bob answers."""
    calls = [
        {"name": "refund", "args": {"amount": 5 + number}, "id": f"call_{number}"}
        for number in range(len(decisions))
    ]
    answers = iter([AIMessage("", tool_calls=cast("Any", calls)), AIMessage("done")])
    more: Any = {"interrupt_mode": mode} if HAS_MODES else {}
    agent: Any = create_agent(
        OfflineModel(messages=answers, disable_streaming=True),
        [refund],
        name="support",
        middleware=[HumanInTheLoopMiddleware({"refund": True}, **more)],
        checkpointer=InMemorySaver(),
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    with for_user("alice"):
        stopped = agent.invoke({"messages": [("user", "hi")]}, config)
        resume: Any = {"decisions": list(decisions)}
        if mode == "per_call":
            by_id = {f"call_{number}": each for number, each in enumerate(decisions)}
            resume = {each.id: by_id[each.value["tool_call_id"]] for each in stopped["__interrupt__"]}
        with approver("bob"):
            agent.invoke(Command(resume=resume), config)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_granted_and_what_is_refused(spans: Spans, mode: str) -> None:
    ask_and_answer(mode, {"type": "approve"}, {"type": "reject", "message": "no"})
    assert refunded == [5]
    granted = spans.one("resolve_approval", attribution_approval_status="granted")
    refused = spans.one("resolve_approval", attribution_approval_status="refused")
    for resolved, call_id in ((granted, "call_0"), (refused, "call_1")):
        assert said(resolved, attr.GEN_AI_TOOL_CALL_ID) == call_id
        assert said(resolved, attr.ATTRIBUTION_APPROVAL_APPROVER_ID) == "bob"
        assert said(resolved, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "support")
        assert [event.name for event in resolved.events] == [
            "attribution.approval.requested",
            "attribution.approval.resolved",
        ]
    executed = spans.one("execute_tool")
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
    assert said(executed, attr.ATTRIBUTION_APPROVAL_ID) == said(granted, attr.ATTRIBUTION_APPROVAL_ID)


@pytest.mark.parametrize("mode", MODES)
def test_an_edited_call_is_approved_as_it_was_edited(spans: Spans, mode: str) -> None:
    edited = {"name": "refund", "args": {"amount": 1}}
    ask_and_answer(mode, {"type": "edit", "edited_action": edited})
    assert refunded == [1]
    resolved, executed = spans.one("resolve_approval"), spans.one("execute_tool")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_CONTEXT_HASH) == freeze({"amount": 1}).hash
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_somebody_answers_by_hand_was_not_approved(spans: Spans, mode: str) -> None:
    ask_and_answer(mode, {"type": "respond", "message": "done already"})
    assert refunded == []
    assert spans.find("execute_tool") == []
    assert said(spans.one("resolve_approval"), attr.ATTRIBUTION_APPROVAL_STATUS) == "refused"
