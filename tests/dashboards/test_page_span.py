"""The page of a span, in a browser."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboards import story
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled
from tests.running import service
from whodid.processor import settings
from whodid.processor.access import tokens
from whodid.processor.access.viewer import Kind, Role
from whodid.semconv import attributes as attr

REFUND = f"/trace/{story.SUPPORT_TRACE}/span/aaaaaaaa0000000c"
HOSTILE = f"/trace/{story.HOSTILE_TRACE}/span/eeeeeeeeeeeeee03"


def row(page: Page, attribute: str) -> str:
    """What the page says of an attribute."""
    code = page.get_by_text(attribute, exact=True)
    return page.locator("table.attributes tr", has=code).first.inner_text()


def test_each_attribute_with_how_it_is_known(page: Page, site: Site) -> None:
    page.goto(site.url(REFUND))
    assert "propagated" in row(page, attr.ATTRIBUTION_PRINCIPAL_ID)
    assert "self asserted" in row(page, attr.ATTRIBUTION_CREDENTIAL_ID)
    expect(page.get_by_role("link", name=story.CREDENTIAL)).to_have_attribute(
        "href", f"/entity/credential?id=sha256%3A{story.CREDENTIAL.removeprefix('sha256:')}"
    )


def test_findings_with_their_controls(page: Page, site: Site) -> None:
    page.goto(site.url(f"{REFUND}#findings"))
    found = page.get_by_role("region", name="What the validator found")
    expect(found).to_contain_text("credential not valid")
    expect(found).to_contain_text("OWASP-ASI03")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("Who did that?", f"/action/{story.REFUND}"),
        ("In its trace", f"/trace/{story.SUPPORT_TRACE}#s-aaaaaaaa0000000c"),
        ("The span above", f"/trace/{story.SUPPORT_TRACE}/span/aaaaaaaa00000001"),
    ],
)
def test_the_ways_on(page: Page, site: Site, name: str, address: str) -> None:
    page.goto(site.url(REFUND))
    page.get_by_role("link", name=name).click()
    expect(page).to_have_url(site.url(address))


def test_a_link_to_another_trace_is_one(page: Page, site: Site) -> None:
    page.goto(site.url(f"/trace/{story.RESEARCH_TRACE}/span/bbbbbbbb00000001"))
    page.get_by_role("link", name="span aaaaaaaa00000002").click()
    expect(page.locator(".headline")).to_have_text("execute_tool ask_research")


def test_content_is_shown_to_who_asks_for_it_and_the_view_is_on_record(page: Page, site: Site) -> None:
    page.goto(site.url(HOSTILE))
    assert "not shown" in row(page, attr.GEN_AI_TOOL_CALL_ARGUMENTS)
    views = len(_views(site))
    page.get_by_role("button", name="Show content").click()
    expect(page.get_by_text("that you saw it is on record")).to_be_visible()
    assert "ab cab c" in row(page, attr.GEN_AI_TOOL_CALL_ARGUMENTS)
    site.running.wait_until_stored()
    assert len(_views(site)) == views + 1
    page.get_by_role("link", name="Without content").click()
    assert "not shown" in row(page, attr.GEN_AI_TOOL_CALL_ARGUMENTS)


def _views(site: Site) -> list[object]:
    answer = site.running.ask(
        "sql?query=SELECT%20span_id%20FROM%20spans%20WHERE%20gen_ai_operation_name%20%3D%20%27view_content%27"
        f"%20AND%20attribution_resource_id%20%3D%20%27{story.HOSTILE_TRACE}/eeeeeeeeeeeeee03%27"
    )
    return answer["rows"]


def test_hostile_text_is_shown_and_does_nothing_and_a_megabyte_is_folded(page: Page, site: Site) -> None:
    page.goto(site.url(f"{HOSTILE}?content=1"))
    assert page.title() != "owned"
    assert page.locator("main img").count() == 0
    assert not {"\u202e", "\u2066"} & set(page.content())
    assert len(page.content()) < 400_000


@pytest.mark.parametrize("span", ["9" * 16, "none"])
def test_an_unknown_span_says_so(page: Page, site: Site, expected: list[str], span: str) -> None:
    expected.append("404")
    answer = page.goto(site.url(f"/trace/{story.SUPPORT_TRACE}/span/{span}"))
    assert answer is not None
    assert answer.status == 404


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """A service whose viewers need a token."""
    with service(tmp_path / "data") as running:
        started = Site(running)
        started.send(*story.hostile())
        yield started


def _viewer(browser: Browser, data_dir: Path) -> Page:
    token, secret = tokens.new(
        name="vera@acme.example",
        kind=Kind.HUMAN,
        role=Role.VIEWER,
        tenant=settings.load({"data_dir": data_dir}).tenant,
        lives=datetime.timedelta(days=1),
    )
    with tokens.changing(data_dir / tokens.FILE) as kept:
        kept.append(token)
    return browser.new_context(extra_http_headers={"authorization": f"Bearer {secret}"}).new_page()


def test_a_viewer_is_not_shown_content(browser: Browser, guarded: Site, tmp_path: Path) -> None:
    page = _viewer(browser, tmp_path / "data")
    page.goto(guarded.url(HOSTILE))
    expect(page.get_by_text("It needs the role investigator.")).to_be_visible()
    expect(page.get_by_role("button", name="Show content")).to_have_count(0)
    answer = page.goto(guarded.url(f"{HOSTILE}?content=1"))
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("alert").first).to_contain_text("content needs the role investigator")
    page.context.close()


@pytest.mark.parametrize("path", [REFUND, HOSTILE, f"{HOSTILE}?content=1"])
def test_it_holds(holds: Callable[[str], None], path: str) -> None:
    holds(path)


def test_the_whole_way_from_a_trace_with_the_keyboard_alone(page: Page, site: Site) -> None:
    page.goto(site.url(f"/trace/{story.SUPPORT_TRACE}"))
    settled(page)
    for _ in range(7):
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".headline")).to_have_text("evaluate_policy delete_customer")
