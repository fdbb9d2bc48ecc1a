"""The question *confused-deputy*: what was done with another authority than the one that it comes from."""

from __future__ import annotations

from enum import StrEnum
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


class Confusion(StrEnum):
    """Between whose authority and whose."""

    INITIATOR = "initiator"
    """A human started it, and another human's authority is exercised."""
    PRINCIPAL_CHANGED = "principal_changed"
    """The trace, or the task, began with another principal's authority."""
    DECISION = "decision"
    """The policies were asked about another principal."""
    CREDENTIAL = "credential"
    """The credential was issued for a task of another principal."""
    SHARED_CREDENTIAL = "shared_credential"
    """The credential is used for several principals: it is the agent's own authority."""


class ConfusedDeputyParameters(Paged):
    """What `confused-deputy` is asked with."""

    kinds: tuple[Confusion, ...] = Field(
        default=(Confusion.INITIATOR, Confusion.PRINCIPAL_CHANGED, Confusion.DECISION, Confusion.CREDENTIAL),
        min_length=1,
        description="Which differences are looked for. `shared_credential` lists every action with a "
        "credential that serves several principals: how most services work, and where a deputy is confused.",
    )
    agent: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only what this agent did.")
    principal: str = Field(
        default="",
        max_length=MAX_ID_CHARACTERS,
        description="Only where this principal is one of the two.",
    )


class ConfusedAction(Record):
    """An action, and the authority that it comes from."""

    at: str
    """RFC 3339, UTC."""
    kind: Confusion
    agent: Answer
    principal: Answer
    """Whose authority is exercised."""
    other: Answer
    """Whose authority it comes from: who started it, was asked about, or had the credential issued."""
    outcome: str
    """`ran`, `denied`, or `not_recorded` where it was allowed and no span shows that it ran."""
    tool: str | None
    resource: str | None
    effect: str | None
    task: Answer
    credential_id: str | None
    services: list[str]
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    words: str
    gaps: list[str]


class ConfusedActions(Listing[ConfusedAction]):
    """The actions of a time with another authority than the one that they come from, oldest first."""


def confused_deputy(reader: Reader, parameters: ConfusedDeputyParameters) -> ConfusedActions:
    """The actions of the period for which the authorities differ; an action once for each kind.

    Raises CursorError.
    """
    page = paging.read(
        reader,
        "confused_deputy",
        parameters,
        {
            **parameters.bounds(),
            "kinds": list(parameters.kinds),
            "agent": parameters.agent,
            "principal": parameters.principal,
        },
        key=lambda row: f"{row['key']} {row['kind']}",
    )
    spans, family = with_parents(reader, page.rows)
    return ConfusedActions(
        items=[_item(span, family) for span in spans],
        next_cursor=page.next_cursor,
    )


def _item(span: Span, family: Spans) -> ConfusedAction:
    row = span.row
    kind = Confusion(row["kind"])
    outcome = "ran" if row["did_run"] else "denied" if row["was_blocked"] else "not_recorded"
    return ConfusedAction(
        at=rfc3339(row["start_ns"]),
        kind=kind,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        other=_other(span, family, kind),
        outcome=outcome,
        tool=row["tool"] or None,
        resource=row["resource"] or None,
        effect=row["effect"] or None,
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        credential_id=row["attribution_credential_id"] or None,
        services=row["services"],
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: (id_ != span.id, id_)),
        words=_words(kind, span),
        gaps=_gaps(kind, span, family),
    )


def _other(span: Span, family: Spans, kind: Confusion) -> Answer:
    if kind is Confusion.INITIATOR:
        return family.answer(span, attr.ATTRIBUTION_INITIATOR_ID)
    return said(span.row["others"], sorted(span.row["other_spans"]) or [span.id])


def _words(kind: Confusion, span: Span) -> str:
    row = span.row
    principal, others = row["attribution_principal_id"], " and ".join(row["others"])
    if kind is Confusion.INITIATOR:
        return f"{others} started it, and the authority of {principal} is exercised"
    if kind is Confusion.PRINCIPAL_CHANGED:
        return f"it began with the authority of {others}, and this is done with that of {principal}"
    if kind is Confusion.DECISION:
        return f"the policies were asked about {others}, and this is done for {principal}"
    if kind is Confusion.CREDENTIAL:
        return (
            f"the credential was issued for {row['issued_for']}, a task of {others}, and used for {principal}"
        )
    return f"the credential used for {principal} is used for {others} too"


def _gaps(kind: Confusion, span: Span, family: Spans) -> list[str]:
    gaps: list[str] = []
    if span.parent_id is not None and family.parent(span) is None:
        gaps.append(f"span {span.id} has a parent, {span.parent_id}, that is not in the store")
    if kind is not Confusion.SHARED_CREDENTIAL and len(span.row["others"]) > 1:
        gaps.append("spans disagree about whose authority it comes from")
    return gaps


QUESTION = Question(
    "confused-deputy",
    "What was done with another authority than the one that it comes from?",
    ConfusedDeputyParameters,
    ConfusedActions,
    confused_deputy,
)
