"""What answers that list many things have in common: the evidence for each, from the spans' parents."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from whodid.semconv.values import EvidenceLevel
from whodid.store.questions.spans import MAX_SPANS, NO_PARENT, Span, Spans, in_traces
from whodid.store.records import Answer

if TYPE_CHECKING:
    from whodid.store.reader import Reader

SKEW_NS = 1_000_000_000
"""Clocks of different processes that agree to within a second are taken to agree, as the validator does."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

LONGEST_WORK = datetime.timedelta(days=7)
"""How long before a span its parent is looked for: an older span is kept under the day of its arrival."""


def with_parents(reader: Reader, rows: Sequence[dict[str, Any]]) -> tuple[list[Span], Spans]:
    """Some spans, and the same with their parents, which tell whether what they say came with the context.

    `rows`: with `trace`, `span`, `parent` and `start_ns` beside the columns that are asked about.
    """
    wanted = [row for row in rows if row["parent"] != NO_PARENT]
    if not wanted:
        return among_parents(rows, [])
    times_ns = [int(row["start_ns"]) for row in wanted]
    traces, parents = {row["trace"] for row in wanted}, {row["parent"] for row in wanted}
    return among_parents(rows, parents_of(reader, traces, parents, min(times_ns), max(times_ns)))


def parents_of(
    reader: Reader, traces: Iterable[str], parents: Iterable[str], first_ns: int, last_ns: int
) -> list[dict[str, Any]]:
    """The spans with the ids `parents`, for spans of some traces that began between two times."""
    parameters = {
        **in_traces(reader, sorted(traces)),
        "parents": sorted(parents),
        "since": moment(first_ns) - LONGEST_WORK,
        "until": moment(last_ns + SKEW_NS),
        "limit": MAX_SPANS,
    }
    return reader.rows("parents", parameters)


def among_parents(
    rows: Sequence[dict[str, Any]], found: Iterable[dict[str, Any]]
) -> tuple[list[Span], Spans]:
    """The same with parents that have been read already."""
    listed = {(row["trace"], row["span"]) for row in rows}
    # A parent may be on the page itself, with fewer columns in this second reading of it.
    others = [row for row in found if (row["trace"], row["span"]) not in listed]
    return [Span(row) for row in rows], Spans([*_once(rows), *others])


def said(values: Iterable[str], spans: Iterable[str] = ()) -> Answer:
    """What spans that nothing confirms say of one thing: a value, or several where they disagree."""
    different = sorted(set(values))
    if not different:
        return Answer(value=None, evidence=EvidenceLevel.MISSING, spans=[])
    value = different[0] if len(different) == 1 else different
    return Answer(value=value, evidence=EvidenceLevel.SELF_ASSERTED, spans=list(spans))


def moment(time_ns: int) -> datetime.datetime:
    """A time in nanoseconds since 1970, as a query's parameter; cut to microseconds."""
    return _EPOCH + datetime.timedelta(microseconds=time_ns // 1_000)


def _once(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row["trace"], row["span"]) not in seen:
            seen.add((row["trace"], row["span"]))
            yield row
