"""The questions who and trace, on stored spans where the answer is known."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.spans import Sent, Value, attribution, request
from whodid.processor import pipeline
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions import QUESTIONS, AmbiguousIdError, UnknownIdError
from whodid.store.questions.trace import TraceParameters
from whodid.store.questions.trace import trace as ask_trace
from whodid.store.questions.who import WhoParameters
from whodid.store.questions.who import who as ask_who
from whodid.store.records import TraceRecord, WhoRecord

CONTEXT = '{"principal":{"id":"alice@acme.example"}}'
CONTEXT_HASH = f"sha256:{hashlib.sha256(CONTEXT.encode()).hexdigest()}"


def who(store: Store, id_: str) -> WhoRecord:
    return ask_who(store.reader(), WhoParameters(id=id_))


def trace(store: Store, trace_id: str) -> TraceRecord:
    return ask_trace(store.reader(), TraceParameters(trace_id=trace_id))


def put(store: Store, *spans: Sent) -> None:
    store.insert(pipeline.run([request(*spans)]), spans[0].span_id.hex())


def action(**more: str) -> tuple[Sent, Sent, Sent]:
    """An agent, the decision about its one action, and the action."""
    agent = Sent(name="invoke_agent", attributes=attribution("invoke_agent"))
    decision = Sent(
        name="evaluate_policy",
        attributes=attribution(
            "evaluate_policy",
            ATTRIBUTION_POLICY_CONTEXT_VALUE=CONTEXT,
            ATTRIBUTION_POLICY_CONTEXT_HASH=CONTEXT_HASH,
        ),
        trace_id=agent.trace_id,
        parent_id=agent.span_id,
    )
    execution = Sent(
        name="execute_tool",
        attributes=attribution("execute_tool", **more),
        trace_id=agent.trace_id,
        parent_id=agent.span_id,
    )
    return agent, decision, execution


class TestWho:
    def test_an_agent_s_run_is_no_action_and_stands_for_itself(self, store: Store) -> None:
        agent, *_ = action()
        put(store, agent)
        record = who(store, agent.span_id.hex())
        assert (record.outcome.status, record.outcome.spans) == ("succeeded", [agent.span_id.hex()])
        assert not [gap for gap in record.gaps if "decision" in gap or "held back" in gap]

    def test_the_last_answer_to_an_approval_counts_and_not_the_request_for_it(self, store: Store) -> None:
        agent, decision, execution = action(ATTRIBUTION_APPROVAL_ID="approval-7")

        def approval(minute: int, status: str, approver: str = "") -> Sent:
            said = {"ATTRIBUTION_APPROVAL_ID": "approval-7", "ATTRIBUTION_APPROVAL_STATUS": status}
            return Sent(
                name="resolve_approval",
                attributes=attribution("resolve_approval", ATTRIBUTION_APPROVAL_APPROVER_ID=approver, **said),
                trace_id=agent.trace_id,
                parent_id=agent.span_id,
                start_ns=agent.start_ns + minute * 60_000_000_000,
            )

        granted = approval(2, "granted", "bob@acme.example")
        put(store, agent, decision, execution, approval(1, "requested"), granted)
        record = who(store, "action-1")
        assert (record.approval.status.value, record.approval.approver.value) == (
            "granted",
            "bob@acme.example",
        )
        assert not [gap for gap in record.gaps if "approval" in gap]
        put(store, approval(3, "refused", "carol@acme.example"))
        record = who(store, "action-1")
        assert record.approval.status.value == "refused"
        assert "the approval was answered in different ways; the last is shown" in record.gaps

    def test_a_whole_record(self, store: Store) -> None:
        agent, decision, execution = action()
        put(store, agent, decision, execution)
        record = who(store, "action-1")

        assert record.actor.name.value == "support-agent"
        assert record.principal.id.value == "alice@acme.example"
        assert record.delegation_chain.value == ["alice@acme.example", "support-agent"]
        assert record.mode.value == "autonomous"
        assert record.decision.outcome.value == "allow"
        assert record.decision.context == {"principal": {"id": "alice@acme.example"}}
        assert record.decision.context_matches_hash is True
        assert record.outcome.status == "succeeded"
        assert record.span_ids == [decision.span_id.hex(), execution.span_id.hex()]
        assert [(each.trace_id, each.span_id, each.operation) for each in record.spans] == [
            (span.trace_id.hex(), span.span_id.hex(), span.name) for span in (decision, execution)
        ]
        assert (record.gaps, record.findings) == ([], [])

    def test_every_id_of_the_action_leads_to_it(self, store: Store) -> None:
        spans = action(ATTRIBUTION_CORRELATION_ID="req-1")
        put(store, *spans)
        ids = {"action-1": "action_id", "call-1": "tool_call_id", "req-1": "correlation_id"}
        ids |= {span.span_id.hex(): "span_id" for span in spans[1:]}
        for id_, matched_by in ids.items():
            record = who(store, id_)
            assert (record.action_id, record.matched_by) == ("action-1", matched_by)

    @pytest.mark.parametrize("attribute", ["SESSION_ID", "GEN_AI_CONVERSATION_ID"])
    def test_the_session_is_the_conversation_where_no_session_is_named(
        self, store: Store, attribute: str
    ) -> None:
        put(store, *action(**{attribute: "chat-1"}))
        session = who(store, "action-1").session
        assert (session.value, session.evidence) == ("chat-1", EvidenceLevel.SELF_ASSERTED)

    def test_evidence_is_propagated_only_where_the_parent_says_the_same(self, store: Store) -> None:
        put(store, *action(ATTRIBUTION_TASK_ID="task-2"))
        record = who(store, "action-1")
        assert record.principal.id.evidence is EvidenceLevel.PROPAGATED
        assert record.task.id.evidence is EvidenceLevel.SELF_ASSERTED
        assert record.credential.id.evidence is EvidenceLevel.MISSING
        assert record.credential.id.value is None

    def test_a_line_says_by_which_rules_something_is_wrong_with_the_span(self, store: Store) -> None:
        agent, _, execution = action(ATTRIBUTION_ACTION_MODE="whenever", ATTRIBUTION_RESULT_SOURCE="dream")
        put(store, agent, execution)
        lines = trace(store, agent.trace_id.hex()).lines
        rules = {line.name: line.finding_rules for line in lines}
        assert rules == {"invoke_agent": [], "execute_tool": ["undefined_value"]}
        assert lines[1].findings == 2

    def test_a_parent_that_arrives_later_changes_the_evidence(self, store: Store) -> None:
        agent, decision, execution = action()
        put(store, decision, execution)
        before = who(store, "action-1")
        assert before.principal.id.evidence is EvidenceLevel.SELF_ASSERTED
        assert any("that is not in the store" in gap for gap in before.gaps)
        put(store, agent)
        after = who(store, "action-1")
        assert after.principal.id.evidence is EvidenceLevel.PROPAGATED
        assert after.gaps == []

    def test_a_denied_action_has_a_record_without_an_execution(self, store: Store) -> None:
        agent, decision, _ = action()
        decision.attributes |= {
            attr.ATTRIBUTION_POLICY_DECISION_OUTCOME: "deny",
            attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION: "blocked",
        }
        put(store, agent, decision)
        record = who(store, "call-1")
        assert record.outcome.status == "denied"
        assert record.tool.name.value == "lookup_order"
        assert record.gaps == []

    def test_an_action_that_ran_although_it_was_held_back_is_a_gap(self, store: Store) -> None:
        agent, decision, execution = action()
        decision.attributes[attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION] = "blocked"
        put(store, agent, decision, execution)
        assert "the action was held back, and yet a span shows that it ran" in who(store, "call-1").gaps

    def test_an_action_that_was_allowed_and_never_seen_is_a_gap(self, store: Store) -> None:
        agent, decision, _ = action()
        put(store, agent, decision)
        record = who(store, "call-1")
        assert record.outcome.status == "not_recorded"
        assert record.outcome.evidence is EvidenceLevel.MISSING
        assert record.gaps == ["no span shows that the action ran, nor that it was held back"]

    def test_a_failed_action(self, store: Store) -> None:
        agent, decision, execution = action(ERROR_TYPE="TimeoutError")
        execution.error = True
        put(store, agent, decision, execution)
        outcome = who(store, "call-1").outcome
        assert (outcome.status, outcome.error_type) == ("failed", "TimeoutError")

    @pytest.mark.parametrize(("digest", "covers"), [("sha256:same", True), ("sha256:other", False)])
    def test_an_approval_in_another_trace(self, store: Store, digest: str, covers: bool) -> None:
        spans = action(ATTRIBUTION_APPROVAL_ID="apr-1", ATTRIBUTION_ACTION_ARGUMENTS_HASH="sha256:same")
        approval = Sent(
            attributes=attribution(
                "resolve_approval",
                ATTRIBUTION_APPROVAL_ID="apr-1",
                ATTRIBUTION_APPROVAL_STATUS="granted",
                ATTRIBUTION_APPROVAL_APPROVER_ID="bob@acme.example",
                ATTRIBUTION_APPROVAL_CONTEXT_HASH=digest,
                GEN_AI_TOOL_NAME="lookup_order",
            )
        )
        put(store, *spans, approval)
        record = who(store, "action-1")
        assert record.approval.approver.value == "bob@acme.example"
        assert record.approval.covers_action is covers
        assert ("the approval is for other arguments than the action's" in record.gaps) is not covers

    def test_an_approval_that_is_not_there_is_a_gap(self, store: Store) -> None:
        put(store, *action(ATTRIBUTION_APPROVAL_ID="apr-9"))
        record = who(store, "action-1")
        assert record.gaps == ["the action names an approval that is not in the store"]
        assert record.approval.approver.evidence is EvidenceLevel.MISSING

    def test_spans_that_disagree_are_a_gap(self, store: Store) -> None:
        agent, decision, execution = action()
        server = Sent(
            attributes=attribution("execute_tool", user="mallory@acme.example"),
            trace_id=agent.trace_id,
            parent_id=execution.span_id,
        )
        put(store, agent, decision, execution, server)
        gaps = who(store, "action-1").gaps
        assert any("disagree about attribution.principal.id" in gap and "mallory" in gap for gap in gaps)

    def test_a_changed_context_does_not_pass_for_the_evaluated_one(self, store: Store) -> None:
        agent, decision, execution = action()
        decision.attributes[attr.ATTRIBUTION_POLICY_CONTEXT_VALUE] = CONTEXT.replace("alice", "bob")
        put(store, agent, decision, execution)
        record = who(store, "action-1")
        assert record.decision.context_matches_hash is False
        assert "the decision's recorded context does not have its recorded digest" in record.gaps

    def test_the_same_span_in_another_request_is_no_gap(self, store: Store) -> None:
        spans = action()
        put(store, *spans)
        before = who(store, "action-1")
        put(store, *spans[::-1], Sent())
        assert who(store, "action-1") == before

    @pytest.mark.parametrize("field", ["status", "event", "attribute", "resource"])
    def test_a_difference_in_what_no_answer_shows_is_one_too(self, store: Store, field: str) -> None:
        spans = action()
        put(store, *spans)
        again = Sent(**vars(spans[2]))
        resource: dict[str, Value] = {}
        again.attributes = dict(again.attributes)
        if field == "status":
            again.error = not again.error
        elif field == "event":
            again.events = {"later": {"a": "b"}}
        elif field == "attribute":
            again.attributes["app.note"] = "changed"
        else:
            resource["host.name"] = "elsewhere"
        store.insert(pipeline.run([request(again, resource=resource)]), f"again {field}")
        gaps = [gap for gap in who(store, "action-1").gaps if "sent twice" in gap]
        assert len(gaps) == 1
        assert again.span_id.hex() in gaps[0]

    def test_a_span_sent_twice_with_other_content_is_a_gap(self, store: Store) -> None:
        spans = action()
        put(store, *spans)
        again = Sent(**vars(spans[2]))
        again.attributes = attribution("execute_tool", user="mallory@acme.example")
        put(store, again)
        record = who(store, "action-1")
        assert any("was sent twice with different content" in gap for gap in record.gaps)

    def test_a_span_of_another_instrumentation_lacks_what_it_lacks(self, store: Store) -> None:
        tool = Sent(attributes={"openinference.span.kind": "TOOL", "tool.name": "search"})
        put(store, tool)
        record = who(store, tool.span_id.hex())
        assert record.tool.name.value == "search"
        assert record.action_id is None
        assert record.principal.id == record.actor.name
        assert record.principal.id.evidence is EvidenceLevel.MISSING
        assert record.outcome.status == "succeeded"
        assert {finding.attribute for finding in record.findings} >= {attr.ATTRIBUTION_PRINCIPAL_ID}

    @pytest.mark.parametrize("id_", ["nothing", "0" * 16, "' OR 1=1 --", "{x:String}", "", "\x00", "ä" * 900])
    def test_an_id_that_nothing_has(self, store: Store, id_: str) -> None:
        put(store, *action())
        with pytest.raises(UnknownIdError):
            who(store, id_)

    def test_an_ambiguous_id_lists_what_it_may_mean(self, store: Store) -> None:
        put(store, *action(ATTRIBUTION_CORRELATION_ID="req-1"))
        put(store, *action(ATTRIBUTION_CORRELATION_ID="req-1", ATTRIBUTION_ACTION_ID="action-2"))
        with pytest.raises(AmbiguousIdError) as raised:
            who(store, "req-1")
        assert sorted(candidate.ask for candidate in raised.value.candidates) == ["action-1", "action-2"]
        for candidate in raised.value.candidates:
            assert who(store, candidate.ask).action_id == candidate.ask

    def test_a_context_that_nobody_can_read_is_told_as_none(self, store: Store) -> None:
        agent, decision, execution = action()
        decision.attributes[attr.ATTRIBUTION_POLICY_CONTEXT_VALUE] = '{"a":' + "[" * 100_000
        put(store, agent, decision, execution)
        assert who(store, "action-1").decision.context is None


@pytest.mark.parametrize("name", ["who", "chain", "before"])
@pytest.mark.parametrize("of_action", [True, False])
def test_spans_that_are_being_stored_are_unknown_until_they_are(
    store: Store, opened: tuple[Store, Any], name: str, of_action: bool
) -> None:
    """ClickHouse fills the index after the spans, and for a moment finds the ones and not the other."""
    span = action()[2] if of_action else Sent()
    put(store, span)
    question = QUESTIONS[name]
    asked = question.parameters(id="action-1" if of_action else span.span_id.hex())
    assert question.ask(store.reader(), asked)
    opened[1].command("TRUNCATE TABLE whodid.trace_index")
    with pytest.raises(UnknownIdError, match="not among"):
        question.ask(store.reader(), asked)


class TestTrace:
    def test_a_tree(self, store: Store) -> None:
        agent, decision, execution = action()
        put(store, execution, decision, agent)
        record = trace(store, agent.trace_id.hex().upper())
        assert [(line.depth, line.name) for line in record.lines] == [
            (0, "invoke_agent"),
            (1, "evaluate_policy"),
            (1, "execute_tool"),
        ]
        assert record.lines[2].principal == "alice@acme.example"
        assert record.lines[1].decision == "allow"

    def test_a_missing_parent_is_shown_as_such(self, store: Store) -> None:
        _, _, execution = action()
        put(store, execution)
        (line,) = trace(store, execution.trace_id.hex()).lines
        assert (line.depth, line.parent_missing) == (0, True)

    def test_spans_that_are_each_other_s_parents_are_shown_once(self, store: Store) -> None:
        one, two = Sent(name="one"), Sent(name="two")
        two.trace_id, two.parent_id, one.parent_id = one.trace_id, one.span_id, two.span_id
        put(store, one, two)
        record = trace(store, one.trace_id.hex())
        assert sorted(line.name for line in record.lines) == ["one", "two"]

    @pytest.mark.parametrize("id_", ["0" * 32, "xyz", ""])
    def test_a_trace_that_is_not_there(self, store: Store, id_: str) -> None:
        with pytest.raises(UnknownIdError):
            trace(store, id_)
