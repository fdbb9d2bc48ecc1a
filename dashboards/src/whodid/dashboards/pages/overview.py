"""The overview: what agents did, what nobody answers for, what is new, what the validator found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look


def _over_time(look: Look) -> Given:
    return [("by", "enforcement"), ("step", "hour"), ("limit", "1000"), *look.period()]


def _by_agent(look: Look) -> Given:
    return [
        *(("by", each) for each in ("agent", "mode", "decision")),
        ("limit", "20"),
        *look.period(),
        *look.page("by-agent"),
    ]


def _newest(look: Look) -> Given:
    return [("limit", "10"), *look.period(default="")]


def _unattributed(look: Look) -> Given:
    return [("limit", "10"), *look.period(), *look.page("unattributed")]


def _new(look: Look) -> Given:
    return [("kind", "agent"), ("kind", "tool"), ("limit", "10"), *look.period(), *look.page("new")]


def _new_credentials(look: Look) -> Given:
    return [("kind", "credential"), ("limit", "10"), *look.period(), *look.page("new-credentials")]


def _by_rule(look: Look) -> Given:
    return [("group_by", "rule"), ("limit", "1"), *look.period()]


OVERVIEW = Page(
    name="overview",
    path="/",
    title=lambda _look: "Overview",
    in_menu="Overview",
    about="What the agents did, for whom, and what nobody answers for.",
    has_period=True,
    template="overview.html",
    panels=(
        Panel(
            name="over-time",
            title="Actions over time",
            question=QUESTIONS["overview"],
            parameters=_over_time,
            template="panels/over_time.html",
            live=True,
        ),
        Panel(
            name="newest",
            title="The newest traces",
            question=QUESTIONS["traces"],
            parameters=_newest,
            template="panels/newest.html",
            live=True,
        ),
        Panel(
            name="by-agent",
            title="By agent, mode and decision",
            question=QUESTIONS["overview"],
            parameters=_by_agent,
            live=True,
            template="panels/by_agent.html",
        ),
        Panel(
            name="unattributed",
            title="Nobody answers for",
            question=QUESTIONS["unattributed"],
            parameters=_unattributed,
            template="panels/unattributed.html",
            lazy=True,
        ),
        Panel(
            name="new",
            title="New agents and tools",
            question=QUESTIONS["first-seen"],
            parameters=_new,
            template="panels/new.html",
            lazy=True,
            wide=False,
        ),
        # By itself: agents and tools are counted by the hour, credentials are looked for in the spans.
        Panel(
            name="new-credentials",
            title="New credentials",
            question=QUESTIONS["first-seen"],
            parameters=_new_credentials,
            template="panels/new.html",
            lazy=True,
            wide=False,
        ),
        Panel(
            name="findings",
            title="What the validator found",
            question=QUESTIONS["findings"],
            parameters=_by_rule,
            template="panels/found.html",
            lazy=True,
            paged=False,
        ),
    ),
)
