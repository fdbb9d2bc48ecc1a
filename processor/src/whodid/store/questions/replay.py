"""The question *replay*: what happened in a session, step by step, across its traces."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions import cursor
from whodid.store.questions.evidence import SKEW_NS
from whodid.store.questions.id_times import times_of
from whodid.store.questions.lookup import UnknownIdError
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import NO_PARENT, Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_TRACES = 2_000
"""How many traces of one session an answer goes through."""


class ReplayParameters(Paged):
    """What `replay` is asked with."""

    session: str = Field(
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        description="The session: a value of session.id or gen_ai.conversation.id.",
    )
    only_actions: bool = Field(
        default=False,
        description="Only decisions, approvals and actions, without the models' and the agents' own spans.",
    )


class Step(Record):
    """One span of the session."""

    at: str
    """RFC 3339, UTC, by the clock of the process that made the span."""
    after_ms: float
    """How long after the session's first span."""
    duration_ms: float
    name: str
    operation: str | None
    service: str
    agent: Answer
    principal: Answer
    task: Answer
    tool: str | None
    resource: str | None
    effect: str | None
    mode: str | None
    decision: str | None
    enforcement: str | None
    approval: str | None
    """What became of an approval: `granted` and so on."""
    approver: str | None
    credential_id: str | None
    result_source: str | None
    status: str
    error_type: str | None
    action_id: str | None
    trace_id: str
    span_id: str
    parent_span_id: str | None
    belongs_by: str
    """`session`, `conversation`, or `trace`: it names no session, and is in a trace that does."""
    gaps: list[str]


class Replay(Listing[Step]):
    """A session in the order of time; what is counted is counted over all pages."""

    span_count: int
    trace_count: int
    began_at: str
    ended_at: str
    principals: list[str]


def replay(reader: Reader, parameters: ReplayParameters) -> Replay:
    """The session's spans in the order of their start.

    Raises CursorError, and UnknownIdError where no span of the period names the session.
    """
    after_ns, after_trace, after_span = cursor.BEFORE_ALL
    if parameters.cursor:
        after_ns, after_trace, after_span = cursor.decode(parameters.cursor, (int, str, str))
    session = {"session": parameters.session, **parameters.bounds()}
    traces = traces_of(reader, parameters.session, parameters.bounds(), MAX_TRACES + 1)
    if not traces:
        raise UnknownIdError(
            f"no span names the session or conversation {parameters.session!r}",
            "it is the value of session.id or gen_ai.conversation.id; widen since and until if they are set",
        )
    looked_at = traces[:MAX_TRACES]
    rows = reader.rows(
        "replay",
        {
            **session,
            "traces": [row["trace"] for row in looked_at],
            "first_ns": min(row["first_ns"] for row in looked_at),
            "last_ns": max(row["last_ns"] for row in looked_at),
            "only_actions": parameters.only_actions,
            "after_ns": after_ns,
            "after_trace": after_trace,
            "after_span": after_span,
            # One more tells whether there is a next page, and one is there for its counts alone.
            "limit": parameters.limit + 2,
        },
    )
    listed = [row for row in rows if row["listed"] and _is_wanted(row, parameters)]
    page = listed[: parameters.limit]
    last = page[-1] if len(listed) > parameters.limit else None
    family = Spans([*page, *_parents(page)])
    return Replay(
        items=[_step(Span(row), family) for row in page],
        next_cursor=cursor.encode(last["start_ns"], last["trace"], last["span"]) if last else None,
        gaps=_gaps(rows[0], truncated=len(traces) > MAX_TRACES),
        span_count=rows[0]["span_count"],
        trace_count=rows[0]["trace_count"],
        began_at=rfc3339(rows[0]["first_ns"]),
        ended_at=rfc3339(rows[0]["last_ns"]),
        principals=sorted(rows[0]["principals"]),
    )


def traces_of(
    reader: Reader, session: str, bounds: dict[str, datetime.datetime], limit: int
) -> list[dict[str, Any]]:
    """The traces that name a session or conversation in a period, oldest first, with their bounds in ns."""
    names = [(attr.SESSION_ID, session), (attr.GEN_AI_CONVERSATION_ID, session)]
    times = times_of(reader, names, bounds)
    return reader.rows("replay_traces", {"session": session, **bounds, **times, "limit": limit})


def _is_wanted(row: dict[str, Any], parameters: ReplayParameters) -> bool:
    # The first of all comes with every page for its counts, whatever it is.
    acts = row["attribution_action_id"] or row["gen_ai_operation_name"] in _ACTS
    return not parameters.only_actions or bool(acts)


_ACTS = ("execute_tool", "evaluate_policy", "resolve_approval")


def _parents(page: list[dict[str, Any]]) -> list[dict[str, Any]]:
    listed = {(row["trace"], row["span"]) for row in page}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in page:
        if row["above_ns"] and (row["trace"], row["parent"]) not in listed:
            found[row["trace"], row["parent"]] = {
                "trace": row["trace"],
                "span": row["parent"],
                "parent": NO_PARENT,
                "gen_ai_agent_name": row["above_agent"],
                "attribution_principal_id": row["above_principal"],
                "attribution_task_id": row["above_task"],
            }
    return list(found.values())


def _step(span: Span, family: Spans) -> Step:
    row = span.row
    return Step(
        at=span.started_at,
        after_ms=(row["start_ns"] - row["first_ns"]) / 1e6,
        duration_ms=span.duration_ms,
        name=row["name"],
        operation=row["gen_ai_operation_name"] or row["mcp_method_name"] or None,
        service=row["service_name"],
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        tool=span.text(attr.GEN_AI_TOOL_NAME),
        resource=span.text(attr.ATTRIBUTION_RESOURCE_ID),
        effect=span.text(attr.ATTRIBUTION_ACTION_EFFECT),
        mode=span.text(attr.ATTRIBUTION_ACTION_MODE),
        decision=span.text(attr.ATTRIBUTION_POLICY_DECISION_OUTCOME),
        enforcement=span.text(attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION),
        approval=span.text(attr.ATTRIBUTION_APPROVAL_STATUS),
        approver=span.text(attr.ATTRIBUTION_APPROVAL_APPROVER_ID),
        credential_id=span.text(attr.ATTRIBUTION_CREDENTIAL_ID),
        result_source=span.text(attr.ATTRIBUTION_RESULT_SOURCE),
        status=row["status_code"],
        error_type=span.text(attr.ERROR_TYPE),
        action_id=span.text(attr.ATTRIBUTION_ACTION_ID),
        trace_id=span.trace_id,
        span_id=span.id,
        parent_span_id=span.parent_id,
        belongs_by=row["belongs_by"],
        gaps=_step_gaps(span),
    )


def _step_gaps(span: Span) -> list[str]:
    row = span.row
    gaps: list[str] = []
    if span.parent_id and not row["above_ns"]:
        gaps.append("its parent is not in the store")
    if row["above_ns"] > row["start_ns"] + SKEW_NS:
        gaps.append("it begins before its parent: the clocks disagree, and its place is in doubt")
    if row["differs"]:
        gaps.append("it was sent again with different content, of which the first is told")
    return gaps


def _gaps(first: dict[str, Any], *, truncated: bool) -> list[str]:
    counted = {
        "span(s) whose parent is not in the store": first["orphan_count"],
        "span(s) sent again with different content": first["differing_count"],
        "span(s) that name no session and are told because of their trace": first["by_trace_count"],
    }
    gaps = [f"{count} {what}" for what, count in counted.items() if count]
    if len(first["principals"]) > 1:
        gaps.append(f"the session is of several principals: {', '.join(sorted(first['principals']))}")
    if truncated:
        gaps.append(f"the session has more than {MAX_TRACES} traces; only the first ones are told")
    return gaps


QUESTION = Question(
    "replay", "What happened in this session, in the order of time?", ReplayParameters, Replay, replay
)
