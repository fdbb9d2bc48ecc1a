"""A running service with two stories in its store, and a real browser in front of it."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.dashboards import incident, looking, story
from tests.running import Running, service

CHROMIUM = "/usr/bin/chromium"
TIMEOUT_MS = 20_000

expect.set_options(timeout=TIMEOUT_MS)


@dataclass(frozen=True)
class Site:
    """A service, and where its pages are."""

    running: Running

    def url(self, path: str) -> str:
        return f"{self.running.api}{path}"

    def send(self, *bodies: bytes) -> None:
        """Sends OTLP requests, as an exporter does, and waits until they are stored."""
        for body in bodies:
            headers = {"content-type": "application/x-protobuf"}
            sent = urllib.request.Request(self.running.http, body, headers)
            with urllib.request.urlopen(sent, timeout=30) as answer:
                answer.read()
        self.running.wait_until_stored()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`whodid up` with everything of `story` and `incident` stored."""
    with service(tmp_path_factory.mktemp("site") / "data") as running:
        started = Site(running)
        started.send(*story.requests(), *story.hostile(), *story.big(), *incident.requests())
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with each module: its event loop would be in the way of other tests in the same process."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def expected() -> list[str]:
    """What a test lets the browser's console say: it tells there of each answer that is a refusal."""
    return []


@pytest.fixture
def page(browser: Browser, expected: list[str]) -> Iterator[Page]:
    """A tab of its own; the test fails for any error in its console."""
    # Without motion: what fades from one theme's colour to the other's has neither.
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, timezone_id="Europe/Berlin", reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.set_default_timeout(TIMEOUT_MS)
    errors: list[str] = []
    tab.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert [each for each in errors if not any(text in each for text in expected)] == []


@pytest.fixture
def browser_without_scripts(browser: Browser) -> Iterator[Page]:
    """A tab in which no script runs."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def holds(page: Page, site: Site) -> Callable[[str], None]:
    """Opens a path in both themes and widths: no serious finding of axe-core, no sideways scrolling."""
    return lambda path: looking.holds(page, site.url(path))
