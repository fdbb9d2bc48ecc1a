"""The question *autonomy*: what was approved, and what the agent then did by itself."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import paging
from whodid.store.questions.evidence import LONGEST_WORK, SKEW_NS, said, with_parents
from whodid.store.questions.id_times import EVERYWHERE, times_of
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class Basis(StrEnum):
    """On what an action was done, by what the spans show and not by the mode that it claims."""

    APPROVED = "approved"
    """A granted approval, in time, names exactly these arguments."""
    CLAIMED = "claimed"
    """It says that it was approved, or names an approval, and no approval shows that."""
    AFTER_APPROVAL = "after_approval"
    """Something else had been approved in its task before."""
    ALONE = "alone"
    """Nothing had been approved in its task."""
    HUMAN_INITIATED = "human_initiated"
    """It says that a human took this very action."""


class AutonomyParameters(Paged):
    """What `autonomy` is asked with."""

    task: str = Field(
        default="", max_length=MAX_ID_CHARACTERS, description="Only what was done in this task."
    )
    agent: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only what this agent did.")
    principal: str = Field(
        default="",
        max_length=MAX_ID_CHARACTERS,
        description="Only what was done on behalf of this principal.",
    )
    basis: tuple[Basis, ...] = Field(
        default=tuple(Basis),
        min_length=1,
        description="Only what was done on this basis; the counts stay those of all actions.",
    )


class Approved(Record):
    """An approval, as the span that resolved it tells of it."""

    id: str | None
    status: str | None
    approver: Answer
    tool: str | None
    at: str
    """RFC 3339, UTC."""
    span_id: str


class AutonomousAction(Record):
    """One action that ran."""

    at: str
    """RFC 3339, UTC."""
    basis: Basis
    mode: Answer
    """What it says of itself."""
    tool: str | None
    resource: str | None
    effect: str | None
    agent: Answer
    principal: Answer
    task: Answer
    outcome: str
    """`succeeded` or `failed`."""
    approval_id: str | None
    approval: Approved | None
    """The approval that it names, if it is in the store."""
    after: Approved | None
    """The first approval that was granted in its task before it, if it has none of its own."""
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    gaps: list[str]


class Autonomy(Listing[AutonomousAction]):
    """What ran, oldest first; what is counted is counted over all pages."""

    action_count: int
    counts: dict[str, int]
    """How many actions were done on which basis."""


def autonomy(reader: Reader, parameters: AutonomyParameters) -> Autonomy:
    """The actions that ran, each with its basis.

    Raises CursorError.
    """
    bounds = parameters.bounds()
    tasks = [(attr.ATTRIBUTION_TASK_ID, parameters.task)]
    times = times_of(reader, tasks, bounds) if parameters.task else EVERYWHERE
    principals = [(attr.ATTRIBUTION_PRINCIPAL_ID, parameters.principal)]
    of_principal = times_of(reader, principals, bounds) if parameters.principal else EVERYWHERE
    page = paging.read(
        reader,
        "autonomy",
        parameters,
        {
            **bounds,
            "earliest": bounds["since"] - LONGEST_WORK if parameters.since else bounds["since"],
            "task": parameters.task,
            **times,
            **{f"principal_{name}": value for name, value in of_principal.items()},
            "agent": parameters.agent,
            "principal": parameters.principal,
            "basis": list(parameters.basis),
            "skew_ns": SKEW_NS,
        },
    )
    spans, family = with_parents(reader, page.rows)
    first = page.totals
    return Autonomy(
        items=[_item(span, family) for span in spans],
        next_cursor=page.next_cursor,
        action_count=first.get("action_count", 0),
        counts={basis.value: first.get(f"{basis}_count", 0) for basis in Basis},
    )


def _item(span: Span, family: Spans) -> AutonomousAction:
    row = span.row
    basis = Basis(row["basis"])
    return AutonomousAction(
        at=rfc3339(row["start_ns"]),
        basis=basis,
        mode=_mode(span, family),
        tool=row["tool"] or None,
        resource=row["resource"] or None,
        effect=row["effect"] or None,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        outcome="failed" if row["failed"] else "succeeded",
        approval_id=row["approval"] or None,
        approval=_approval(row) if row["decided_ns"] else None,
        after=_first(row) if basis is Basis.AFTER_APPROVAL else None,
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: (id_ != span.id, id_)),
        gaps=[*_approval_gaps(row, basis), *_mode_gaps(row, basis)],
    )


def _mode(span: Span, family: Spans) -> Answer:
    modes = span.row["modes"]
    return said(modes, [span.id]) if len(modes) > 1 else family.answer(span, attr.ATTRIBUTION_ACTION_MODE)


def _approval(row: dict[str, Any]) -> Approved:
    return Approved(
        id=row["approval"],
        status=row["status"] or None,
        approver=_approver(row["approver"], row["approval_span"]),
        tool=row["approved_tool"] or None,
        at=rfc3339(row["decided_ns"]),
        span_id=row["approval_span"],
    )


def _first(row: dict[str, Any]) -> Approved:
    return Approved(
        id=row["first_id"] or None,
        status="granted",
        approver=_approver(row["first_approver"], row["first_span"]),
        tool=row["first_tool"] or None,
        at=rfc3339(row["first_ns"]),
        span_id=row["first_span"],
    )


def _approver(approver: str, span: str) -> Answer:
    evidence = EvidenceLevel.SELF_ASSERTED if approver else EvidenceLevel.MISSING
    return Answer(value=approver or None, evidence=evidence, spans=[span] if approver else [])


def _approval_gaps(row: dict[str, Any], basis: Basis) -> list[str]:
    if basis not in (Basis.APPROVED, Basis.CLAIMED):
        return []
    if not row["approval"]:
        return ["it says that it was approved and names no approval"]
    if not row["decided_ns"]:
        return ["the approval that it names is not in the store"]
    granted = row["status"] == "granted"
    known = row["approved_hash"] and row["arguments"]
    found = {
        f"the approval is {row['status'] or 'of no status'}, not granted": not granted,
        "whether the approval is for these arguments is not recorded": not known,
        "the approval is for other arguments": known and row["approved_hash"] != row["arguments"],
        "it ran before it was approved": granted and row["late"],
        "it ran after the approval had expired": row["expired"],
        f"the approval is named by {row['uses']} actions": row["uses"] > 1,
        "the approval was answered in different ways": len(set(row["answers"]) - {"requested"}) > 1,
        "who approved is not recorded": granted and not row["approver"],
    }
    return [gap for gap, is_so in found.items() if is_so]


_MODES = {
    Basis.APPROVED: ("human_approved",),
    Basis.AFTER_APPROVAL: ("autonomous_after_approval",),
    Basis.ALONE: ("autonomous",),
}


def _mode_gaps(row: dict[str, Any], basis: Basis) -> list[str]:
    modes = row["modes"]
    if not modes:
        return ["it does not say how much a human had to do with it"]
    gaps: list[str] = []
    if len(modes) > 1:
        gaps.append(f"its spans say different modes: {', '.join(sorted(modes))}")
    elif basis in _MODES and modes[0] not in _MODES[basis]:
        gaps.append(f"it says {modes[0]}, and its spans show {basis}")
    if not row["attribution_task_id"] and basis is Basis.ALONE:
        gaps.append("it names no task, so what was approved before it cannot be known")
    return gaps


QUESTION = Question(
    "autonomy",
    "What was approved, and what did the agent then do by itself?",
    AutonomyParameters,
    Autonomy,
    autonomy,
)
