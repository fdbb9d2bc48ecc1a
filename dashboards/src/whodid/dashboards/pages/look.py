"""One viewing of a page: what its address and its form say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.links import Links
from whodid.store.questions.question import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from starlette.requests import Request

Given = list[tuple[str, str]]
"""Parameters of a question as texts, as in a query string."""

DEFAULT_SINCE = "24h"

OF_A_PANEL = ("panel", "seen")
"""What an address says when one panel is asked: which, and which answer the reader has already."""


@dataclass(frozen=True, slots=True)
class Look:
    """One viewing of a page: what its address says."""

    request: Request
    links: Links
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    """The fields of the form that was posted; empty where none was."""

    def get(self, name: str, default: str = "") -> str:
        """A parameter of the address, or a part of its path."""
        in_path: Any = self.request.path_params.get(name)
        return str(in_path) if in_path is not None else self.request.query_params.get(name, default)

    def many(self, name: str) -> list[str]:
        return [text for text in self.request.query_params.getlist(name) if text]

    def period(self, default: str = DEFAULT_SINCE) -> Given:
        """`since` and `until` as the address has them. `default`: since when, where it says neither."""
        since, until = self.get("since"), self.get("until")
        if not since and not until and default:
            since = default
        return [(name, text) for name, text in (("since", since), ("until", until)) if text]

    def given(self, *names: str) -> Given:
        """Those parameters of the address that are not empty, each as often as it comes."""
        return [(name, text) for name in names for text in self.many(name)]

    @property
    def here(self) -> Given:
        """What the address says of the whole page: not where a listing goes on, nor which panel is asked."""
        pairs = self.request.query_params.multi_items()
        return [
            (name, text)
            for name, text in pairs
            if text and name not in OF_A_PANEL and not name.endswith(".cursor")
        ]

    def adding(self, name: str, text: str) -> str:
        """This page with one more filter; without it where nobody could ask for that."""
        if len(text) > MAX_ID_CHARACTERS:
            return self.links.to(self.request.url.path, self.here)
        return self.links.to(self.request.url.path, dict.fromkeys([*self.here, (name, text)]))

    def without(self, name: str, text: str) -> str:
        """This page with one filter less."""
        return self.links.to(self.request.url.path, [pair for pair in self.here if pair != (name, text)])

    def page(self, panel: str) -> Given:
        """Where a listing goes on, if the address says so: each panel has a cursor of its own."""
        cursor = self.get(f"{panel}.cursor")
        return [("cursor", cursor)] if cursor else []
