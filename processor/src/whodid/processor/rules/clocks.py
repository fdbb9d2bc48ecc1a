"""Times in attributes, and how far two clocks may disagree before a rule speaks of a contradiction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import pa
from whodid.processor.batch import Mask, Rows
from whodid.processor.rules.view import View

SKEW_US = 1_000_000
"""Clocks of different processes that agree to within a second are taken to agree. It also covers a time that
was cut to whole seconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Instants:
    """A time for some of the spans."""

    known: Mask
    times_us: npt.NDArray[np.int64]
    """Since 1970; without meaning where it is not known."""


def instants(view: View, name: str) -> Instants:
    """The times in an attribute. One that cannot be read is not known here: `invalid_format` tells of it."""
    encoded = view.encoded(name)
    if encoded is None:
        return Instants(np.zeros(view.row_count, dtype=np.bool_), np.zeros(view.row_count, dtype=np.int64))
    read = _read(encoded.values)
    # One more at the end, for the spans without a value: that is where -1 points to.
    known = np.append(np.asarray(read.is_valid()), False)
    times_us = np.append(np.asarray(read.fill_null(0)), 0)
    return Instants(known[encoded.codes], times_us[encoded.codes])


def _read(texts: Any) -> Any:
    """Texts as microseconds; null for what is no time."""
    try:
        return texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    except pa.ArrowInvalid:  # one of them is no time, or has more digits than Arrow reads
        return pa.array([_time_us(text) for text in cast(list[str], texts.to_pylist())], pa.int64())


def _time_us(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) if moment.tzinfo is not None else None


def before(view: View, early_ns: Any, late_ns: Any, early_rows: Rows, late_rows: Rows) -> Mask:
    """Where the first time is truly before the second. The rows tell whose clocks they are.

    Two spans of one process have one clock, and a nanosecond counts.
    """
    lag_ns = late_ns - early_ns
    sure = lag_ns > SKEW_US * 1_000
    for position in np.flatnonzero((lag_ns > 0) & ~sure):
        sure[position] = _same_process(view, int(early_rows[position]), int(late_rows[position]))
    return sure


def _same_process(view: View, one: int, other: int) -> bool:
    resources = view.batch.spans.column("resource_attributes")
    return bool(resources[one].as_py() == resources[other].as_py())
