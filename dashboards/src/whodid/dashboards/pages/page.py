"""What a page is: an address, and panels, each of which is one question with its picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import DEFAULT_SINCE, Given, Look

if TYPE_CHECKING:
    from whodid.dashboards.pages.asked import Asked
    from whodid.store.questions import AnyQuestion

Ask = Callable[["AnyQuestion", Given], Awaitable["Asked"]]
"""Asks a question for the viewer of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One question on a page."""

    name: str
    """Unique on its page, in kebab-case."""
    title: str
    question: AnyQuestion
    parameters: Callable[[Look], Given | None]
    """What it is asked with; None where the address does not ask it."""
    template: str = "panels/answer.html"
    """Gets `asked`; the standard one shows facts and tables of any answer."""
    lazy: bool = False
    """Asked by the browser after the page is there."""
    live: bool = False
    """Asked again when new spans were stored."""
    wide: bool = True
    """Over the whole width, or half of it where there is room."""
    paged: bool = True
    """Whether its listing goes on with a link; not where only its counts are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `PAGES` has them all."""

    name: str
    path: str
    """With Starlette's parameters: `/trace/{id}`."""
    title: Callable[[Look], str]
    panels: tuple[Panel, ...]
    template: str = "page.html"
    in_menu: str = ""
    """How the menu calls it; empty where it has no place there."""
    has_period: bool = False
    """Whether the reader may choose the time that it is about."""
    since: Callable[[Look], str] = field(default=lambda _look: DEFAULT_SINCE)
    """Since when it tells, where the reader has chosen no time."""
    about: str = ""
    """One sentence: what it answers."""
    before: Callable[[Look, Ask], Awaitable[str | dict[str, Any]]] | None = None
    """Asked before the panels: an address that the reader is led to instead, or what its template needs."""
    takes_form: bool = False
    """Whether a form on it is posted, for a text that is too long for an address. The answer is the page."""
    more: Callable[[Look], dict[str, Any]] = field(default=lambda _look: {})
    """What its template needs beside the answers."""
