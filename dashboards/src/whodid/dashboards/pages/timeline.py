"""A session's steps on a time axis, on which long silences are cut short and say so."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whodid.store.questions.replay import Step

LANES = {
    "approval": ("resolve_approval",),
    "policy": ("evaluate_policy",),
    "agent": ("invoke_agent", "invoke_workflow", "create_agent"),
    "model": ("chat", "generate_content", "text_completion", "embeddings"),
    "tool": ("execute_tool", "retrieval", "tools/call"),
}
"""What is drawn on which line of the picture, from the top; everything else is on the last one."""
OTHER = "other"
LANE_HEIGHT = 20

SILENCE_MS = 1_000.0
"""Nothing shorter is cut."""
SILENCE_PART = 0.15
"""Nor what is a smaller part of the time in which something happened."""

_CUTS_PERCENT = 30.0
"""How much of the axis all silences take at the most."""
_CUT_PERCENT = 4.0
_LEAST_PERCENT = 0.35
_LEAST_MS = 0.001


@dataclass(frozen=True, slots=True)
class Mark:
    """A step in the picture; lengths along the axis are in percent of it."""

    step: Step
    lane: int
    kind: str
    x: float
    width: float
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """A silence on the axis."""

    x: float
    width: float
    ms: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture of one page of a session."""

    marks: list[Mark]
    cuts: list[Cut]
    lanes: list[str]
    ticks: list[tuple[float, float]]
    """Where on the axis it is how many ms after the session began."""

    @property
    def height(self) -> int:
        return len(self.lanes) * LANE_HEIGHT


@dataclass(frozen=True, slots=True)
class _Stretch:
    begin_ms: float
    end_ms: float


def timeline(steps: Sequence[Step]) -> Timeline:
    """The picture of these steps, which are in the order of their start."""
    if not steps:
        return Timeline([], [], [], [])
    axis = _Axis(_stretches(steps))
    lanes = [name for name in (*LANES, OTHER) if any(_lane(step) == name for step in steps)]
    marks = [_mark(step, lanes, axis) for step in steps]
    return Timeline(marks, axis.cuts, lanes, axis.ticks)


def clock(ms: float) -> str:
    """So long after the beginning, as a clock shows it: `0:00.922`, `3:01.200`, `2:05:00`."""
    minutes, seconds = divmod(ms / 1_000, 60)
    if minutes < 60:
        return f"{minutes:.0f}:{min(seconds, 59.999):06.3f}"
    return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{int(seconds):02}"


def silence_before(steps: Sequence[Step], at: int) -> float | None:
    """How long nothing was going on before a step, in ms, if that was long."""
    if not at:
        return None
    over = max(step.after_ms + step.duration_ms for step in steps[max(0, at - 50) : at])
    silent = steps[at].after_ms - over
    return silent if silent >= SILENCE_MS else None


def _stretches(steps: Sequence[Step]) -> list[_Stretch]:
    """When something was going on, without overlaps."""
    found: list[_Stretch] = []
    for step in steps:
        end = step.after_ms + step.duration_ms
        if found and step.after_ms <= found[-1].end_ms:
            found[-1] = _Stretch(found[-1].begin_ms, max(found[-1].end_ms, end))
        else:
            found.append(_Stretch(step.after_ms, end))
    return found


class _Axis:
    """From ms after the session's beginning to percent of the axis."""

    def __init__(self, busy: list[_Stretch]) -> None:
        working_ms = sum(each.end_ms - each.begin_ms for each in busy)
        least_ms = max(SILENCE_MS, SILENCE_PART * working_ms)
        joined = [busy[0]]
        for each in busy[1:]:
            if each.begin_ms - joined[-1].end_ms >= least_ms:
                joined.append(each)
            else:
                joined[-1] = _Stretch(joined[-1].begin_ms, each.end_ms)
        self._stretches = joined
        count = len(joined) - 1
        self._cut = min(_CUT_PERCENT, _CUTS_PERCENT / count) if count else 0.0
        shown_ms = max(_LEAST_MS, sum(each.end_ms - each.begin_ms for each in joined))
        self._per_ms = (100.0 - count * self._cut) / shown_ms
        self._begins: list[float] = []
        at = 0.0
        for each in joined:
            self._begins.append(at)
            at += (each.end_ms - each.begin_ms) * self._per_ms + self._cut
        self.cuts = [
            Cut(
                round(self._begins[number] - self._cut, 3),
                round(self._cut, 3),
                later.begin_ms - before.end_ms,
            )
            for number, (before, later) in enumerate(itertools.pairwise(joined), start=1)
        ]
        self.ticks = _apart([(round(self.at(each.begin_ms), 3), each.begin_ms) for each in joined])

    def at(self, ms: float) -> float:
        for begin, stretch in zip(reversed(self._begins), reversed(self._stretches), strict=True):
            if ms >= stretch.begin_ms:
                return begin + (min(ms, stretch.end_ms) - stretch.begin_ms) * self._per_ms
        return 0.0


def _apart(ticks: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that do not stand on each other."""
    kept: list[tuple[float, float]] = []
    for tick in ticks:
        if tick[0] <= 92 and (not kept or tick[0] - kept[-1][0] >= 14):
            kept.append(tick)
    return kept


def _lane(step: Step) -> str:
    return next((name for name, operations in LANES.items() if step.operation in operations), OTHER)


def _mark(step: Step, lanes: list[str], axis: _Axis) -> Mark:
    x = min(axis.at(step.after_ms), 100.0 - _LEAST_PERCENT)
    width = max(axis.at(step.after_ms + step.duration_ms) - x, _LEAST_PERCENT)
    kind = _lane(step)
    is_bad = step.enforcement == "blocked" or step.status == "ERROR" or step.error_type is not None
    return Mark(step, lanes.index(kind), kind, round(x, 3), round(width, 3), is_bad)
