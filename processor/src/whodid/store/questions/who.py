"""The question *who*: one action's full record, from any id that somebody may have of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import ApprovalStatus, EvidenceLevel, PolicyEnforcementAction
from whodid.store import records
from whodid.store.questions import lookup
from whodid.store.questions.id_times import times_of
from whodid.store.questions.question import MAX_ID_CHARACTERS, Parameters, Question
from whodid.store.questions.spans import MAX_SPANS, Span, Spans, findings, in_traces, load_within
from whodid.store.records import WhoRecord

if TYPE_CHECKING:
    from whodid.store.reader import Reader

_AGREED = (
    attr.GEN_AI_AGENT_NAME,
    attr.ATTRIBUTION_INITIATOR_ID,
    attr.ATTRIBUTION_PRINCIPAL_ID,
    attr.ATTRIBUTION_DELEGATION_CHAIN,
    attr.ATTRIBUTION_TASK_ID,
    attr.ATTRIBUTION_ACTION_MODE,
    attr.ATTRIBUTION_POLICY_DECISION_OUTCOME,
)
"""What all spans of one action have to agree on, in whichever process they were made."""


_RUNS = ("invoke_agent", "create_agent", "chat")
"""Operations that nobody decides on: the spans are no actions, and stand for themselves."""


class WhoParameters(Parameters):
    """What `who` is asked with."""

    id: str = Field(
        max_length=MAX_ID_CHARACTERS,
        description="A span's id (16 hexadecimal digits), a tool call's, an action's, or a correlation id.",
    )


def who(reader: Reader, parameters: WhoParameters) -> WhoRecord:
    """The record of the action that the id means.

    Raises UnknownIdError, AmbiguousIdError and StoreUnavailableError.
    """
    target = lookup.find(reader, parameters.id)
    within = in_traces(reader, target.traces)
    spans, wrong = reader.both(
        lambda beside: load_within(beside, within), lambda beside: findings(beside, target.traces, within)
    )
    own = _of_action(spans, target)
    if not own:
        raise lookup.unread(parameters.id, len(spans.all))
    action = _Action(spans, target, _approvals(reader, own))
    of_action = {span.id for span in action.spans}
    found = [finding for finding in wrong if finding.span in of_action]
    return action.record(parameters.id, found)


def _approvals(reader: Reader, spans: list[Span]) -> list[Span]:
    """The spans that resolve the approvals that some spans name, in whichever trace."""
    named = {text for span in spans if (text := span.text(attr.ATTRIBUTION_APPROVAL_ID))}
    if not named:
        return []
    times = times_of(reader, [(attr.ATTRIBUTION_APPROVAL_ID, each) for each in named])
    return Spans(reader.rows("approvals", {"approvals": sorted(named), "limit": MAX_SPANS, **times})).all


def _of_action(spans: Spans, target: lookup.Target) -> list[Span]:
    if not target.action_id:
        return [span for span in spans.all if span.id == target.span_id]
    return [span for span in spans.all if span.text(attr.ATTRIBUTION_ACTION_ID) == target.action_id]


class _Action:
    """One action's spans, told apart by what they are for."""

    def __init__(self, spans: Spans, target: lookup.Target, approvals: list[Span]) -> None:
        self._all = spans
        self._target = target
        self.spans = _of_action(spans, target)
        self.decision = self._first("evaluate_policy")
        # The outermost execution: a tool server's own span of the same action comes below it.
        self.execution = self._first("execute_tool")
        self.main = self.execution or self.decision or self.spans[0]
        # An agent's run or a model's call is no action, and ran if it has a span.
        self.is_run = not target.action_id and self.main.text(attr.GEN_AI_OPERATION_NAME) in _RUNS
        if self.is_run:
            self.execution = self.main
        id_ = self.main.text(attr.ATTRIBUTION_APPROVAL_ID)
        of_id = [each for each in approvals if id_ and each.text(attr.ATTRIBUTION_APPROVAL_ID) == id_]
        # Some record the request as a span too: what counts is the answer, and of several the last.
        self._answers = [each for each in of_id if _approval_status(each) != ApprovalStatus.REQUESTED]
        self.approval = next(reversed(self._answers or of_id), None)

    def _first(self, operation: str) -> Span | None:
        return next((span for span in self.spans if span.text(attr.GEN_AI_OPERATION_NAME) == operation), None)

    def record(self, asked: str, found: list[records.Finding]) -> WhoRecord:
        decision, approval = self._decision(), self._approval()
        return WhoRecord(
            id=asked,
            matched_by=self._target.matched_by,
            action_id=self._target.action_id or None,
            trace_ids=list(self._target.traces),
            span_ids=[span.id for span in self.spans],
            spans=[_span(span) for span in self.spans],
            session=self._session(),
            actor=records.Actor(
                name=self._answer(attr.GEN_AI_AGENT_NAME),
                instance=self._answer(attr.ATTRIBUTION_AGENT_INSTANCE_ID),
                identity=self._answer(attr.ATTRIBUTION_AGENT_IDENTITY_ID),
            ),
            initiator=self._party(attr.ATTRIBUTION_INITIATOR_TYPE, attr.ATTRIBUTION_INITIATOR_ID),
            principal=self._party(attr.ATTRIBUTION_PRINCIPAL_TYPE, attr.ATTRIBUTION_PRINCIPAL_ID),
            delegation_chain=self._answer(attr.ATTRIBUTION_DELEGATION_CHAIN),
            task=records.Task(
                id=self._answer(attr.ATTRIBUTION_TASK_ID),
                parent_id=self._answer(attr.ATTRIBUTION_TASK_PARENT_ID),
                objective_hash=self._answer(attr.ATTRIBUTION_TASK_OBJECTIVE_HASH),
            ),
            mode=self._answer(attr.ATTRIBUTION_ACTION_MODE),
            decision=decision,
            approval=approval,
            credential=self._credential(),
            tool=records.Tool(
                name=self._answer(attr.GEN_AI_TOOL_NAME),
                call_id=self._answer(attr.GEN_AI_TOOL_CALL_ID),
                arguments_hash=self._answer(attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH),
                effect=self._answer(attr.ATTRIBUTION_ACTION_EFFECT),
            ),
            resource=self._party(attr.ATTRIBUTION_RESOURCE_TYPE, attr.ATTRIBUTION_RESOURCE_ID),
            correlation_id=self._answer(attr.ATTRIBUTION_CORRELATION_ID),
            outcome=self._outcome(),
            findings=found,
            gaps=[*self._gaps(decision, approval), *self._span_gaps(), *self._disagreements()],
        )

    def _answer(self, attribute: str, span: Span | None = None) -> records.Answer:
        return self._all.answer(span or self.main, attribute)

    def _session(self) -> records.Answer:
        session = self._answer(attr.SESSION_ID)
        return session if session.value else self._answer(attr.GEN_AI_CONVERSATION_ID)

    def _party(self, type_: str, id_: str) -> records.Party:
        return records.Party(type=self._answer(type_), id=self._answer(id_))

    def _decision(self) -> records.Decision:
        span = self.decision
        text = span.text(attr.ATTRIBUTION_POLICY_CONTEXT_VALUE) if span else None
        digest = span.text(attr.ATTRIBUTION_POLICY_CONTEXT_HASH) if span else None
        matches = None
        if text is not None and digest is not None:
            matches = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == digest
        return records.Decision(
            id=self._answer(attr.ATTRIBUTION_POLICY_DECISION_ID, span),
            outcome=self._answer(attr.ATTRIBUTION_POLICY_DECISION_OUTCOME, span),
            enforcement=self._answer(attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION, span),
            rule=self._answer(attr.ATTRIBUTION_POLICY_RULE_ID, span),
            reason=self._answer(attr.ATTRIBUTION_POLICY_DECISION_REASON, span),
            policy=self._answer(attr.ATTRIBUTION_POLICY_ID, span),
            policy_version=self._answer(attr.ATTRIBUTION_POLICY_VERSION, span),
            engine=self._answer(attr.ATTRIBUTION_POLICY_ENGINE_NAME, span),
            context=_json_object(text),
            context_matches_hash=matches,
        )

    def _approval(self) -> records.Approval:
        digests = (
            self.approval.text(attr.ATTRIBUTION_APPROVAL_CONTEXT_HASH) if self.approval else None,
            self.main.text(attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH),
        )
        return records.Approval(
            id=self._answer(attr.ATTRIBUTION_APPROVAL_ID),
            status=self._answer(attr.ATTRIBUTION_APPROVAL_STATUS, self.approval),
            approver=self._answer(attr.ATTRIBUTION_APPROVAL_APPROVER_ID, self.approval),
            not_after=self._answer(attr.ATTRIBUTION_APPROVAL_NOT_AFTER, self.approval),
            covers_action=digests[0] == digests[1] if all(digests) else None,
        )

    def _credential(self) -> records.Credential:
        return records.Credential(
            id=self._answer(attr.ATTRIBUTION_CREDENTIAL_ID),
            type=self._answer(attr.ATTRIBUTION_CREDENTIAL_TYPE),
            issuer=self._answer(attr.ATTRIBUTION_CREDENTIAL_ISSUER),
            scopes=self._answer(attr.ATTRIBUTION_CREDENTIAL_SCOPES),
            not_after=self._answer(attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER),
            task_id=self._answer(attr.ATTRIBUTION_CREDENTIAL_TASK_ID),
        )

    def _outcome(self) -> records.Outcome:
        span = self.execution
        if span is not None:
            failed = span.row["status_code"] == "ERROR" or span.text(attr.ERROR_TYPE) is not None
            return records.Outcome(
                status="failed" if failed else "succeeded",
                error_type=span.text(attr.ERROR_TYPE),
                started_at=span.started_at,
                ended_at=span.ended_at,
                evidence=EvidenceLevel.SELF_ASSERTED,
                spans=[span.id],
            )
        if self._blocked and self.decision is not None:
            return records.Outcome(
                status="denied",
                error_type=None,
                started_at=self.decision.started_at,
                ended_at=self.decision.ended_at,
                evidence=EvidenceLevel.SELF_ASSERTED,
                spans=[self.decision.id],
            )
        return records.Outcome(
            status="not_recorded",
            error_type=None,
            started_at=None,
            ended_at=None,
            evidence=EvidenceLevel.MISSING,
            spans=[],
        )

    @property
    def _blocked(self) -> bool:
        enforcement = self.decision and self.decision.text(attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION)
        return enforcement == PolicyEnforcementAction.BLOCKED

    def _gaps(self, decision: records.Decision, approval: records.Approval) -> list[str]:
        gaps: list[str] = []
        if self.decision is None and not self.is_run:
            gaps.append("no policy decision about this action is recorded")
        if self.execution is None and not self._blocked:
            gaps.append("no span shows that the action ran, nor that it was held back")
        if self.execution is not None and self._blocked:
            gaps.append("the action was held back, and yet a span shows that it ran")
        if self.main.text(attr.ATTRIBUTION_APPROVAL_ID) and self.approval is None:
            gaps.append("the action names an approval that is not in the store")
        if len({_approval_status(each) for each in self._answers}) > 1:
            gaps.append("the approval was answered in different ways; the last is shown")
        if approval.covers_action is False:
            gaps.append("the approval is for other arguments than the action's")
        if decision.context_matches_hash is False:
            gaps.append("the decision's recorded context does not have its recorded digest")
        return gaps

    def _span_gaps(self) -> list[str]:
        gaps: list[str] = []
        for span in self.spans:
            if span.parent_id is not None and self._all.parent(span) is None:
                gaps.append(f"span {span.id} has a parent, {span.parent_id}, that is not in the store")
            if span.id in self._all.sent_twice:
                gaps.append(f"span {span.id} was sent twice with different content; the first is shown")
        return gaps

    def _disagreements(self) -> list[str]:
        gaps: list[str] = []
        for attribute in _AGREED:
            said: dict[str, str] = {}
            for span in self.spans:
                value = span.get(attribute)
                if value is not None:
                    said.setdefault(json.dumps(value), span.id)
            if len(said) > 1:
                told = ", ".join(f"{value} (span {span})" for value, span in said.items())
                gaps.append(f"the action's spans disagree about {attribute}: {told}")
        return gaps


def _span(span: Span) -> records.ActionSpan:
    return records.ActionSpan(
        trace_id=span.trace_id,
        span_id=span.id,
        name=span.row["name"],
        operation=span.text(attr.GEN_AI_OPERATION_NAME),
        service=span.row["service_name"],
        started_at=span.started_at,
        duration_ms=span.duration_ms,
        status=span.row["status_code"],
    )


def _approval_status(span: Span) -> str | None:
    return span.text(attr.ATTRIBUTION_APPROVAL_STATUS)


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


QUESTION = Question("who", "Who did that, for whom, and who allowed it?", WhoParameters, WhoRecord, who)
