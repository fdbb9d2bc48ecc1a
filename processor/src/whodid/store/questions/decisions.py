"""The question *decisions*: what the policies said, on what, and what others would have said."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import PolicyDecisionOutcome, PolicyEnforcementAction
from whodid.store.questions import cursor
from whodid.store.questions.evidence import among_parents
from whodid.store.questions.id_times import EVERYWHERE, times_of
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import MAX_SPANS, NO_PARENT, Span, Spans, in_traces
from whodid.store.questions.what_if import MAX_POLICY_CHARACTERS, Recorded, Verdict, WhatIf
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

BATCH = 1_000
MAX_HELD_AGAINST = 20_000
"""How many decisions one answer holds against other policies."""

_SHOWN_SPANS = 20
"""How many spans of one execution are told."""


def _filter(description: str) -> Any:
    return Field(default="", max_length=MAX_ID_CHARACTERS, description=description)


class DecisionsParameters(Paged):
    """What `decisions` is asked with."""

    id: str = _filter("Only this decision (attribution.policy.decision.id).")
    outcome: PolicyDecisionOutcome | None = Field(
        default=None, description="Only decisions with this outcome."
    )
    enforcement: PolicyEnforcementAction | None = Field(
        default=None, description="Only decisions of which this was made, whatever the outcome."
    )
    policy_id: str = _filter("Only decisions of this set of policies.")
    rule: str = _filter("Only what this rule decided.")
    agent: str = _filter("Only what this agent wanted to do.")
    tool: str = _filter("Only about this tool.")
    principal: str = _filter("Only on behalf of this principal.")
    policy: str = Field(
        default="",
        max_length=MAX_POLICY_CHARACTERS,
        description="The text of other Cedar policies: what would they have said?",
    )
    only_changed: bool = Field(
        default=False,
        description="Only decisions that the other policies would turn: permitted into denied, "
        "or the reverse.",
    )


class Decided(Record):
    """One decision."""

    at: str
    """RFC 3339, UTC."""
    decision_id: str | None
    outcome: str | None
    enforcement: str | None
    rule: str | None
    reason: str | None
    policy: str | None
    policy_version: str | None
    engine: str | None
    tool: str | None
    resource: str | None
    effect: str | None
    mode: str | None
    approval_id: str | None
    agent: Answer
    principal: Answer
    task: Answer
    context: dict[str, Any] | None
    """What the policies were evaluated on."""
    context_matches_hash: bool | None
    """Whether the recorded context has the recorded digest; None where one of them is missing."""
    ran: str
    """`succeeded`, `failed`, or `not_recorded` where no span shows that the action ran."""
    ran_spans: list[str]
    would_be: Verdict | None
    """What the other policies would have said; None where none were given."""
    would_be_because: str | None
    action_id: str | None
    trace_id: str
    span_id: str
    gaps: list[str]


class Decisions(Listing[Decided]):
    """Decisions, oldest first."""

    would_be: dict[str, int]
    """How many of the decisions that this page took the other policies would have answered how."""
    looked_at: int
    """How many decisions that were, with those that `only_changed` left out."""


def decisions(reader: Reader, parameters: DecisionsParameters) -> Decisions:
    """The decisions of the period with these properties.

    Raises CursorError and PolicyTextError.
    """
    what_if = WhatIf(parameters.policy) if parameters.policy.strip() else None
    only_changed = parameters.only_changed and what_if is not None
    after = cursor.BEFORE_ALL
    if parameters.cursor:
        after = cursor.decode(parameters.cursor, (int, str, str))
    batch = BATCH if only_changed else parameters.limit
    asked = _filters(parameters)
    if parameters.id:
        named = [(attr.ATTRIBUTION_POLICY_DECISION_ID, parameters.id)]
        asked |= times_of(reader, named, parameters.bounds())
    taken: list[tuple[dict[str, Any], Verdict | None, str | None]] = []
    said: Counter[str] = Counter()
    looked_at, more = 0, True
    while more and len(taken) < parameters.limit and looked_at < MAX_HELD_AGAINST:
        rows = reader.rows("decisions", {**asked, **_after(after), "limit": batch + 1})
        more = len(rows) > batch
        for row in rows[:batch]:
            if len(taken) == parameters.limit:
                more = True
                break
            after = (row["start_ns"], row["trace"], row["span"])
            looked_at += 1
            verdict, why = what_if.verdict(_recorded(row)) if what_if else (None, None)
            if verdict:
                said[verdict.value] += 1
            if not only_changed or _turned(row, verdict):
                taken.append((row, verdict, why))
    return Decisions(
        items=_items(reader, taken),
        next_cursor=cursor.encode(*after) if more else None,
        gaps=_gaps(said, parameters),
        would_be=dict(sorted(said.items())),
        looked_at=looked_at,
    )


def _filters(parameters: DecisionsParameters) -> dict[str, Any]:
    names = ("id", "policy_id", "rule", "agent", "tool", "principal")
    return {
        **parameters.bounds(),
        **EVERYWHERE,
        **{name: getattr(parameters, name) for name in names},
        "outcome": parameters.outcome or "",
        "enforcement": parameters.enforcement or "",
    }


def _after(after: tuple[Any, ...]) -> dict[str, Any]:
    return {"after_ns": after[0], "after_trace": after[1], "after_span": after[2]}


def _recorded(row: dict[str, Any]) -> Recorded:
    return Recorded(
        agent=row["gen_ai_agent_name"],
        tool=row["gen_ai_tool_name"],
        engine=row["attribution_policy_engine_name"],
        context=row["attribution_policy_context_value"],
        context_hash=row["attribution_policy_context_hash"],
    )


def _turned(row: dict[str, Any], verdict: Verdict | None) -> bool:
    if verdict is None or verdict is Verdict.NOT_EVALUABLE:
        return False
    allowed = row["attribution_policy_decision_outcome"] == PolicyDecisionOutcome.ALLOW
    return allowed != (verdict is Verdict.ALLOW)


def _items(reader: Reader, taken: list[tuple[dict[str, Any], Verdict | None, str | None]]) -> list[Decided]:
    rows = [row for row, _, _ in taken]
    around = _around(reader, rows)
    ran = _ran(around)
    spans, family = among_parents(rows, around)
    return [
        _item(span, family, ran.get((span.trace_id, span.row["attribution_action_id"])), verdict, why)
        for span, (_, verdict, why) in zip(spans, taken, strict=True)
    ]


def _around(reader: Reader, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parents of the decisions' spans, and the spans by which their actions ran, in one reading."""
    asked = {
        "actions": sorted({row["attribution_action_id"] for row in rows} - {""}),
        "parents": sorted({row["parent"] for row in rows} - {NO_PARENT}),
        "limit": MAX_SPANS,
    }
    if not (asked["actions"] or asked["parents"]):
        return []
    return reader.rows("decisions_around", asked | in_traces(reader, sorted({row["trace"] for row in rows})))


def _ran(around: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The actions that ran, by trace and id: by which spans, and whether one of them failed."""
    ran: dict[tuple[str, str], dict[str, Any]] = {}
    for row in around:
        if row["executes"]:
            action = ran.setdefault((row["trace"], row["action"]), {"spans": set(), "failed": False})
            action["failed"] |= bool(row["failed"])
            if len(action["spans"]) < _SHOWN_SPANS:
                action["spans"].add(row["span"])
    return ran


def _item(
    span: Span, family: Spans, ran: dict[str, Any] | None, verdict: Verdict | None, why: str | None
) -> Decided:
    text = span.text(attr.ATTRIBUTION_POLICY_CONTEXT_VALUE)
    digest = span.text(attr.ATTRIBUTION_POLICY_CONTEXT_HASH)
    matches = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == digest if text and digest else None
    return Decided(
        at=span.started_at,
        decision_id=span.text(attr.ATTRIBUTION_POLICY_DECISION_ID),
        outcome=span.text(attr.ATTRIBUTION_POLICY_DECISION_OUTCOME),
        enforcement=span.text(attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION),
        rule=span.text(attr.ATTRIBUTION_POLICY_RULE_ID),
        reason=span.text(attr.ATTRIBUTION_POLICY_DECISION_REASON),
        policy=span.text(attr.ATTRIBUTION_POLICY_ID),
        policy_version=span.text(attr.ATTRIBUTION_POLICY_VERSION),
        engine=span.text(attr.ATTRIBUTION_POLICY_ENGINE_NAME),
        tool=span.text(attr.GEN_AI_TOOL_NAME),
        resource=span.text(attr.ATTRIBUTION_RESOURCE_ID),
        effect=span.text(attr.ATTRIBUTION_ACTION_EFFECT),
        mode=span.text(attr.ATTRIBUTION_ACTION_MODE),
        approval_id=span.text(attr.ATTRIBUTION_APPROVAL_ID),
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        context=_json_object(text),
        context_matches_hash=matches,
        ran="not_recorded" if ran is None else "failed" if ran["failed"] else "succeeded",
        ran_spans=sorted(ran["spans"]) if ran else [],
        would_be=verdict,
        would_be_because=why,
        action_id=span.text(attr.ATTRIBUTION_ACTION_ID),
        trace_id=span.trace_id,
        span_id=span.id,
        gaps=_item_gaps(span, ran, matches),
    )


def _item_gaps(span: Span, ran: dict[str, Any] | None, matches: bool | None) -> list[str]:
    row = span.row
    gaps: list[str] = []
    if row["gen_ai_operation_name"] != "evaluate_policy":
        gaps.append("no span of its own records the decision; the action alone says that there was one")
    if not row["attribution_policy_decision_outcome"]:
        gaps.append("the outcome is not recorded")
    if not row["attribution_policy_context_value"]:
        gaps.append("what it was decided on is not recorded")
    if matches is False:
        gaps.append("the recorded context does not have the recorded digest")
    if ran and row["attribution_policy_enforcement_action"] == PolicyEnforcementAction.BLOCKED:
        gaps.append("the action ran although it was blocked")
    if row["differs"]:
        gaps.append("the span was sent again with different content, of which one is told")
    return gaps


def _json_object(text: str | None) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _gaps(said: Counter[str], parameters: DecisionsParameters) -> list[str]:
    gaps: list[str] = []
    if count := said[Verdict.NOT_EVALUABLE]:
        gaps.append(f"{count} of the decisions cannot be evaluated from what is recorded")
    if parameters.only_changed and not parameters.policy.strip():
        gaps.append("only_changed means nothing without policies to compare with")
    return gaps


QUESTION = Question(
    "decisions",
    "What did the policies decide, on what, and what would others have decided?",
    DecisionsParameters,
    Decisions,
    decisions,
)
