"""The question *actions*: the actions with some properties, newest first, and what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import cursor
from whodid.store.questions.action_filters import ActionsParameters, Became
from whodid.store.questions.action_search import Search
from whodid.store.questions.evidence import with_parents
from whodid.store.questions.question import Listing, Question
from whodid.store.questions.spans import Span, Spans, findings, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class Action(Record):
    """One action, however many spans it has."""

    at: str
    """When it ran, or else when it was decided about; RFC 3339, UTC."""
    duration_ms: float
    status: Became
    error_type: str | None
    operation: str
    tool: str | None
    model: str | None
    """What was asked, where the operation is a model's."""
    resource_type: str | None
    resource: str | None
    effect: str | None
    mode: str | None
    decision: str | None
    enforcement: str | None
    approval_id: str | None
    credential_id: str | None
    agent: Answer
    principal: Answer
    initiator: Answer
    task: Answer
    session_id: str | None
    services: list[str]
    rules: list[str]
    """Of the findings about its spans."""
    tool_call_id: str | None
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    """The one that stands for the action first; at most 20."""
    gaps: list[str]


class Facet(Record):
    """A value of a property, and how many actions have it."""

    property: str
    """Named as the filter that takes it."""
    value: str | None
    """None: they do not say it."""
    action_count: int


class Actions(Listing[Action]):
    """Actions, newest first."""

    facets: list[Facet]
    facets_since: str | None
    """From when on the facets count; None where they count everything, or were not asked for."""


def actions(reader: Reader, parameters: ActionsParameters) -> Actions:
    """The actions of the period with these properties.

    Raises CursorError.
    """
    before: tuple[int, str, str] | None = None
    if parameters.cursor:
        at_ns, trace, key = cursor.decode(parameters.cursor, (int, str, str))
        before = (at_ns, trace, key)
    search = Search(reader, parameters)
    rows, after = search.page(before, parameters.limit)
    facets, facets_since_ns = search.facets() if parameters.facets else ([], None)
    (spans, family), rules = reader.both(
        lambda beside: with_parents(beside, rows), lambda beside: _rules(beside, rows)
    )
    return Actions(
        items=[_item(span, family, rules.get(_key(span.row), [])) for span in spans],
        next_cursor=cursor.encode(*after) if after else None,
        gaps=_gaps(rows, after, parameters, facets_since_ns),
        facets=[
            Facet(property=row["dimension"], value=row["value"] or None, action_count=row["action_count"])
            for row in facets
        ],
        facets_since=None if facets_since_ns is None else rfc3339(facets_since_ns),
    )


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["trace"], row["key"]


def _rules(reader: Reader, rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """The rules that the spans of each action broke."""
    if not rows:
        return {}
    by_span: dict[str, set[str]] = {}
    for found in findings(reader, sorted({row["trace"] for row in rows})):
        by_span.setdefault(found.span, set()).add(found.rule)
    return {
        _key(row): sorted({rule for span in row["spans"] for rule in by_span.get(span, ())}) for row in rows
    }


def _item(span: Span, family: Spans, rules: list[str]) -> Action:
    row = span.row
    return Action(
        at=span.started_at,
        duration_ms=span.duration_ms,
        status=_status(row),
        error_type=row["error_type"] or None,
        operation=row["gen_ai_operation_name"] or row["mcp_method_name"],
        tool=row["gen_ai_tool_name"] or None,
        model=row["gen_ai_request_model"] or None,
        resource_type=row["attribution_resource_type"] or None,
        resource=row["attribution_resource_id"] or None,
        effect=row["attribution_action_effect"] or None,
        mode=row["attribution_action_mode"] or None,
        decision=row["attribution_policy_decision_outcome"] or None,
        enforcement=row["attribution_policy_enforcement_action"] or None,
        approval_id=row["attribution_approval_id"] or None,
        credential_id=row["attribution_credential_id"] or None,
        agent=_answer(span, family, attr.GEN_AI_AGENT_NAME, "agent_span"),
        principal=_answer(span, family, attr.ATTRIBUTION_PRINCIPAL_ID, "principal_span"),
        initiator=_answer(span, family, attr.ATTRIBUTION_INITIATOR_ID, "initiator_span"),
        task=_answer(span, family, attr.ATTRIBUTION_TASK_ID, "task_span"),
        session_id=row["session"] or None,
        services=row["services"],
        rules=rules,
        tool_call_id=row["gen_ai_tool_call_id"] or None,
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: id_ != span.id),
        gaps=_item_gaps(row),
    )


def _answer(span: Span, family: Spans, attribute: str, said_by: str) -> Answer:
    """What the span that stands for the action says, or another of its spans where that one is silent."""
    sayer = span.row[said_by]
    if sayer == span.id or span.get(attribute) is None:
        return family.answer(span, attribute)
    return Answer(value=span.get(attribute), evidence=EvidenceLevel.SELF_ASSERTED, spans=[sayer])


def _status(row: dict[str, Any]) -> Became:
    if row["ran"]:
        return Became.FAILED if row["failed"] else Became.SUCCEEDED
    return Became.DENIED if row["blocked"] else Became.NOT_RECORDED


_SAID = (("agents", "agents"), ("principals", "principals"), ("initiators", "initiators"))


def _item_gaps(row: dict[str, Any]) -> list[str]:
    gaps = [
        f"the action's spans name several {what}: {', '.join(row[column])}"
        for column, what in _SAID
        if len(row[column]) > 1
    ]
    if len(row["outcomes"]) > 1:
        gaps.append(f"the action's spans say different decisions: {', '.join(row['outcomes'])}")
    if row["ran"] and row["blocked"]:
        gaps.append("the action was held back, and yet a span shows that it ran")
    if not row["ran"] and not row["blocked"]:
        gaps.append("no span shows that the action ran, nor that it was held back")
    if row["version_count"] > row["span_count"]:
        gaps.append("a span was sent twice with different content; the action is told once")
    if row["span_count"] > len(row["spans"]):
        gaps.append(f"it has {row['span_count']} spans, of which {len(row['spans'])} are told")
    return gaps


def _gaps(
    rows: list[dict[str, Any]],
    after: tuple[int, str, str] | None,
    parameters: ActionsParameters,
    facets_since_ns: int | None,
) -> list[str]:
    gaps: list[str] = []
    if after and len(rows) < parameters.limit:
        gaps.append(
            "the page is short: what was looked at for it went up to the limit; the next page goes on"
        )
    if facets_since_ns is not None:
        gaps.append(f"the facets count what began at {rfc3339(facets_since_ns)} or after")
    return gaps


QUESTION = Question(
    "actions",
    "Which actions have these properties?",
    ActionsParameters,
    Actions,
    actions,
)
