"""Approvals: who asked for what, who answered how, what ran under it, and what expired or was never used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.questions import fields
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look

QUESTION = QUESTIONS["approvals"]
SINCE = "6h"
FILTERS = ("status", "approver", "agent", "id")


def _asked(look: Look) -> Given:
    period = look.period("" if look.get("id") else SINCE)
    return [*look.given(*FILTERS), *period, ("limit", "50"), *look.page("approvals")]


def _more(look: Look) -> dict[str, Any]:
    offered = {field.name: field for field in fields(QUESTION, look)}
    return {"filters": [offered[name] for name in FILTERS], "given": look.given(*FILTERS)}


APPROVALS = Page(
    name="approvals",
    path="/approvals",
    title=lambda look: f"Approval {look.get('id')}" if look.get("id") else "Approvals",
    in_menu="Approvals",
    about="What was to be approved, who answered, and what was done under it.",
    has_period=True,
    since=lambda _look: SINCE,
    template="findings.html",
    more=_more,
    panels=(
        Panel(
            name="approvals",
            title="Approvals, newest first",
            question=QUESTION,
            parameters=_asked,
            template="panels/approvals.html",
        ),
    ),
)
