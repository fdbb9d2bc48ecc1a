"""Trace: a waterfall of everything that happened in it, with decisions, findings and gaps in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.waterfall import MAX_ROWS, WIDTH, Waterfall, waterfall
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look
    from whodid.store.records import TraceRecord

ONLY_ACTS = "acts"
"""The value of `only` in the address that leaves out what decides and does nothing."""


def _of_id(look: Look) -> Given:
    return [("trace_id", look.get("id"))]


def _shown(trace: TraceRecord, look: Look) -> Waterfall:
    begin = look.get("from")
    return waterfall(trace, look.get("only") == ONLY_ACTS, int(begin) if begin.isdecimal() else 0)


TRACE = Page(
    name="trace",
    path="/trace/{id}",
    title=lambda look: f"Trace {look.get('id')}",
    about="What happened, in which order, and what was decided on the way.",
    template="trace.html",
    more=lambda look: {
        "waterfall": _shown,
        "only_acts": look.get("only") == ONLY_ACTS,
        "max_rows": MAX_ROWS,
        "bar_units": WIDTH,
    },
    panels=(
        Panel(
            name="waterfall",
            title="Waterfall",
            question=QUESTIONS["trace"],
            parameters=_of_id,
            template="panels/waterfall.html",
            live=True,
        ),
    ),
)
