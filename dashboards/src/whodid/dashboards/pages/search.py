"""Search: from any id to its page, or the actions with some properties and what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.meanings import Meanings, meanings
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.questions import fields
from whodid.store.questions import QUESTIONS
from whodid.store.questions.question import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look
    from whodid.dashboards.pages.page import Ask
    from whodid.store.questions.actions import Actions, Facet

QUESTION = QUESTIONS["actions"]
SINCE = "24h"
PER_PAGE = 50
FILTERS = (
    "agent",
    "principal",
    "initiator",
    "tool",
    "credential",
    "resource",
    "resource_type",
    "session",
    "task",
    "service",
    "mode",
    "decision",
    "enforcement",
    "effect",
    "status",
    "error",
    "rule",
)
"""Of the question's filters those that the page offers, in this order."""


def _given(look: Look) -> Given:
    # An id means the same at any time; what else is asked for is asked of a period.
    default = "" if look.get("id") else SINCE
    return look.given("id", *FILTERS) + look.period(default)


def _found(look: Look) -> Given:
    return [*_given(look), ("limit", str(PER_PAGE)), *look.page("actions")]


def _facets(look: Look) -> Given:
    return [*_given(look), ("facets", "true"), ("limit", "1")]


async def _led(look: Look, ask: Ask) -> str | dict[str, Any]:
    """To the page of the one thing that the id means; to a choice where it means several."""
    id_ = look.get("id").strip()
    if not id_ or look.given(*FILTERS) or look.get("list"):
        return {"id_": "", "meanings": Meanings()}
    if len(id_) > MAX_ID_CHARACTERS:
        return {"id_": id_, "meanings": Meanings()}
    means = await meanings(ask, look.links, id_)
    if len(means.found) == 1 and not means.errors:
        return means.found[0].url
    return {"id_": id_, "meanings": means}


def by_property(answer: Actions) -> list[tuple[str, list[Facet]]]:
    """The facets of each property, in the order of the filters."""
    several = [(name, [facet for facet in answer.facets if facet.property == name]) for name in FILTERS]
    return [(name, facets) for name, facets in several if facets]


def _more(look: Look) -> dict[str, Any]:
    offered = {field.name: field for field in fields(QUESTION, look)}
    return {
        "filters": [offered[name] for name in FILTERS],
        "given": look.given("id", *FILTERS),
        "by_property": by_property,
        "list_url": look.links.search([*look.here, ("list", "1")]),
    }


SEARCH = Page(
    name="search",
    path="/search",
    title=lambda look: f"Search for {look.get('id')}" if look.get("id") else "Search",
    in_menu="Search",
    has_period=True,
    since=lambda _look: SINCE,
    template="search.html",
    before=_led,
    more=_more,
    panels=(
        Panel(
            name="actions",
            title="Actions, newest first",
            question=QUESTION,
            parameters=_found,
            template="panels/actions.html",
        ),
        Panel(
            name="facets",
            title="What they have in common",
            question=QUESTION,
            parameters=_facets,
            template="panels/facets.html",
            lazy=True,
            paged=False,
        ),
    ),
)
