"""Rows and bars of a trace."""

from __future__ import annotations

from typing import Any

from whodid.dashboards.pages.waterfall import MAX_INDENT, MAX_ROWS, WIDTH, waterfall
from whodid.store.records import TraceLine, TraceRecord


def line(number: int, depth: int = 0, parent: int | None = None, **more: Any) -> TraceLine:
    """A span that begins so many ms after the first one, and takes 10 ms."""
    said: dict[str, Any] = {
        "span_id": f"{number:016x}",
        "parent_span_id": None if parent is None else f"{parent:016x}",
        "depth": depth,
        "name": f"span {number}",
        "operation": "chat",
        "service": "tests",
        "agent": None,
        "principal": None,
        "chain": [],
        "action_id": None,
        "mode": None,
        "decision": None,
        "enforcement": None,
        "status": "UNSET",
        "error_type": None,
        "started_at": f"2026-11-25T10:00:{number // 1000:02}.{number % 1000:03}000Z",
        "duration_ms": 10.0,
        "parent_missing": False,
        "findings": 0,
    }
    return TraceLine.model_validate({**said, **more})


def trace(*lines: TraceLine) -> TraceRecord:
    return TraceRecord(trace_id="a" * 32, lines=list(lines), truncated=False)


def test_bars_are_where_the_spans_were() -> None:
    shown = waterfall(trace(line(0, duration_ms=100.0), line(50, 1, 0), line(90, 1, 0)), False, 0)
    assert [(row.x, row.width) for row in shown.rows] == [(0, WIDTH), (500, 100), (900, 100)]
    assert shown.duration_ms == 100
    assert shown.ticks_ms == [0, 25, 50, 75, 100]


def test_a_span_without_a_duration_can_be_seen_and_none_sticks_out() -> None:
    shown = waterfall(trace(line(0, duration_ms=100.0), line(100, 1, 0, duration_ms=0.0)), False, 0)
    last = shown.rows[-1]
    assert last.width > 0
    assert last.x + last.width <= WIDTH


def test_a_single_span_that_took_no_time() -> None:
    (row,) = waterfall(trace(line(0, duration_ms=0.0)), False, 0).rows
    assert 0 <= row.x < row.x + row.width <= WIDTH


def test_rows_of_one_missing_parent_have_one_gap() -> None:
    orphan = {"parent_missing": True}
    shown = waterfall(
        trace(line(0), line(1, 0, 77, **orphan), line(2, 0, 77, **orphan), line(3, 0, 88, **orphan)), False, 0
    )
    assert [row.gap for row in shown.rows] == [None, f"{77:016x}", None, f"{88:016x}"]
    assert shown.orphans == 3


def test_what_neither_acts_nor_is_wrong_can_be_left_out() -> None:
    lines = [
        line(0, operation="invoke_agent"),
        line(1, 1, 0),
        line(2, 1, 0, operation="invoke_agent"),
        line(3, 2, 2, operation="execute_tool"),
        line(4, 1, 0, status="ERROR"),
        line(5, 1, 0, findings=1),
        line(6, 1, 0),
    ]
    shown = waterfall(trace(*lines), True, 0)
    assert [row.line.name for row in shown.rows] == ["span 0", "span 2", "span 3", "span 4", "span 5"]
    assert shown.span_count == 7  # what is said of the trace is said of all of it


def test_a_long_trace_is_told_in_pages_that_say_what_they_are_below() -> None:
    lines = [line(0), line(1, 1, 0), *(line(2 + number, 2, 1) for number in range(MAX_ROWS * 2))]
    first = waterfall(trace(*lines), False, 0)
    assert (first.first, first.last, first.total, first.next_from) == (0, MAX_ROWS, len(lines), MAX_ROWS)
    second = waterfall(trace(*lines), False, MAX_ROWS)
    assert [row.line.name for row in second.rows if row.is_above] == ["span 0", "span 1"]
    assert (second.first, second.last, second.next_from) == (MAX_ROWS, 2 * MAX_ROWS, 2 * MAX_ROWS)
    third = waterfall(trace(*lines), False, 2 * MAX_ROWS)
    assert (third.last, third.next_from) == (len(lines), None)


def test_beyond_the_end_is_the_beginning() -> None:
    assert waterfall(trace(line(0)), False, 5).first == 0


def test_deep_rows_say_how_deep_they_are() -> None:
    row = waterfall(trace(line(0), line(1, MAX_INDENT + 30, 0)), False, 0).rows[1]
    assert (row.indent, row.is_too_deep) == (MAX_INDENT, True)
