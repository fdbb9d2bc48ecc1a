"""An approval covers one call with the arguments that somebody saw, once, until it expires."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from opentelemetry import trace

from tests.agent_spans import Recorded
from whodid.instrumentation import Attribution, approver, attribution, core, settings
from whodid.instrumentation.approvals import Approval, Ledger, Request, current_approver
from whodid.instrumentation.core import ToolCall

CALL = ToolCall("refund", "call-1", {"order": 17, "amount": 20})


def approve(call: ToolCall = CALL, not_after: datetime | None = None) -> str | None:
    core.approval_requested(call)
    with approver("bob@acme.example"):
        return core.approval_resolved(call, True, adapter="test", not_after=not_after)


def mode_of(call: ToolCall = CALL) -> str | None:
    with core.agent_span("support", adapter="test"):
        action = core.tool_call(call, adapter="test")
        with action.executing():
            pass
    return action.attribution.action_mode


def test_the_approved_call_says_who_approved_it(recorded: Recorded) -> None:
    with attribution(principal="alice", principal_type="human"):
        approval_id = approve()
        assert mode_of() == "human_approved"
    answer, action = recorded.said("resolve_approval refund"), recorded.said("execute_tool refund")
    assert answer["gen_ai.operation.name"] == "resolve_approval"
    assert answer["attribution.approval.id"] == action["attribution.approval.id"] == approval_id
    assert answer["attribution.approval.approver.id"] == "bob@acme.example"
    assert answer["attribution.approval.status"] == "granted"
    assert answer["attribution.approval.context.hash"] == action["attribution.action.arguments.hash"]
    assert answer["gen_ai.tool.call.id"] == "call-1"
    assert str(answer["attribution.approval.not_after"]).endswith("Z")
    assert answer["attribution.principal.id"] == "alice"
    assert "attribution.action.id" not in answer
    events = [event.name for event in recorded.one("resolve_approval refund").events]
    assert events == ["attribution.approval.requested", "attribution.approval.resolved"]
    assert action["attribution.approval.approver.id"] == "bob@acme.example"


def test_it_covers_one_call_only_and_marks_the_rest_of_the_task() -> None:
    with attribution(task="once"):
        approve()
        assert mode_of() == "human_approved"
        assert mode_of() == "autonomous_after_approval"
        assert mode_of(ToolCall("look", "call-2")) == "autonomous_after_approval"
    with attribution(task="another"):
        assert mode_of() == "autonomous"


def test_it_does_not_cover_other_arguments() -> None:
    with attribution(task="arguments"):
        approve()
        assert mode_of(replace(CALL, arguments={"order": 17, "amount": 2000})) == "autonomous_after_approval"
        assert mode_of(replace(CALL, call_id="call-9")) == "autonomous_after_approval"
        assert mode_of() == "human_approved"


def test_it_does_not_cover_the_same_call_of_another_task() -> None:
    with attribution(task="alices"):
        approve()
    with attribution(task="bobs"):
        assert mode_of() == "autonomous"
    with attribution(task="alices"):
        assert mode_of() == "human_approved"


def test_it_expires() -> None:
    with attribution(task="late"):
        approve(not_after=datetime.now(UTC) - timedelta(seconds=1))
        assert mode_of() == "autonomous_after_approval"


def test_how_long_it_lasts_by_default(recorded: Recorded) -> None:
    settings.override(approval_timeout_s=60.0)
    before = datetime.now(UTC)
    with attribution(task="default"):
        approve()
    said = datetime.fromisoformat(
        str(recorded.said("resolve_approval refund")["attribution.approval.not_after"])
    )
    assert before + timedelta(seconds=58) <= said <= datetime.now(UTC) + timedelta(seconds=60)


def test_a_refusal_covers_nothing(recorded: Recorded) -> None:
    with attribution(task="refused"), approver("bob"):
        core.approval_resolved(CALL, False, adapter="test")
        assert mode_of() == "autonomous"
    said = recorded.said("resolve_approval refund")
    assert said["attribution.approval.status"] == "refused"
    assert "attribution.approval.not_after" not in said
    assert [event.name for event in recorded.one("resolve_approval refund").events] == [
        "attribution.approval.resolved"
    ]


def test_an_answer_outside_of_an_approvers_block_has_no_approver(recorded: Recorded) -> None:
    with attribution(task="gap"):
        core.approval_resolved(CALL, True, adapter="test")
        assert mode_of() == "human_approved"
    assert "attribution.approval.approver.id" not in recorded.said("resolve_approval refund")
    assert "attribution.approval.approver.id" not in recorded.said("execute_tool refund")
    assert current_approver() is None


def test_an_answer_outside_of_the_task_is_for_the_task_that_asked(recorded: Recorded) -> None:
    call = replace(CALL, call_id="call-outside")
    with attribution(task="asked", principal="alice"):
        core.approval_requested(call)
    with approver("bob"):
        core.approval_resolved(call, True, adapter="test")
    with attribution(task="asked", principal="alice"):
        assert mode_of(call) == "human_approved"
    assert recorded.said("resolve_approval refund")["attribution.task.id"] == "asked"


def test_an_answer_says_whose_call_it_is_for_and_is_found_with_it(recorded: Recorded) -> None:
    call = replace(CALL, call_id="call-agent")
    with attribution(task="asked", principal="alice"), core.agent_span("support", adapter="test"):
        core.approval_requested(call)
    core.approval_resolved(call, True, adapter="test")
    answer, agent = recorded.one("resolve_approval refund"), recorded.one("invoke_agent support")
    assert recorded.said("resolve_approval refund")["gen_ai.agent.name"] == "support"
    assert answer.parent is not None
    assert agent.context is not None
    assert (answer.parent.trace_id, answer.parent.span_id) == (agent.context.trace_id, agent.context.span_id)
    assert answer.links == ()


def test_an_answer_in_a_request_of_the_approvers_own_links_to_the_agent(recorded: Recorded) -> None:
    call = replace(CALL, call_id="call-linked")
    with attribution(task="asked", principal="alice"), core.agent_span("support", adapter="test"):
        core.approval_requested(call)
    with trace.get_tracer("host").start_as_current_span("POST /approvals") as around:
        core.approval_resolved(call, True, adapter="test")
    answer, agent = recorded.one("resolve_approval refund"), recorded.one("invoke_agent support")
    assert answer.parent is not None
    assert agent.context is not None
    assert answer.parent.span_id == around.get_span_context().span_id
    assert [link.context.span_id for link in answer.links] == [agent.context.span_id]


def test_an_answer_that_could_be_for_two_tasks_is_for_neither() -> None:
    call = replace(CALL, call_id="call-ambiguous")
    for task in ("one", "two"):
        with attribution(task=task):
            core.approval_requested(call)
    with approver("bob"):
        core.approval_resolved(call, True, adapter="test")
    for task in ("one", "two"):
        with attribution(task=task):
            assert mode_of(call) == "autonomous"


def test_what_has_no_digest_cannot_be_approved(recorded: Recorded) -> None:
    call = ToolCall("odd", "c", {"x": object()})
    assert core.approval_requested(call) is None
    assert core.approval_resolved(call, True, adapter="test") is None
    assert recorded.names() == []


def test_the_ledger_is_bounded() -> None:
    ledger = Ledger(max_entries=3)
    approval = Approval("a", "bob", datetime.now(UTC) + timedelta(hours=1))
    for number in range(5):
        ledger.grant((f"t{number}", "c", "h"), approval)
        ledger.ask((f"t{number}", "c", "h"), Request("r", Attribution(), 0, trace.INVALID_SPAN_CONTEXT))
    used = [ledger.use((f"t{number}", "c", "h"), datetime.now(UTC)) is not None for number in range(5)]
    assert used == [False, False, True, True, True]
    assert [ledger.granted_in(f"t{number}") for number in range(5)] == used
    assert [ledger.asked((f"t{number}", "c", "h")) is not None for number in range(5)] == used
