"""The question *new-credential-on-retry*: what failed with one credential and was tried with another."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions import paging
from whodid.store.questions.evidence import with_parents
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

DEFAULT_WITHIN_S = 3_600
MAX_WITHIN_S = 7 * 86_400


class Same(StrEnum):
    """By what two attempts are at the same thing, beside their task and tool; the first is the surest."""

    ARGUMENTS = "arguments"
    RESOURCE = "resource"
    TOOL = "tool"


class NewCredentialOnRetryParameters(Paged):
    """What `new-credential-on-retry` is asked with."""

    agent: str = Field(
        default="",
        max_length=MAX_ID_CHARACTERS,
        description="Only where this agent made one of the attempts.",
    )
    within_s: int = Field(
        default=DEFAULT_WITHIN_S,
        ge=1,
        le=MAX_WITHIN_S,
        description="How many seconds after the failed attempt the next one may begin.",
    )


class Attempt(Record):
    """One of the two attempts."""

    at: str
    """RFC 3339, UTC."""
    outcome: str
    """`failed`, `denied`, `succeeded`, or `not_recorded` where no span shows that it ran."""
    error_type: str | None
    credential_id: str
    credential_type: str | None
    agent: str | None
    service: str
    action_id: str
    """The span's id, for an action that has none."""
    trace_id: str
    span_ids: list[str]


class Retry(Record):
    """An attempt that failed or was held back, and the next, with another credential."""

    failed: Attempt
    retried: Attempt
    tool: str
    resource: str | None
    same: Same
    agent: Answer
    """Who tried again, for whom and for which task."""
    principal: Answer
    task: Answer
    gained_scopes: list[str]
    """What the second credential is good for and the first is not, as far as both say it."""
    new_to_task: bool
    """Nothing in the task used the second credential before, in the period."""
    declared: bool
    """The second says that it took the place of the first (`attribution.credential.replaces.id`)."""
    gaps: list[str]


class Retries(Listing[Retry]):
    """The changes of credential after a failure in a time, in the order of the second attempts."""


def new_credential_on_retry(reader: Reader, parameters: NewCredentialOnRetryParameters) -> Retries:
    """The attempts of the period that followed a failed one with another credential.

    Raises CursorError.
    """
    page = paging.read(
        reader,
        "new_credential_on_retry",
        parameters,
        {
            **parameters.bounds(),
            "agent": parameters.agent,
            "within_ns": parameters.within_s * 1_000_000_000,
        },
        key=lambda row: f"{row['action']} {row['credential']}",
    )
    spans, family = with_parents(reader, page.rows)
    return Retries(
        items=[_retry(span, family) for span in spans],
        next_cursor=page.next_cursor,
    )


def _retry(span: Span, family: Spans) -> Retry:
    row = span.row
    declared = bool(row["replaces"]) and row["replaces"] == row["before_credential"]
    scopes_known = row["scopes"] and row["before_scopes"]
    return Retry(
        failed=Attempt(
            at=rfc3339(row["before_ns"]),
            outcome=row["before_outcome"],
            error_type=row["before_error"] or None,
            credential_id=row["before_credential"],
            credential_type=row["before_type"] or None,
            agent=row["before_agent"] or None,
            service=row["before_service"],
            action_id=row["before_action"],
            trace_id=row["before_trace"],
            span_ids=row["before_spans"],
        ),
        retried=Attempt(
            at=rfc3339(row["start_ns"]),
            outcome=row["outcome"],
            error_type=row["error"] or None,
            credential_id=row["credential"],
            credential_type=row["type"] or None,
            agent=row["gen_ai_agent_name"] or None,
            service=row["service_name"],
            action_id=row["action"],
            trace_id=row["trace"],
            span_ids=row["spans"],
        ),
        tool=row["tool"],
        resource=row["resource"] or None,
        same=Same(row["same_by"][0]),
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        gained_scopes=sorted(set(row["scopes"]) - set(row["before_scopes"])) if scopes_known else [],
        new_to_task=bool(row["new_to_task"]),
        declared=declared,
        gaps=_gaps(row),
    )


def _gaps(row: dict[str, Any]) -> list[str]:
    gaps: list[str] = []
    if not row["scopes"] or not row["before_scopes"]:
        gaps.append("what the credentials are good for is not said of both")
    if not row["attribution_task_id"]:
        gaps.append("no task is named; the attempts are of one trace")
    if row["same_by"][0] == Same.TOOL:
        gaps.append("neither arguments nor resource are known; the attempts have task and tool in common")
    if row["copies"] or row["before_copies"]:
        gaps.append("a span was sent twice with different content; the attempt is told once")
    return gaps


QUESTION = Question(
    "new-credential-on-retry",
    "What failed with one credential and was tried again with another?",
    NewCredentialOnRetryParameters,
    Retries,
    new_credential_on_retry,
)
