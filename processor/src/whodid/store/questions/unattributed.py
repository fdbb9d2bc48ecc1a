"""The question *unattributed*: the actions for which nobody can be named."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions import paging
from whodid.store.questions.evidence import with_parents
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class Missing(StrEnum):
    """What an action may lack."""

    AGENT = "agent"
    INSTANCE = "instance"
    PRINCIPAL = "principal"
    INITIATOR = "initiator"
    TASK = "task"


class UnattributedParameters(Paged):
    """What `unattributed` is asked with."""

    missing: tuple[Missing, ...] = Field(
        default=(Missing.AGENT, Missing.PRINCIPAL, Missing.INITIATOR, Missing.TASK),
        min_length=1,
        description="An action is listed if it lacks one of these: which agent acted, which running copy of "
        "it, on whose behalf, who started it, for which task.",
    )
    operations: tuple[str, ...] = Field(
        default=("execute_tool", "tools/call"),
        min_length=1,
        max_length=100,
        description="What counts as an action: values of gen_ai.operation.name or mcp.method.name.",
    )
    service: str = Field(
        default="",
        max_length=MAX_ID_CHARACTERS,
        description="Only the actions of this service (service.name).",
    )


class Unattributed(Record):
    """An action of which something is said by none of its spans."""

    at: str
    """RFC 3339, UTC."""
    missing: list[Missing]
    services: list[str]
    operation: str
    tool: str | None
    resource: str | None
    agent: Answer
    principal: Answer
    initiator: Answer
    task: Answer
    credential_id: str | None
    """By which its use may be traced after all, with `credential`."""
    instrumentation: str | None
    """The instrumentation scope that made the span."""
    above: str | None
    """The agent that the parent span names, and for whom: a trail, and no answer."""
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    gaps: list[str]


class UnattributedHour(Record):
    """How many of the actions began in an hour."""

    since: str
    """Where the hour begins, RFC 3339, UTC."""
    action_count: int


class UnattributedActions(Listing[Unattributed]):
    """The unattributed actions of a time, oldest first; what is counted is counted over all pages."""

    action_count: int
    without: dict[str, int]
    """How many of them lack each thing, whether it was asked for or not."""
    by_hour: list[UnattributedHour]
    """How many there are in each hour that has any, in the order of time."""


def unattributed(reader: Reader, parameters: UnattributedParameters) -> UnattributedActions:
    """The actions of the period that lack one of the things in `missing`.

    Raises CursorError.
    """
    page = paging.read(
        reader,
        "unattributed",
        parameters,
        {
            **parameters.bounds(),
            "missing": list(parameters.missing),
            "operations": list(parameters.operations),
            "service": parameters.service,
        },
    )
    spans, family = with_parents(reader, page.rows)
    return UnattributedActions(
        items=[_item(span, family) for span in spans],
        next_cursor=page.next_cursor,
        action_count=page.totals.get("action_count", 0),
        by_hour=[
            UnattributedHour(since=rfc3339(hour_s * 1_000_000_000), action_count=count)
            for hour_s, count in zip(*page.totals.get("hours", ((), ())), strict=True)
        ],
        without={each.value: page.totals.get(f"without_{each}", 0) for each in Missing},
    )


def _item(span: Span, family: Spans) -> Unattributed:
    row = span.row
    return Unattributed(
        at=rfc3339(row["start_ns"]),
        missing=[Missing(each) for each in row["lacks"]],
        services=row["services"],
        operation=row["gen_ai_operation_name"] or row["mcp_method_name"],
        tool=row["gen_ai_tool_name"] or None,
        resource=row["attribution_resource_id"] or None,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        initiator=family.answer(span, attr.ATTRIBUTION_INITIATOR_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        credential_id=row["attribution_credential_id"] or None,
        instrumentation=row["scope_name"] or None,
        above=_above(family.parent(span)),
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: (id_ != span.id, id_)),
        gaps=["a span was sent twice with different content; the one that says less counts"]
        if row["copied"]
        else [],
    )


def _above(parent: Span | None) -> str | None:
    if parent is None:
        return None
    agent = parent.text(attr.GEN_AI_AGENT_NAME)
    principal = parent.text(attr.ATTRIBUTION_PRINCIPAL_ID)
    if agent is None and principal is None:
        return None
    return f"{agent or 'no named agent'} for {principal or 'nobody'} (span {parent.id})"


QUESTION = Question(
    "unattributed",
    "For which actions can nobody be named?",
    UnattributedParameters,
    UnattributedActions,
    unattributed,
)
