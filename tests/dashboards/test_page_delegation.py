"""The page of a delegation, in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboards import story
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled


def opened(page: Page, site: Site, id_: str) -> None:
    page.goto(site.url(f"/delegation/{id_}"))
    settled(page)


def drawn(page: Page) -> dict[str, list[dict[str, Any]]]:
    """What the picture is made of, once it is there."""
    expect(page.locator(".graph.drawn canvas").first).to_be_attached()
    return json.loads(page.locator("script.graph-data").first.inner_text())


def edges(page: Page) -> list[tuple[str, str, str, bool]]:
    """Each line: from whom, to whom, with what evidence, and whether it is a gap."""
    data = drawn(page)
    labels = {each["id"]: each["label"] for each in data["nodes"]}
    return [
        (labels[each["source"]], labels[each["target"]], each.get("evidence", ""), bool(each.get("broken")))
        for each in data["edges"]
    ]


def test_a_chain_across_traces_as_picture_and_table(page: Page, site: Site) -> None:
    opened(page, site, story.SEARCH)
    assert edges(page) == [
        (story.ALICE, "support-agent", "propagated", False),
        ("support-agent", "research-agent", "propagated", False),
        ("research-agent", "web_search", "self_asserted", False),
    ]
    hands = page.get_by_role("region", name="The chain, hand by hand").get_by_role("row")
    expect(hands).to_have_count(4)
    expect(hands.nth(2)).to_contain_text("support-agent")
    expect(page.get_by_text("Through 2 traces")).to_be_visible()


def test_the_authority_of_the_last_hop(page: Page, site: Site) -> None:
    opened(page, site, story.MAIL)
    to_tool = next(each for each in drawn(page)["edges"] if each["target"] == "tool")
    assert to_tool["label"].split("\n") == [f"approved by {story.BOB}", "policy: allow", "with a credential"]


def test_what_was_held_back_is_no_whole_line(page: Page, site: Site) -> None:
    opened(page, site, story.DELETE)
    assert next(each for each in drawn(page)["edges"] if each["target"] == "tool")["denied"] == 1


def test_a_missing_principal_is_a_gap_and_no_edge_is_invented(page: Page, site: Site) -> None:
    opened(page, site, story.NIGHT)
    data = drawn(page)
    principal = next(each for each in data["nodes"] if each["kind"] == "principal")
    assert (principal["label"], principal["evidence"]) == ("", "missing")
    assert ("", "night-agent", "", True) in edges(page)
    expect(page.get_by_text("the action names no delegation chain")).to_be_visible()


def test_a_lost_parent_leaves_the_link_self_asserted_and_says_so(page: Page, site: Site) -> None:
    opened(page, site, story.FETCH)
    assert ("support-agent", "research-agent", "self_asserted", False) in edges(page)
    expect(page.locator("#panel-chain .gaps")).to_contain_text("bbbbbbbb00000002, that is not in the store")


def test_a_session_s_id_leads_to_all_of_its_traces(page: Page, site: Site) -> None:
    opened(page, site, story.SESSION)
    expect(page).to_have_url(site.url(f"/delegation/{story.SESSION}?of=session"))
    found = {(source, target) for source, target, *_ in edges(page)}
    assert (story.ALICE, "support-agent") in found
    assert ("support-agent", "research-agent") in found
    assert ("support-agent", "close_ticket") in found  # in another trace than the rest
    done = page.locator("#panel-done")
    expect(done.get_by_role("link", name="close_ticket").first).to_be_visible()
    done.get_by_role("link", name="web_search").first.click()
    expect(page.get_by_role("heading", name="Delegation behind")).to_be_visible()
    assert ("support-agent", "research-agent", "propagated", False) in edges(page)


def test_the_picture_can_be_walked_with_the_keyboard(page: Page, site: Site) -> None:
    opened(page, site, story.SEARCH)
    drawn(page)
    page.get_by_role("application").focus()
    told = page.locator(".graph-told")
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text(f"principal, {story.ALICE}")
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("agent, support-agent")
    page.keyboard.press("ArrowLeft")
    expect(told).to_contain_text(story.ALICE)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.url("/entity/agent?id=support-agent"))


def colours(page: Page) -> str:
    """The picture as it is painted."""
    return page.evaluate(
        "[...document.querySelectorAll('.graph-canvas canvas')].map((each) => each.toDataURL()).join()"
    )


def test_the_picture_follows_the_theme(page: Page, site: Site) -> None:
    opened(page, site, story.SEARCH)
    drawn(page)
    page.wait_for_timeout(500)
    light = colours(page)
    page.keyboard.press("t")
    page.wait_for_timeout(500)
    assert colours(page) != light


def test_an_unknown_id_says_so(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("404")
    answer = page.goto(site.url("/delegation/nobody-knows"))
    assert answer is not None
    assert answer.status == 404


def test_without_scripts_there_is_the_table(site: Site, browser_without_scripts: Page) -> None:
    browser_without_scripts.goto(site.url(f"/delegation/{story.SEARCH}"))
    expect(browser_without_scripts.locator(".graph")).to_be_hidden()
    expect(browser_without_scripts.get_by_role("link", name="research-agent").first).to_be_visible()


@pytest.mark.parametrize("id_", [story.SEARCH, story.NIGHT, "action-hostile", f"{story.SESSION}?of=session"])
def test_it_holds(holds: Callable[[str], None], id_: str) -> None:
    holds(f"/delegation/{id_}")
