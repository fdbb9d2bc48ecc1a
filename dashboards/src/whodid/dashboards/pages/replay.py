"""Replay: a session step by step, across its traces, on a time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.timeline import LANE_HEIGHT, clock, silence_before, timeline
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look

PAGE_STEPS = "200"


def _asked(look: Look) -> Given | None:
    session = look.get("session")
    if not session:
        return None
    only = [("only_actions", "true")] if look.get("only") == "acts" else []
    return [("session", session), *only, ("limit", PAGE_STEPS), *look.period(""), *look.page("steps")]


REPLAY = Page(
    name="replay",
    path="/replay",
    title=lambda look: f"Replay of {look.get('session')}" if look.get("session") else "Replay of a session",
    in_menu="Replay",
    about="What happened in a session, in the order of time, over all its traces.",
    template="replay.html",
    more=lambda look: {
        "timeline": timeline,
        "clock": clock,
        "silence_before": silence_before,
        "lane_height": LANE_HEIGHT,
        "only_acts": look.get("only") == "acts",
    },
    panels=(
        Panel(
            name="steps",
            title="Step by step",
            question=QUESTIONS["replay"],
            parameters=_asked,
            template="panels/steps.html",
        ),
    ),
)
