"""How soon a browser shows each page of a service on a store of scale data.

`python -m tests.benchmarks.questions --pages` measures them on the store that it has filled.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Page, expect, sync_playwright

from tests.running import service

VISITS = 6
"""The first of them is not counted: what is measured is warm, as for the questions."""
TIMEOUT_MS = 60_000
MAX_AGE_S = 7200
"""How old the newest span may be (new traffic ends an hour ago): a page's period ends now, and holds less."""
MAX_MS = 1_000
"""The target for the first meaningful content."""
BEGIN, END = "<!-- pages: begin -->", "<!-- pages: end -->"

_FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_ANSWERED = "() => performance.getEntriesByType('navigation')[0].responseEnd"
_NOW = "() => performance.now()"
_LAZY = 'main [hx-trigger="load"]'


@dataclass(frozen=True, slots=True)
class Shown:
    """How long a page took, in milliseconds since the browser asked for it; medians, and the longest."""

    name: str
    answered_ms: float
    """Until the last byte of the page."""
    first_content_ms: float
    """Until the browser painted the first of it, which has the answers that are not lazy."""
    first_content_max_ms: float
    whole_ms: float
    """Until the last lazy panel was there."""


def paths(client: Any, database: str) -> Iterator[tuple[str, str]]:
    """Every page's address, about ids that the store has."""

    def one(column: str, where: str = "1") -> str:
        query = (
            f"SELECT toString({column}) FROM {database}.spans WHERE {column} != '' AND {where} "
            "AND start_time > now() - INTERVAL 20 HOUR LIMIT 1"
        )
        return str(client.query(query).result_rows[0][0])

    trace = str(
        client.query(
            f"SELECT lower(hex(trace_id)) FROM {database}.spans "
            "WHERE start_time > now() - INTERVAL 20 HOUR LIMIT 1"
        ).result_rows[0][0]
    )
    action = one("attribution_action_id", "gen_ai_operation_name = 'execute_tool'")
    credential, session = one("attribution_credential_id"), one("session_id")
    agent, principal = one("gen_ai_agent_name"), one("attribution_principal_id")
    yield "overview", "/"
    yield "search", "/search"
    yield "action", f"/action/{quote(action)}"
    yield "trace", f"/trace/{trace}"
    yield "delegation", f"/delegation/{quote(action)}"
    entities = {
        "principal": principal,
        "agent": agent,
        "credential": credential,
        "tool": one("gen_ai_tool_name"),
        "resource": one("attribution_resource_id"),
        "session": session,
    }
    for kind, id_ in entities.items():
        yield f"entity: {kind}", f"/entity/{kind}?{urlencode({'id': id_})}"
    for kind in ("credential", "principal", "agent"):
        yield f"blast radius: {kind}", f"/blast-radius?{urlencode({'kind': kind, 'id': entities[kind]})}"
    yield "replay", f"/replay?{urlencode({'session': session})}"
    yield "decisions", "/decisions"
    yield "findings", "/findings"
    yield "approvals", "/approvals"


def measure(store_url: str, client: Any, database: str) -> list[Shown]:
    """Every page in Chromium, from `whodid up` on a server's store. Raises where a page is none."""
    newest = f"SELECT dateDiff('second', max(start_time), now()) FROM {database}.spans"
    age_s = int(client.query(newest).result_rows[0][0])
    if age_s > MAX_AGE_S:
        raise SystemExit(f"the store's newest span is {age_s} s old\nhint: fill another one: without --keep")
    chromium = shutil.which("chromium")
    with (
        tempfile.TemporaryDirectory(prefix="pages-") as folder,
        service(Path(folder) / "data", WHODID_STORE__URL=store_url) as running,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            tab = browser.new_page(viewport={"width": 1440, "height": 900})
            return [_measured(tab, name, running.api + path) for name, path in paths(client, database)]
        finally:
            browser.close()


def _measured(tab: Page, name: str, url: str) -> Shown:
    visits: list[tuple[float, float, float]] = []
    for _ in range(VISITS):
        answer = tab.goto(url, timeout=TIMEOUT_MS)
        if answer is None or answer.status != 200:
            raise AssertionError(f"{name}: {url} answered {answer and answer.status}")
        # Not by `wait_for_function`: the pages' policy allows no text to be run as a script.
        expect(tab.locator(_LAZY)).to_have_count(0, timeout=TIMEOUT_MS)
        whole = float(tab.evaluate(_NOW))
        while tab.evaluate(_FIRST_PAINT) is None:
            tab.wait_for_timeout(10)
        visits.append((float(tab.evaluate(_ANSWERED)), float(tab.evaluate(_FIRST_PAINT)), whole))
    answered, first, whole_ = zip(*visits[1:], strict=True)
    shown = Shown(
        name, statistics.median(answered), statistics.median(first), max(first), statistics.median(whole_)
    )
    print(
        f"page {name}: first content {shown.first_content_ms:.0f} ms, whole {shown.whole_ms:.0f}", flush=True
    )
    return shown


def table(shown: Sequence[Shown]) -> list[str]:
    """The lines of the table in docs/performance.md."""
    return [
        "| page | answered | first content | longest | whole |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {each.name} | {each.answered_ms:,.0f} | {each.first_content_ms:,.0f} "
            f"| {each.first_content_max_ms:,.0f} | {each.whole_ms:,.0f} |"
            for each in shown
        ),
    ]
