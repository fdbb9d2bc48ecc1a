"""The question *first-seen*: agents, tools, credentials, principals and identities that are new in a time."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import cursor
from whodid.store.questions.evidence import moment, with_parents
from whodid.store.questions.question import Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

_HOUR = datetime.timedelta(hours=1)
_SECOND_NS = 1_000_000_000
_AFTER_ALL = (2**63 - 1, "", "")


class Kind(StrEnum):
    """What may be new."""

    AGENT = "agent"
    TOOL = "tool"
    CREDENTIAL = "credential"
    PRINCIPAL = "principal"
    IDENTITY = "identity"


_ATTRIBUTES = {
    Kind.AGENT: attr.GEN_AI_AGENT_NAME,
    Kind.CREDENTIAL: attr.ATTRIBUTION_CREDENTIAL_ID,
    Kind.PRINCIPAL: attr.ATTRIBUTION_PRINCIPAL_ID,
    Kind.IDENTITY: attr.ATTRIBUTION_AGENT_IDENTITY_ID,
}
_COUNTED = (Kind.AGENT, Kind.TOOL)
"""What the hourly counts keep apart."""


class FirstSeenParameters(Paged):
    """What `first-seen` is asked with."""

    kind: tuple[Kind, ...] = Field(
        default=tuple(Kind),
        min_length=1,
        description="What is looked for: agents and tools by their names, credentials by their ids, "
        "principals, the workload identities of agents.",
    )


class FirstSeenValue(Record):
    """Something that no span before the period names."""

    kind: Kind
    value: str
    first_at: str
    """RFC 3339, UTC."""
    evidence: EvidenceLevel
    """For the value, on the span that names it first."""
    agent: Answer
    """Of the first span, as what follows."""
    principal: Answer
    service: str | None
    span_count: int
    """How many spans of the period name it; of agents and tools only those that say an operation."""
    trace_id: str
    span_id: str
    gaps: list[str]


class FirstSeen(Listing[FirstSeenValue]):
    """What is new, the latest first."""

    stored_since: str | None
    """The first hour of which there are counts: before it nothing can be known. RFC 3339, UTC."""


def first_seen(reader: Reader, parameters: FirstSeenParameters) -> FirstSeen:
    """The values whose first span in the store is in the period.

    Raises CursorError.
    """
    begin: tuple[Any, ...] = _AFTER_ALL
    if parameters.cursor:
        begin = cursor.decode(parameters.cursor, (int, str, str))
    rows: list[dict[str, Any]] = []
    oldest_s = None
    for kind in dict.fromkeys(parameters.kind):
        # At one time values go by their kinds, backwards: another kind than the mark's is left whole, or not.
        before = (begin[0], begin[2]) if kind == begin[1] else (begin[0] + (kind < begin[1]), "")
        if kind in _COUNTED:
            found, oldest_s = _counted(reader, kind, parameters, before)
        else:
            found = _named(reader, kind, parameters, before)
        rows += [row | {"kind": kind} for row in found]
    rows.sort(key=_key, reverse=True)
    page = rows[: parameters.limit]
    spans, family = with_parents(reader, page)
    return FirstSeen(
        items=[_item(span, family) for span in spans],
        next_cursor=cursor.encode(*_key(page[-1])) if len(rows) > parameters.limit else None,
        gaps=_gaps(parameters, oldest_s),
        stored_since=None if oldest_s is None else rfc3339(oldest_s * _SECOND_NS),
    )


def _key(row: dict[str, Any]) -> tuple[int, str, str]:
    return row["start_ns"], str(row["kind"]), row["value"]


def _named(
    reader: Reader, kind: Kind, parameters: FirstSeenParameters, before: tuple[int, str]
) -> list[dict[str, Any]]:
    asked = {"kind": kind.value, "before_ns": before[0], "before_value": before[1]}
    return reader.rows("first_seen_named", {**parameters.bounds(), **asked, "limit": parameters.limit + 1})


def _counted(
    reader: Reader, kind: Kind, parameters: FirstSeenParameters, before: tuple[int, str]
) -> tuple[list[dict[str, Any]], int | None]:
    """Those of an hourly count, each with its first span, and the first hour of all."""
    bounds = parameters.bounds()
    since, until = bounds["since"], bounds["until"]
    hour = since - (since - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) % _HOUR
    # What begins in the mark's hour may be before it or behind it.
    top = min(until, moment(before[0]) + _HOUR) if before[0] < _AFTER_ALL[0] else until
    asked = {"kind": kind.value, "since_hour": hour, "until": top, "limit": parameters.limit + 1}
    taken: list[dict[str, Any]] = []
    oldest_s = None
    while True:
        counted = reader.rows("first_seen_counted", asked)
        if not counted:
            return taken, oldest_s
        oldest_s = oldest_s if oldest_s is not None else counted[0]["oldest_s"]
        taken += [
            row
            for row in _at(reader, kind, counted)
            if _ns(since) <= row["start_ns"] < _ns(until) and (row["start_ns"], row["value"]) < before
        ]
        last_hour = moment(counted[-1]["hour_s"] * _SECOND_NS)
        if len(taken) > parameters.limit or len(counted) <= parameters.limit:
            return taken, oldest_s
        asked["until"] = last_hour


def _at(reader: Reader, kind: Kind, counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    hours = sorted({row["hour_s"] for row in counted})
    asked = {
        "kind": kind.value,
        "values": [row["value"] for row in counted],
        "hours": hours,
        "from": moment(hours[0] * _SECOND_NS),
        "to": moment(hours[-1] * _SECOND_NS) + _HOUR,
    }
    counts = {row["value"]: row["span_count"] for row in counted}
    return [row | {"span_count": counts[row["value"]]} for row in reader.rows("first_seen_at", asked)]


def _ns(at: datetime.datetime) -> int:
    return (
        (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))
        // datetime.timedelta(microseconds=1)
        * 1_000
    )


def _item(span: Span, family: Spans) -> FirstSeenValue:
    row = span.row
    attribute = _ATTRIBUTES.get(row["kind"])
    evidence = family.answer(span, attribute).evidence if attribute else EvidenceLevel.SELF_ASSERTED
    missing = span.parent_id is not None and family.parent(span) is None
    return FirstSeenValue(
        kind=row["kind"],
        value=row["value"],
        first_at=span.started_at,
        evidence=evidence,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        service=row["service_name"] or None,
        span_count=row["span_count"],
        trace_id=span.trace_id,
        span_id=span.id,
        gaps=[f"span {span.id} has a parent, {span.parent_id}, that is not in the store"] if missing else [],
    )


def _gaps(parameters: FirstSeenParameters, oldest_s: int | None) -> list[str]:
    if parameters.since is None:
        return ["without since everything that is stored was seen first in it"]
    if oldest_s is not None and _ns(parameters.since) <= (oldest_s + 3_600) * _SECOND_NS:
        return ["nothing before the period is in the store, so all that it has was seen first in it"]
    return []


QUESTION = Question(
    "first-seen",
    "Which agents, tools, credentials, principals and identities are new?",
    FirstSeenParameters,
    FirstSeen,
    first_seen,
)
