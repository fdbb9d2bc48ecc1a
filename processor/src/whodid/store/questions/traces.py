"""The question *traces*: which traces are the newest, and what is in them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.store.questions.evidence import said
from whodid.store.questions.question import Listing, Period, Question
from whodid.store.questions.spans import NO_PARENT, in_traces, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_TRACES = 1_000
_SPANS_LOOKED_AT = 50
"""So many of the newest spans are looked at for each trace that is told: most traces have fewer."""
_BACK = (*(datetime.timedelta(hours=hours) for hours in (1, 4, 24, 168)), None)
_NS_PER_MS = 1_000_000


class TracesParameters(Period):
    """What `traces` is asked with."""

    limit: int = Field(default=20, ge=1, le=MAX_TRACES, description="How many traces are told at most.")
    protocol: bool = Field(
        default=False,
        description="Also traces of nothing but MCP's protocol, such as `initialize` and `tools/list`.",
    )


class Trace(Record):
    """One trace; what is counted is counted over all of it, also outside of the period."""

    trace_id: str
    started_at: str
    """RFC 3339, UTC: of its earliest span."""
    duration_ms: float
    """From the beginning of its earliest span to the end of its latest, by the clocks that they have."""
    first_span_id: str
    first_span_name: str
    """Of the span without a parent, or of the earliest where every one names a parent."""
    service: str
    agents: Answer
    principals: Answer
    span_count: int
    ran_count: int
    """Spans of actions that ran."""
    blocked_count: int
    error_count: int
    begins_elsewhere: bool
    """Every span that is here names a parent: how it began is not in the store."""


class Traces(Listing[Trace]):
    """The traces, the one with the newest span first."""


def traces(reader: Reader, parameters: TracesParameters) -> Traces:
    """The traces of the period with the newest spans.

    Raises QueryTooBroadError and StoreUnavailableError.
    """
    looked_at = parameters.limit * _SPANS_LOOKED_AT
    found = _newest(reader, parameters, looked_at)
    if not found:
        return Traces(items=[], gaps=[])
    asked = in_traces(reader, [row["trace"] for row in found])
    facts = {row["trace"]: row for row in reader.rows("traces_facts", asked)}
    known = [facts[row["trace"]] for row in found if row["trace"] in facts]
    shown = [row for row in known if parameters.protocol or not row["protocol_only"]]
    gaps = _gaps(found, len(shown) > parameters.limit, looked_at)
    if len(shown) < len(known):
        gaps.append("traces of nothing but MCP's protocol are left out: ask with protocol")
    return Traces(items=[_trace(row) for row in shown[: parameters.limit]], gaps=gaps)


def _newest(reader: Reader, parameters: TracesParameters, looked_at: int) -> list[dict[str, Any]]:
    """One row for each trace of the newest spans; of each kind one more than are told, if there are more.

    A period may hold any number of spans, and the newest are wanted: it is read from its end, further back
    only where there was not enough.
    """
    period = parameters.bounds()
    end = min(period["until"], datetime.datetime.now(datetime.UTC))
    for back in _BACK:
        since = max(period["since"], end - back) if back else period["since"]
        asked = {"since": since, "until": period["until"]}
        found = reader.rows("traces", {**asked, "span_limit": looked_at, "limit": parameters.limit + 1})
        shown = [row for row in found if parameters.protocol or not row["protocol_only"]]
        if len(shown) > parameters.limit or since == period["since"]:
            return found
        if found and found[0]["span_count"] == looked_at:
            return found
    return []


def _gaps(found: list[dict[str, Any]], has_more: bool, looked_at: int) -> list[str]:
    if has_more:
        return ["there are older ones: ask with until, or with a higher limit"]
    if found[0]["span_count"] == looked_at:
        # Long traces took up all that is looked at.
        return [f"only the newest {looked_at} spans were looked at: there may be older traces"]
    return []


def _trace(row: dict[str, Any]) -> Trace:
    return Trace(
        trace_id=row["trace"],
        started_at=rfc3339(row["start_ns"]),
        duration_ms=(row["end_ns"] - row["start_ns"]) / _NS_PER_MS,
        first_span_id=row["first_span"],
        first_span_name=row["first_name"],
        service=row["service"],
        agents=said(row["agents"]),
        principals=said(row["principals"]),
        span_count=row["span_count"],
        ran_count=row["ran_count"],
        blocked_count=row["blocked_count"],
        error_count=row["error_count"],
        begins_elsewhere=row["first_parent"] != NO_PARENT,
    )


QUESTION = Question("traces", "Which traces are the newest?", TracesParameters, Traces, traces)
