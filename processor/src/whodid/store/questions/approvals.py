"""The question *approvals*: who asked for what, who answered how, and what was done under it."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import paging
from whodid.store.questions.evidence import LONGEST_WORK, SKEW_NS, with_parents
from whodid.store.questions.id_times import EVERYWHERE, times_of
from whodid.store.questions.question import Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

SHOWN_USES = 20
"""How many actions under one approval are told."""

_MAX_VALUES = 100


class ApprovalState(StrEnum):
    """What became of a request for approval."""

    GRANTED = "granted"
    REFUSED = "refused"
    EXPIRED = "expired"
    PENDING = "pending"
    """It was asked for, and no answer is in the store."""


class ApprovalsParameters(Paged):
    """What `approvals` is asked with. Of one filter's values one is enough."""

    id: tuple[str, ...] = Field(
        default=(), max_length=_MAX_VALUES, description="Only this approval (attribution.approval.id)."
    )
    status: tuple[ApprovalState, ...] = Field(
        default=(), description="Only approvals of which this became; the counts stay those of all."
    )
    approver: tuple[str, ...] = Field(
        default=(), max_length=_MAX_VALUES, description="Only what this one answered."
    )
    agent: tuple[str, ...] = Field(
        default=(), max_length=_MAX_VALUES, description="Only what this agent wanted to do."
    )


class Use(Record):
    """An action that names the approval, and ran."""

    at: str
    """RFC 3339, UTC."""
    tool: str | None
    agent: str | None
    outcome: str
    """`succeeded` or `failed`."""
    covered: bool | None
    """Whether its arguments have the digest that was approved; None where one of them is missing."""
    in_time: bool | None
    """Whether it ran after the answer and before `not_after`; None where it was not granted."""
    action_id: str | None
    trace_id: str
    span_ids: list[str]


class Approval(Record):
    """One request for approval, and its answer."""

    approval_id: str | None
    status: str
    """A value of `ApprovalState`, or what its span says in its place."""
    requested_at: str | None
    """RFC 3339, UTC; None where no span and no event says it."""
    resolved_at: str | None
    not_after: str | None
    """As it was recorded."""
    agent: Answer
    """Who wanted it."""
    principal: Answer
    task: Answer
    approver: Answer
    tool: str | None
    resource: str | None
    tool_call_id: str | None
    arguments_hash: str | None
    """The digest of the arguments that were approved."""
    covers_action: bool | None
    """Whether all that ran under it had these arguments; None where nothing ran or it cannot be known."""
    use_count: int
    uses: list[Use]
    """What ran under it, oldest first; at most 20."""
    service: str | None
    trace_id: str
    span_ids: list[str]
    gaps: list[str]


class Approvals(Listing[Approval]):
    """Approvals, newest first; the counts are of all pages."""

    counts: dict[str, int]
    """How many of the approvals became what, whichever status was asked for."""


def approvals(reader: Reader, parameters: ApprovalsParameters) -> Approvals:
    """The approvals that were asked for or answered in the period.

    Raises CursorError.
    """
    bounds = parameters.bounds()
    named = [(attr.ATTRIBUTION_APPROVAL_ID, id_) for id_ in parameters.id]
    page = paging.read(
        reader,
        "approvals_listed",
        parameters,
        {
            **bounds,
            **(times_of(reader, named, bounds) if named else EVERYWHERE),
            "earliest": _earliest(bounds["since"], parameters),
            "id": list(parameters.id),
            "status": list(parameters.status),
            "approver": list(parameters.approver),
            "agent": list(parameters.agent),
        },
    )
    spans, family = with_parents(reader, page.rows)
    uses = _uses(reader, page.rows)
    counts = {state.value: page.totals.get(f"{state}_count", 0) for state in ApprovalState}
    return Approvals(
        items=[_item(span, family, uses.get(span.row["id"], [])) for span in spans],
        next_cursor=page.next_cursor,
        gaps=_gaps(page.totals),
        counts=counts,
    )


def _earliest(since: datetime.datetime, parameters: ApprovalsParameters) -> datetime.datetime:
    """An answer in the period may be to a request before it."""
    return since - LONGEST_WORK if parameters.since else since


def _uses(reader: Reader, rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    ids = sorted({row["id"] for row in rows} - {""})
    found: dict[str, list[dict[str, Any]]] = {}
    if ids:
        earliest = datetime.datetime.fromtimestamp(
            min(row["start_ns"] for row in rows) // 10**9, datetime.UTC
        )
        asked = {
            **times_of(reader, [(attr.ATTRIBUTION_APPROVAL_ID, id_) for id_ in ids]),
            "approvals": ids,
            # It may name an approval that it did not wait for.
            "earliest": earliest - LONGEST_WORK,
            "shown": SHOWN_USES,
        }
        for row in reader.rows("approvals_uses", asked):
            found.setdefault(row["approval"], []).append(row)
    return found


def _item(span: Span, family: Spans, uses: list[dict[str, Any]]) -> Approval:
    row = span.row
    told = [_use(row, use) for use in uses]
    return Approval(
        approval_id=row["id"] or None,
        status=row["status"],
        requested_at=rfc3339(row["requested_ns"]) if row["requested_ns"] else None,
        resolved_at=rfc3339(row["resolved_ns"]) if row["answered"] else None,
        not_after=row["not_after"] or None,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        approver=_approver(row, span.id),
        tool=row["tool"] or None,
        resource=row["resource"] or None,
        tool_call_id=row["call_id"] or None,
        arguments_hash=row["approved_hash"] or None,
        covers_action=_all([use.covered for use in told]),
        use_count=uses[0]["use_count"] if uses else 0,
        uses=told,
        service=row["service_name"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: (id_ != span.id, id_)),
        gaps=[*_approval_gaps(row), *_use_gaps(row, told, uses[0]["use_count"] if uses else 0)],
    )


def _use(row: dict[str, Any], use: dict[str, Any]) -> Use:
    approved, done = row["approved_hash"], use["arguments"]
    return Use(
        at=rfc3339(use["start_ns"]),
        tool=use["tool"] or None,
        agent=use["agent"] or None,
        outcome="failed" if use["failed"] else "succeeded",
        covered=approved == done if approved and done else None,
        in_time=_in_time(row, use["start_ns"]) if row["status"] == ApprovalState.GRANTED else None,
        action_id=use["action"] or None,
        trace_id=use["trace"],
        span_ids=sorted(use["spans"]),
    )


def _in_time(row: dict[str, Any], at_ns: int) -> bool:
    not_after_ns = _parsed_ns(row["not_after"])
    after = at_ns >= row["resolved_ns"] - SKEW_NS
    return after and (not_after_ns is None or at_ns <= not_after_ns + SKEW_NS)


def _parsed_ns(text: str) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.timestamp() * 1_000_000) * 1_000 if moment.tzinfo else None


def _approver(row: dict[str, Any], span: str) -> Answer:
    approver: str = row["approver"]
    evidence = EvidenceLevel.SELF_ASSERTED if approver else EvidenceLevel.MISSING
    return Answer(value=approver or None, evidence=evidence, spans=[span] if approver else [])


def _all(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return True if values and None not in values else None


def _approval_gaps(row: dict[str, Any]) -> list[str]:
    found = {
        "nobody has answered it": not row["answered"],
        "it has no id, so what ran under it cannot be known": not row["id"],
        "when it was asked for is not recorded": not row["requested_ns"],
        "who answered is not recorded": row["answered"] and not row["approver"],
        "the digest of what was approved is not recorded": row["answered"] and not row["approved_hash"],
        f"it was answered in different ways: {', '.join(sorted(row['statuses']))}": len(row["statuses"]) > 1,
        f"several have answered it: {', '.join(sorted(row['approvers']))}": len(row["approvers"]) > 1,
        f"{row['not_after']!r} is no time": bool(row["not_after"]) and _parsed_ns(row["not_after"]) is None,
    }
    return [gap for gap, is_so in found.items() if is_so]


def _use_gaps(row: dict[str, Any], uses: list[Use], use_count: int) -> list[str]:
    found = {
        f"{use_count} actions name it": use_count > 1,
        f"an action ran under it although it is {row['status']}": uses
        and row["status"] != ApprovalState.GRANTED,
        "an action under it had other arguments": any(use.covered is False for use in uses),
        "an action under it ran before it was granted, or after it had expired": any(
            use.in_time is False for use in uses
        ),
        f"of the actions under it {len(uses)} are told": use_count > len(uses),
    }
    return [gap for gap, is_so in found.items() if is_so]


def _gaps(totals: dict[str, Any]) -> list[str]:
    other = totals.get("other_count", 0)
    return [f"{other} of them say a status that nobody defined"] if other else []


QUESTION = Question(
    "approvals",
    "What was to be approved, who answered, and what was done under it?",
    ApprovalsParameters,
    Approvals,
    approvals,
)
