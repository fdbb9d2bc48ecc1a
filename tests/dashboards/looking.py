"""What holds for every page, in both themes and widths: nothing serious for axe-core, nothing sticks out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, cast

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (1440, 390)
SERIOUS = ("serious", "critical")

_axe = Axe()


def holds(page: Page, url: str) -> None:
    """Opens the page in both themes and widths. `WHODID_SCREENSHOTS` names a folder for pictures of it."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(url)
        settled(page)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            _keep(page, f"{width}-{theme}")
            # Colours do not change with the width, so the narrow page is looked at in one theme.
            if width == WIDTHS[0] or theme == THEMES[0]:
                assert findings(page) == [], f"{url} at {width} px, {theme}"
        assert overflow_px(page) <= 0, f"{url} scrolls sideways at {width} px"


def settled(page: Page) -> None:
    """Waits until every panel is there."""
    # Not `wait_for_function`: it evaluates a text within the page, which our policy forbids.
    expect(page.locator(".waiting")).to_have_count(0, timeout=30_000)


def findings(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    found = cast("list[dict[str, Any]]", cast("Any", _axe).run(page).response["violations"])
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def overflow_px(page: Page) -> int:
    """By how much the body is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def _keep(page: Page, of: str) -> None:
    folder = os.environ.get("WHODID_SCREENSHOTS")
    if folder:
        name = re.sub(r"[^a-z0-9]+", "-", page.url.partition("://")[2].partition("/")[2].lower())[:60]
        page.screenshot(path=Path(folder) / f"{name.strip('-') or 'overview'}-{of}.png", full_page=True)
