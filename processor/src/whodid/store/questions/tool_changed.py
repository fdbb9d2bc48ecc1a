"""The question *tool-changed*: tools that were run with another definition than the one that was approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions import paging
from whodid.store.questions.evidence import said, with_parents
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class ToolChangedParameters(Paged):
    """What `tool-changed` is asked with."""

    tool: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only the tool of this name.")


class ChangedTool(Record):
    """A definition that nobody had approved, of a tool of which another had been."""

    at: str
    """When it was run with this definition first, RFC 3339, UTC."""
    service: str
    tool: str
    definition: Answer
    """The digest of the definition that it was run with."""
    approved_definition: Answer
    """That of the definition that was approved last before."""
    approved_at: str
    approver: Answer
    approval_id: str
    agent: Answer
    principal: Answer
    """Of the first run."""
    agents: list[str]
    run_count: int
    """How many actions ran with it before it was approved, if it ever was."""
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    gaps: list[str]


class ChangedTools(Listing[ChangedTool]):
    """Unapproved definitions of approved tools, by their first run, oldest first."""


def tool_changed(reader: Reader, parameters: ToolChangedParameters) -> ChangedTools:
    """What tools were run with, after something else was approved.

    Raises CursorError.
    """
    given = {**parameters.bounds(), "tool": parameters.tool}
    page = paging.read(reader, "tool_changed", parameters, given)
    spans, family = with_parents(reader, page.rows)
    return ChangedTools(items=[_item(span, family) for span in spans], next_cursor=page.next_cursor)


def _item(span: Span, family: Spans) -> ChangedTool:
    row = span.row
    gaps: list[str] = []
    if row["by_action"]:
        gaps.append(
            "the approval does not say which definition it was shown; taken is that of the action it was for"
        )
    if not row["approver"]:
        gaps.append("the approval does not say who gave it")
    return ChangedTool(
        at=rfc3339(row["start_ns"]),
        service=row["service_name"],
        tool=row["tool"],
        definition=said([row["definition"]], [span.id]),
        approved_definition=said([row["approved_definition"]], [row["approval_span"]]),
        approved_at=rfc3339(row["approved_ns"]),
        approver=said([row["approver"]] if row["approver"] else [], [row["approval_span"]]),
        approval_id=row["approval_id"],
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        agents=row["agents"],
        run_count=row["run_count"],
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=[span.id],
        gaps=gaps,
    )


QUESTION = Question(
    "tool-changed",
    "Which tools were run with another definition than was approved?",
    ToolChangedParameters,
    ChangedTools,
    tool_changed,
)
