"""Reads the times in attributes: RFC 3339 in UTC, as the conventions prescribe them, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import Array, pa, pc
from whodid.processor.batch import Mask
from whodid.semconv import formats
from whodid.semconv.definitions import Format

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERN = f"^{formats.PATTERNS[Format.RFC3339]}$"


@dataclass(frozen=True, slots=True)
class Instants:
    """A time for some of the spans."""

    known: Mask
    times_us: npt.NDArray[np.int64]
    """Since 1970; without meaning where it is not known."""


def read(texts: Any) -> Array:
    """Texts as microseconds since 1970; null for what is no time."""
    if pc.all(pc.match_substring_regex(texts, _PATTERN)).as_py():
        try:
            return texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        except pa.ArrowInvalid:
            pass  # one of them is in no calendar, or has more digits than Arrow reads
    return pa.array([_time_us(text) for text in cast(list[str], texts.to_pylist())], pa.int64())


def _time_us(text: str) -> int | None:
    if not formats.matches(Format.RFC3339, text):
        return None
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
