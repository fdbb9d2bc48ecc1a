"""A trace as rows with bars: which lines are shown, where each bar is, and where something is missing."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from whodid.store.records import TraceLine, TraceRecord

MAX_ROWS = 1_000
"""How many rows one page holds; the next ones are a link away."""
MAX_INDENT = 20
"""From this depth on rows are not set further in, and say how deep they are."""
WIDTH = 1_000
"""Of the picture of a bar, in units of its own."""
TICKS = 4

_LEAST = 3.0
_ACTS = frozenset(("execute_tool", "evaluate_policy", "resolve_approval"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a trace as it is shown."""

    line: TraceLine
    x: float
    width: float
    """Of its bar, in parts of WIDTH."""
    has_children: bool
    gap: str | None = None
    """The missing span that this row and perhaps the next ones are below, where they begin to be."""
    is_above: bool = False
    """It is told on an earlier page, and here only to say what these rows are below."""

    @property
    def indent(self) -> int:
        return min(self.line.depth, MAX_INDENT)

    @property
    def is_too_deep(self) -> bool:
        return self.line.depth > MAX_INDENT


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The rows of one page of a trace."""

    rows: list[Row]
    first: int
    """Which of all rows is the first one here, from 0."""
    total: int
    """How many rows there are on all pages."""
    span_count: int
    began_at: str
    duration_ms: float
    services: list[str]
    agents: list[str]
    principals: list[str]
    held_back: int
    failed: int
    orphans: int
    wrong: int
    """Spans of the trace that were held back, failed, lack their parent, have findings."""
    next_from: int | None
    ticks_ms: list[float] = field(default_factory=list[float])

    @property
    def last(self) -> int:
        return self.first + sum(not row.is_above for row in self.rows)


def waterfall(trace: TraceRecord, only_acts: bool, begin: int) -> Waterfall:
    """One page of the trace, from the row `begin` on.

    only_acts: decisions, approvals, actions and what is wrong, with what they are below, and nothing else.
    """
    lines = _acts(trace.lines) if only_acts else trace.lines
    begin = begin if 0 <= begin < len(lines) else 0
    page = lines[begin : begin + MAX_ROWS]
    began = min(_us(line) for line in trace.lines)
    whole = max(1.0, max(_us(line) + line.duration_ms * 1_000 for line in trace.lines) - began)
    parents = {line.parent_span_id for line in lines}

    def row(line: TraceLine, before: TraceLine | None = None, *, is_above: bool = False) -> Row:
        at = min((_us(line) - began) / whole * WIDTH, WIDTH - _LEAST)
        width = min(max(line.duration_ms * 1_000 / whole * WIDTH, _LEAST), WIDTH - at)
        is_gap = line.parent_missing and (before is None or not _are_orphans_together(before, line))
        gap = line.parent_span_id if is_gap and not is_above else None
        return Row(line, round(at, 2), round(width, 2), line.span_id in parents, gap, is_above)

    above = _above(lines, begin) if begin else []
    end = begin + len(page)
    return Waterfall(
        rows=[*(row(line, is_above=True) for line in above), *map(row, page, [None, *page])],
        first=begin,
        total=len(lines),
        span_count=len(trace.lines),
        began_at=min(line.started_at for line in trace.lines),
        duration_ms=whole / 1_000,
        services=_each(line.service for line in trace.lines),
        agents=_each(line.agent for line in trace.lines),
        principals=_each(line.principal for line in trace.lines),
        held_back=sum(line.enforcement == "blocked" for line in trace.lines),
        failed=sum(_has_failed(line) for line in trace.lines),
        orphans=sum(line.parent_missing for line in trace.lines),
        wrong=sum(line.findings > 0 for line in trace.lines),
        next_from=end if end < len(lines) else None,
        ticks_ms=[whole / 1_000 * tick / TICKS for tick in range(TICKS + 1)],
    )


def _acts(lines: Sequence[TraceLine]) -> list[TraceLine]:
    """What acts or is wrong, with everything that it is below."""
    wanted: set[int] = set()
    way: list[int] = []
    for at, line in enumerate(lines):
        del way[line.depth :]
        way.append(at)
        is_told = line.operation in _ACTS or line.findings or line.parent_missing or _has_failed(line)
        if is_told:
            wanted.update(way)
    return [line for at, line in enumerate(lines) if at in wanted]


def _above(lines: Sequence[TraceLine], begin: int) -> list[TraceLine]:
    """What the row `begin` is below, the outermost first."""
    found: list[TraceLine] = []
    depth = lines[begin].depth
    for line in reversed(lines[:begin]):
        if line.depth < depth:
            found.append(line)
            depth = line.depth
        if not depth:
            break
    return found[::-1]


def _are_orphans_together(before: TraceLine, line: TraceLine) -> bool:
    return before.parent_missing and before.parent_span_id == line.parent_span_id


def _has_failed(line: TraceLine) -> bool:
    return line.status == "ERROR" or line.error_type is not None


def _us(line: TraceLine) -> float:
    return datetime.datetime.fromisoformat(line.started_at).timestamp() * 1e6


def _each(texts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
