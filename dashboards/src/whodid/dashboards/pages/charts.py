"""What the charts in the browser are drawn from."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whodid.store.questions.overview import Overview

_HOUR_S = 3600
MAX_POINTS = 1_000


def hourly(answer: Overview) -> dict[str, Any]:
    """Counts an hour: `x` in seconds since 1970, and a series each for what ran, failed and was held back.

    An hour in which nothing happened is a zero, not a line drawn through it.
    """
    sums: dict[int, list[int]] = {}
    for item in answer.items:
        if item.since is not None:
            second = int(datetime.datetime.fromisoformat(item.since).timestamp())
            kept = sums.setdefault(second, [0, 0, 0])
            for position, count in enumerate(
                (item.ran_count - item.error_count, item.error_count, item.blocked_count)
            ):
                kept[position] += count
    if not sums:
        return {"x": [], "series": []}
    last = max(sums) + _HOUR_S  # an hour before and one after, so that a single one has a place on the axis
    first = max(min(sums) - _HOUR_S, last - (MAX_POINTS - 1) * _HOUR_S)
    hours = range(first, last + 1, _HOUR_S)
    labels = ("succeeded", "failed", "held back")
    return {
        "x": list(hours),
        "series": [
            {"label": label, "values": [sums.get(hour, (0, 0, 0))[position] for hour in hours]}
            for position, label in enumerate(labels)
        ],
    }
