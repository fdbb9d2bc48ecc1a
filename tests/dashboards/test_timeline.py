"""A session's steps on a time axis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whodid.dashboards.pages.timeline import clock, silence_before, timeline
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions.replay import Step
from whodid.store.records import Answer

MISSING = Answer(value=None, evidence=EvidenceLevel.MISSING, spans=[])


def step(after_ms: float, duration_ms: float, operation: str | None = "execute_tool", **more: Any) -> Step:
    said: dict[str, Any] = dict.fromkeys(Step.model_fields) | {
        "at": "2026-11-25T10:00:00.000000Z",
        "after_ms": after_ms,
        "duration_ms": duration_ms,
        "name": "a step",
        "operation": operation,
        "service": "tests",
        "agent": MISSING,
        "principal": MISSING,
        "task": MISSING,
        "status": "UNSET",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "belongs_by": "session",
        "gaps": [],
    }
    return Step.model_validate({**said, **more})


def test_without_silence_the_axis_is_the_time() -> None:
    drawn = timeline([step(0, 1_000), step(500, 250), step(900, 100)])
    assert [(mark.x, mark.width) for mark in drawn.marks] == [(0, 100), (50, 25), (90, 10)]
    assert drawn.cuts == []


def test_a_long_silence_is_cut_and_told() -> None:
    drawn = timeline([step(0, 1_000), step(3_601_000, 1_000)])
    (cut,) = drawn.cuts
    assert cut.ms == 3_600_000
    first, second = drawn.marks
    assert first.width == pytest.approx(second.width)  # type: ignore[reportUnknownMemberType]
    assert first.x + first.width == pytest.approx(cut.x)  # type: ignore[reportUnknownMemberType]
    assert cut.x + cut.width == pytest.approx(second.x)  # type: ignore[reportUnknownMemberType]
    assert drawn.ticks == [(0, 0), (second.x, 3_601_000)]


def test_each_kind_has_a_line_of_its_own_and_no_other_is_drawn() -> None:
    drawn = timeline([step(0, 1, "resolve_approval"), step(1, 1, "execute_tool"), step(2, 1, "dreamt_up")])
    assert drawn.lanes == ["approval", "tool", "other"]
    assert [mark.lane for mark in drawn.marks] == [0, 1, 2]


def test_what_was_held_back_or_failed_is_marked() -> None:
    drawn = timeline([step(0, 1, enforcement="blocked"), step(1, 1, status="ERROR"), step(2, 1)])
    assert [mark.is_bad for mark in drawn.marks] == [True, True, False]


def test_nothing() -> None:
    assert timeline([]).marks == []


def test_silence_is_what_no_step_spans() -> None:
    steps = [step(0, 10_000), step(100, 100), step(9_000, 10), step(20_000, 1), step(20_100, 1)]
    assert [silence_before(steps, at) for at in range(5)] == [None, None, None, 10_000, None]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0:00.000"),
        (922, "0:00.922"),
        (181_200, "3:01.200"),
        (59_999.9, "0:59.999"),
        (7_500_000, "2:05:00"),
    ],
)
def test_the_clock(ms: float, text: str) -> None:
    assert clock(ms) == text


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e8)), min_size=1, max_size=60))
def test_nothing_leaves_the_axis_and_the_order_stays(times: list[tuple[float, float]]) -> None:
    drawn = timeline([step(begin, took) for begin, took in sorted(times)])
    assert all(mark.x >= 0 and mark.width > 0 and mark.x + mark.width <= 100.01 for mark in drawn.marks)
    places = [mark.x for mark in drawn.marks]
    assert places == sorted(places)
    assert sum(cut.width for cut in drawn.cuts) <= 31
