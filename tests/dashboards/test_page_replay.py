"""The page that replays a session, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.dashboards import story
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

STEPS = "ol.steps li.step"


def opened(page: Page, site: Site, session: str = story.SESSION, more: str = "") -> None:
    page.goto(site.url(f"/replay?session={quote(session)}{more}"))
    settled(page)


def names(page: Page) -> list[str]:
    return page.locator(f"{STEPS} .told a:first-child").all_inner_texts()


def test_the_steps_of_all_traces_in_the_order_of_time(page: Page, site: Site) -> None:
    opened(page, site)
    told = names(page)
    assert len(told) == 23
    assert told[0] == "invoke_agent support-agent"
    assert told.index("execute_tool ask_research") < told.index("execute_tool web_search")
    assert told[-1] == "execute_tool close_ticket"
    expect(page.locator(".steps .silence")).to_have_text("3 min in which nothing is recorded")
    expect(page.locator("svg.axis rect.cut")).to_have_count(1)


def test_decisions_approvals_and_gaps_are_in_their_place(page: Page, site: Site) -> None:
    opened(page, site)
    steps = page.locator(STEPS)
    approval = steps.filter(has_text="resolve_approval send_mail")
    expect(approval).to_contain_text("approval granted")
    expect(approval.get_by_role("link", name=story.BOB)).to_be_visible()
    expect(steps.filter(has_text="delete_customer").locator(".mark.bad")).to_have_text("✕ deny, blocked")
    expect(steps.filter(has_text="execute_tool fetch_page").locator(".mark.gap")).to_be_visible()


def test_the_keys_step_forward_and_back(page: Page, site: Site) -> None:
    opened(page, site)
    so_far = page.locator(".so-far")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.locator(f"{STEPS}.current")).to_contain_text("execute_tool lookup_order")
    expect(so_far).to_have_text("Step 4 of 23: execute_tool lookup_order. So far: 1 acted.")
    expect(page.locator("svg.axis rect.here")).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    expect(so_far).to_contain_text("Step 3 of 23")
    page.get_by_role("button", name="To the last step").click()
    expect(so_far).to_contain_text("Step 23 of 23: execute_tool close_ticket. So far: ")
    expect(so_far).to_contain_text("1 held back, 1 approvals, 1 failed")


def test_it_plays_to_its_end_and_can_be_paused(page: Page, site: Site) -> None:
    opened(page, site)
    page.get_by_label("speed").select_option("1")
    page.keyboard.press("p")
    play = page.get_by_role("button", name="Pause")
    expect(play).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".so-far")).to_contain_text(re.compile(r"Step (?!1 )\d+ of 23"))
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")
    page.get_by_label("speed").select_option("600")
    page.keyboard.press("p")
    expect(page.locator(".so-far")).to_contain_text("Step 23 of 23", timeout=20_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_the_keys_change_the_speed(page: Page, site: Site) -> None:
    opened(page, site)
    page.keyboard.press("]")
    expect(page.get_by_label("speed")).to_have_value("60")
    page.keyboard.press("[")
    page.keyboard.press("[")
    expect(page.get_by_label("speed")).to_have_value("1")


def test_a_step_is_a_link_that_stays(page: Page, site: Site) -> None:
    opened(page, site)
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    expect(page.locator(f"{STEPS}.current")).to_contain_text("delete_customer")
    # Playwright is told of a new fragment later; the browser knows it.
    address = str(page.evaluate("() => location.href"))
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(f"{STEPS}.current")).to_contain_text("delete_customer")


def test_only_what_was_decided_and_done(page: Page, site: Site) -> None:
    opened(page, site)
    page.get_by_label("tell").select_option("acts")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(STEPS).filter(has_text="chat gpt-5")).to_have_count(0)
    assert "resolve_approval send_mail" in names(page)


def test_a_long_session_is_told_in_pages(page: Page, site: Site) -> None:
    opened(page, site, story.BIG_SESSION)
    expect(page.locator(STEPS)).to_have_count(200)
    first = page.locator(STEPS).first.get_attribute("id")
    page.get_by_role("link", name="Next page").click()
    expect(page.locator(STEPS)).to_have_count(200)
    assert page.locator(STEPS).first.get_attribute("id") != first


def test_without_a_session_it_asks_for_one(page: Page, site: Site) -> None:
    page.goto(site.url("/replay"))
    page.get_by_label("session or conversation").fill(story.SESSION)
    page.get_by_role("button", name="Show").click()
    expect(page.locator(STEPS)).to_have_count(23)


def test_an_unknown_session_says_so(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("404")
    answer = page.goto(site.url("/replay?session=nobody-knows"))
    assert answer is not None
    assert answer.status == 404


def test_hostile_text_is_shown_and_does_nothing(page: Page, site: Site) -> None:
    opened(page, site, story.HOSTILE)
    page.keyboard.press("ArrowRight")
    assert page.title() != "owned"
    assert page.locator("main img").count() == 0
    # The form holds the session's name as it is: it is asked for again.
    assert not {"\u202e", "\u2066"} & set(page.locator("body").inner_text())


def test_without_scripts_it_is_a_list(site: Site, browser_without_scripts: Page) -> None:
    browser_without_scripts.goto(site.url(f"/replay?session={story.SESSION}"))
    expect(browser_without_scripts.locator(STEPS)).to_have_count(23)
    expect(browser_without_scripts.locator(".controls")).to_be_hidden()


@pytest.mark.parametrize("session", [story.SESSION, story.HOSTILE])
def test_it_holds(holds: Callable[[str], None], session: str) -> None:
    holds(f"/replay?session={quote(session)}")
