"""Decisions: what the policies said and on what, and what other policies would have said."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.questions import fields
from whodid.processor.access import csrf
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look
    from whodid.dashboards.pages.page import Ask

QUESTION = QUESTIONS["decisions"]
SINCE = "6h"
FILTERS = ("outcome", "enforcement", "agent", "tool", "principal", "rule", "policy_id", "id")
MAX_LINKED_CHARACTERS = 4_000
"""A policy up to this length becomes part of a link that can be passed on; a longer one is posted."""


def _filters(look: Look) -> Given:
    return look.given(*FILTERS) + look.period("" if look.get("id") else SINCE)


def _policy(look: Look) -> str:
    return look.form.get("policy", "") or look.get("policy")


def _listed(look: Look) -> Given | None:
    return None if _policy(look).strip() else [*_filters(look), ("limit", "50"), *look.page("decisions")]


def _what_if(look: Look) -> Given | None:
    policy = _policy(look)
    if not policy.strip():
        return None
    only_changed = look.form.get("only_changed") or look.get("only_changed")
    cursor = look.form.get("cursor") or look.get("what-if.cursor")
    return [
        *_filters(look),
        ("policy", policy),
        ("limit", "50"),
        *([("only_changed", "true")] if only_changed else []),
        *([("cursor", cursor)] if cursor else []),
    ]


async def _led(look: Look, _ask: Ask) -> str | dict[str, Any]:
    """A short policy becomes a part of the address, so that what it would have done can be passed on."""
    policy = look.form.get("policy", "")
    if not policy.strip() or len(policy) > MAX_LINKED_CHARACTERS:
        return {}
    asked = [("policy", policy), *([("only_changed", "true")] if look.form.get("only_changed") else [])]
    kept = [pair for pair in look.here if pair[0] not in ("policy", "only_changed")]
    return look.links.to("/decisions", [*kept, *asked]) + "#panel-what-if"


def _more(look: Look) -> dict[str, Any]:
    return {
        "policy": _policy(look),
        "only_changed": bool(look.form.get("only_changed") or look.get("only_changed")),
        # The same that the question needs; asked for beforehand, so that nobody writes policies for nothing.
        "can_evaluate": importlib.util.find_spec("cedarpy") is not None,
        "filters": [field for field in fields(QUESTION, look) if field.name in FILTERS],
        "csrf_field": csrf.FIELD,
    }


DECISIONS = Page(
    name="decisions",
    path="/decisions",
    title=lambda look: f"Decision {look.get('id')}" if look.get("id") else "Decisions",
    in_menu="Decisions",
    about="What the policies said, on which inputs, and what became of it.",
    has_period=True,
    since=lambda _look: SINCE,
    template="decisions.html",
    takes_form=True,
    before=_led,
    more=_more,
    panels=(
        Panel(
            name="what-if",
            title="What these policies would have said",
            question=QUESTION,
            parameters=_what_if,
            template="panels/what_if.html",
        ),
        Panel(
            name="decisions",
            title="Decisions, oldest first",
            question=QUESTION,
            parameters=_listed,
            template="panels/decisions.html",
        ),
    ),
)
