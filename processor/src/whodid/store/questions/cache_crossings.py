"""The question *cache-crossings*: results from a cache that were made for somebody else."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import paging
from whodid.store.questions.evidence import SKEW_NS, said, with_parents
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class Crossing(StrEnum):
    """By what the reader differs from whom the result was made for."""

    PRINCIPAL = "principal"
    INITIATOR = "initiator"
    """The principals are not both known, and those who started it differ."""
    UNKNOWN = "unknown"
    """Nobody can say for whom it was made, or who read it."""


class CacheCrossingsParameters(Paged):
    """What `cache-crossings` is asked with."""

    kinds: tuple[Crossing, ...] = Field(
        default=(Crossing.PRINCIPAL, Crossing.INITIATOR),
        min_length=1,
        description="What is listed: results made for another principal, started by another, or of which "
        "nobody can say.",
    )
    agent: str = Field(
        default="", max_length=MAX_ID_CHARACTERS, description="Only where this agent read or made the result."
    )
    tool: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only results of this tool.")
    principal: str = Field(
        default="", max_length=MAX_ID_CHARACTERS, description="Only where this principal is one of the two."
    )


class CacheCrossing(Record):
    """An action that was given a result made for somebody else."""

    at: str
    """RFC 3339, UTC."""
    kind: Crossing
    source: str
    tool: str | None
    resource: str | None
    agent: Answer
    """Who read it, for whom, started by whom, for which task."""
    principal: Answer
    initiator: Answer
    task: Answer
    made_at: str | None
    made_by: Answer
    """The agent that made the result, for whom, started by whom, for which task; by its own span."""
    made_for: Answer
    made_for_initiator: Answer
    made_for_task: Answer
    origin_trace_id: str | None
    origin_span_id: str | None
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    gaps: list[str]


class CacheCrossings(Listing[CacheCrossing]):
    """The crossings of a time, oldest first; what is counted is counted over all pages."""

    read_count: int
    """How many actions were given a result from a cache."""
    counts: dict[str, int]
    """How many of them are of each kind, asked for or not."""


def cache_crossings(reader: Reader, parameters: CacheCrossingsParameters) -> CacheCrossings:
    """The actions of the period whose result was made for somebody else.

    Raises CursorError.
    """
    page = paging.read(
        reader,
        "cache_crossings",
        parameters,
        {
            **parameters.bounds(),
            "kinds": list(parameters.kinds),
            "agent": parameters.agent,
            "tool": parameters.tool,
            "principal": parameters.principal,
        },
    )
    spans, family = with_parents(reader, page.rows)
    first = page.totals
    counts = {kind.value: first.get(f"{kind}_count", 0) for kind in Crossing}
    gaps: list[str] = []
    if counts["unknown"] and Crossing.UNKNOWN not in parameters.kinds:
        gaps.append(f"of {counts['unknown']} cached result(s) nobody can say for whom they were made or read")
    return CacheCrossings(
        items=[_item(span, family) for span in spans],
        next_cursor=page.next_cursor,
        gaps=gaps,
        read_count=first.get("read_count", 0),
        counts=counts,
    )


def _item(span: Span, family: Spans) -> CacheCrossing:
    row = span.row
    known = bool(row["made_ns"])
    origin = [row["origin_span"]] if known else []
    return CacheCrossing(
        at=rfc3339(row["start_ns"]),
        kind=Crossing(row["kind"]),
        source=row["source"],
        tool=row["tool"] or None,
        resource=row["resource"] or None,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        initiator=family.answer(span, attr.ATTRIBUTION_INITIATOR_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        made_at=rfc3339(row["made_ns"]) if known else None,
        made_by=_made(row["made_agent"], origin),
        made_for=_made(row["made_principal"], origin),
        made_for_initiator=_for_initiator(row, origin),
        made_for_task=_made(row["made_task"], origin),
        origin_trace_id=row["origin_trace"] or None,
        origin_span_id=row["origin_span"] or None,
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: (id_ != span.id, id_)),
        gaps=_gaps(row),
    )


def _made(value: str, spans: list[str]) -> Answer:
    return said([value] if value else [], spans)


def _for_initiator(row: dict[str, Any], origin: list[str]) -> Answer:
    """Who started what made the result: by its own span, and else by what its reader says."""
    maker, reader = row["made_initiator"], row["origin_initiator"]
    if maker and maker == reader:
        # Two spans of different traces say the same, but neither got it from the other's parent.
        return Answer(value=maker, evidence=EvidenceLevel.SELF_ASSERTED, spans=[*origin, row["span"]])
    return _made(maker, origin) if maker else _made(reader, [row["span"]])


def _gaps(row: dict[str, Any]) -> list[str]:
    claimed, maker = row["origin_initiator"], row["made_initiator"]
    found = {
        "the reader does not say on whose behalf it reads": not row["attribution_principal_id"],
        f"the reader says that {claimed} started what made the result, its own span says {maker}": (
            maker and claimed not in ("", maker)
        ),
        "what is named as its origin had the result from a cache itself": row["made_source"]
        in ("cache", "replay"),
        "the result was made after it was read: the clocks disagree, or the origin is made up": (
            row["made_ns"] > row["start_ns"] + SKEW_NS
        ),
        f"the origin is an action with another tool, {row['made_tool']}": (
            row["made_tool"] and row["tool"] and row["made_tool"] != row["tool"]
        ),
        "the reader's spans name different principals": row["torn"],
        "the origin was sent again with different content, of which the first is told": row["made_differs"],
    }
    return [*_origin_gaps(row), *(gap for gap, is_so in found.items() if is_so)]


def _origin_gaps(row: dict[str, Any]) -> list[str]:
    if not row["origin_trace"] or not row["origin_span"]:
        return ["the reader does not name the action that made the result"]
    if not row["made_ns"]:
        return ["the action that made the result is not in the store"]
    if not row["made_principal"]:
        return ["the action that made the result does not say for whom"]
    return []


QUESTION = Question(
    "cache-crossings",
    "Who was given a cached result that was made for somebody else?",
    CacheCrossingsParameters,
    CacheCrossings,
    cache_crossings,
)
