"""How far two clocks may disagree before a rule speaks of a contradiction."""

from __future__ import annotations

from typing import Any

import numpy as np

from whodid.processor.batch import Mask, Rows
from whodid.processor.rules.view import View

SKEW_US = 1_000_000
"""Clocks of different processes that agree to within a second are taken to agree. It also covers a time that
was cut to whole seconds."""


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
