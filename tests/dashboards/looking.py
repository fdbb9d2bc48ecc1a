"""What holds for every page, in both themes and widths: nothing serious for axe-core, nothing sticks out."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1440, "light"),
    (1440, "dark"),
    (390, "light"),
    (390, "dark"),
)
SERIOUS = ("serious", "critical")

# Of all rules; what passes is not collected node by node, which takes much of the time on a long page.
_OPTIONS: dict[str, Any] = {"resultTypes": ["violations"]}
_CONTRAST = "color-contrast"
_REPEATED = {"exclude": [["tbody tr:nth-child(n+5)"], ["li:nth-child(n+5)"], ["option"]]}
"""What comes after a few of its kind has their colours. Contrast takes three quarters of axe-core's time."""

_axe = Axe()


def holds(page: Page, url: str) -> None:
    """Looks at a page in both themes and widths: the wide one in light, the narrow one in dark.

    axe-core, which takes most of the time, looks once: in which of the two, goes by the address. With
    `WHODID_SCREENSHOTS`, a folder, it looks at each theme and width, with a picture of each.
    """
    everything = bool(os.environ.get("WHODID_SCREENSHOTS"))
    two = (LOOKS[0], LOOKS[-1])
    by_axe = LOOKS if everything else (two[zlib.crc32(urlsplit(url).path.encode()) % 2],)
    page.goto(url)
    settled(page)
    for width, theme in LOOKS if everything else two:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        _keep(page, f"{width}-{theme}")
        assert fits(page), f"{url} scrolls sideways at {width} px"
        if (width, theme) in by_axe:
            assert findings(page) == [], f"{url} at {width} px, {theme}"


def settled(page: Page) -> None:
    """Waits until every panel is there."""
    # Not `wait_for_function`: it evaluates a text within the page, which our policy forbids.
    expect(page.locator(".waiting")).to_have_count(0, timeout=30_000)


def findings(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    others = _OPTIONS | {"rules": {_CONTRAST: {"enabled": False}}}
    contrast = _OPTIONS | {"runOnly": {"type": "rule", "values": [_CONTRAST]}}
    return _found(page, None, others) + _found(page, _REPEATED, contrast)


def _found(page: Page, where: dict[str, Any] | None, options: dict[str, Any]) -> list[str]:
    response = cast("Any", _axe).run(page, context=where, options=options).response
    found = cast("list[dict[str, Any]]", response["violations"])
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def fits(page: Page) -> bool:
    """Whether nothing sticks out; a chart follows the window a moment later."""
    for _ in range(20):
        if overflow_px(page) <= 0:
            return True
        page.wait_for_timeout(100)
    return False


def overflow_px(page: Page) -> int:
    """By how much the body is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def _keep(page: Page, of: str) -> None:
    folder = os.environ.get("WHODID_SCREENSHOTS")
    if folder:
        name = re.sub(r"[^a-z0-9]+", "-", page.url.partition("://")[2].partition("/")[2].lower())[:60]
        page.screenshot(path=Path(folder) / f"{name.strip('-') or 'overview'}-{of}.png", full_page=True)
