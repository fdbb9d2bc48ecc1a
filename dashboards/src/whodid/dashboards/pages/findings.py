"""Findings: what the validator found wrong, by rule and by control, each with its span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.questions import fields
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from whodid.dashboards.pages.look import Look

QUESTION = QUESTIONS["findings"]
SINCE = "24h"
FILTERS = ("severity", "rule", "control", "trace", "span")


def _given(look: Look) -> Given:
    return look.given(*FILTERS) + look.period("" if look.get("trace") or look.get("span") else SINCE)


def _counted(by: str) -> Callable[[Look], Given]:
    return lambda look: [*_given(look), ("group_by", by), ("limit", "1")]


def _more(look: Look) -> dict[str, Any]:
    offered = {field.name: field for field in fields(QUESTION, look)}
    return {"filters": [offered[name] for name in FILTERS], "given": look.given(*FILTERS)}


FINDINGS = Page(
    name="findings",
    path="/findings",
    title=lambda _look: "Findings",
    in_menu="Findings",
    about="What is wrong with what was recorded, as the validator found it.",
    has_period=True,
    since=lambda _look: SINCE,
    template="findings.html",
    more=_more,
    panels=(
        Panel(
            name="rules",
            title="By rule",
            question=QUESTION,
            parameters=_counted("rule"),
            template="panels/findings_by.html",
            wide=False,
            paged=False,
        ),
        Panel(
            name="controls",
            title="By control",
            question=QUESTION,
            parameters=_counted("control"),
            template="panels/findings_by.html",
            wide=False,
            paged=False,
        ),
        Panel(
            name="findings",
            title="Findings, newest first",
            question=QUESTION,
            parameters=lambda look: [*_given(look), ("limit", "50"), *look.page("findings")],
            template="panels/findings.html",
        ),
    ),
)
