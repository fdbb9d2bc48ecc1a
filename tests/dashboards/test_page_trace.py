"""The page of a trace, in a browser."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.dashboards import story
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled
from tests.spans import Sent, attribution, request
from whodid.dashboards.pages.waterfall import MAX_ROWS

ROWS = "table[data-waterfall] tbody tr[data-span]"


def opened(page: Page, site: Site, trace: str, query: str = "") -> None:
    page.goto(site.url(f"/trace/{trace}{query}"))
    settled(page)


def names(page: Page) -> list[str]:
    return page.locator(f"{ROWS}:visible .what a:not(.mark)").all_inner_texts()


def current(page: Page) -> str:
    """The name in the row that has the keyboard."""
    return page.evaluate(
        "document.activeElement.closest('tr[data-span]')?.querySelector('.what a')?.textContent ?? ''"
    )


def test_the_tree_in_its_order_with_bars_where_the_spans_were(page: Page, site: Site) -> None:
    opened(page, site, story.SUPPORT_TRACE)
    shown = names(page)
    assert shown[:4] == [
        "invoke_agent support-agent",
        "chat gpt-5",
        "evaluate_policy lookup_order",
        "execute_tool lookup_order",
    ]
    assert shown[4] == "tools/call lookup_order"
    bars = page.evaluate(
        f"[...document.querySelectorAll('{ROWS} rect')].map((each) => each.getBoundingClientRect().left)"
    )
    assert bars == sorted(bars)
    assert bars[0] < bars[1]
    assert page.locator(f"{ROWS}[data-depth='2']").count() == 1


def test_decisions_modes_and_findings_are_in_their_place(page: Page, site: Site) -> None:
    opened(page, site, story.SUPPORT_TRACE)
    row = page.locator(ROWS)
    expect(row.filter(has_text="evaluate_policy delete_customer").locator(".mark.bad")).to_have_text(
        "✕ deny, blocked"
    )
    expect(row.filter(has_text="execute_tool send_mail").locator(".mark.human")).to_have_text(
        "human approved"
    )
    finding = row.filter(has_text="execute_tool issue_refund").locator("a.finding")
    expect(finding).to_contain_text("credential not valid")
    expect(finding).to_have_attribute("href", f"/trace/{story.SUPPORT_TRACE}/span/aaaaaaaa0000000c#findings")


def test_a_missing_parent_is_a_gap(page: Page, site: Site) -> None:
    opened(page, site, story.RESEARCH_TRACE)
    gap = page.locator("tr.gap")
    expect(gap).to_have_count(1)
    expect(gap).to_contain_text("bbbbbbbb00000002, which is not in the store")


def test_the_keyboard_moves_folds_and_opens(page: Page, site: Site) -> None:
    opened(page, site, story.SUPPORT_TRACE)
    for _ in range(4):
        page.keyboard.press("j")
    assert current(page) == "execute_tool lookup_order"
    page.keyboard.press("ArrowLeft")
    assert "tools/call lookup_order" not in names(page)
    expect(page.locator(".folded-count")).to_have_text(" 1 folded")
    page.keyboard.press("ArrowRight")
    assert "tools/call lookup_order" in names(page)
    page.keyboard.press("ArrowRight")
    assert current(page) == "tools/call lookup_order"
    page.keyboard.press("ArrowLeft")  # there is nothing below it: to the one above
    assert current(page) == "execute_tool lookup_order"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert current(page) == "invoke_agent support-agent"
    page.keyboard.press("ArrowLeft")
    assert names(page) == ["invoke_agent support-agent"]
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.url(f"/trace/{story.SUPPORT_TRACE}/span/aaaaaaaa00000001"))


def test_what_only_thinks_can_be_left_out(page: Page, site: Site) -> None:
    opened(page, site, story.SUPPORT_TRACE)
    page.get_by_role("link", name="what decides, acts or is wrong").click()
    expect(page.locator(f"{ROWS} .what a", has_text="chat")).to_have_count(0)
    assert names(page)[0] == "invoke_agent support-agent"


def test_new_spans_arrive_by_themselves_and_what_is_folded_stays_so(page: Page, site: Site) -> None:
    trace = os.urandom(16)
    root = Sent(name="first", attributes=attribution("invoke_agent"), trace_id=trace)
    below = Sent(name="second", attributes=attribution("chat"), trace_id=trace, parent_id=root.span_id)
    site.send(request(root, below))
    opened(page, site, trace.hex())
    expect(page.locator("#live")).to_have_text("Live")
    page.keyboard.press("j")
    page.keyboard.press("ArrowLeft")
    assert names(page) == ["first"]
    site.send(request(Sent(name="third", attributes=attribution("chat"), trace_id=trace)))
    expect(page.locator(ROWS, has_text="third")).to_be_visible(timeout=20_000)
    assert "second" not in names(page)
    expect(page.locator(".folded-count")).to_have_text(" 1 folded")
    assert current(page) == "first"


def test_nothing_is_replaced_while_the_answer_is_the_same(page: Page, site: Site) -> None:
    opened(page, site, story.NIGHT_TRACE)
    expect(page.locator("#live")).to_have_text("Live")
    with page.expect_response(lambda answer: "seen=" in answer.url) as asked:
        site.send(request(Sent(name="elsewhere", attributes=attribution("chat"))))
    assert asked.value.status == 204
    expect(page.locator(ROWS)).to_have_count(1)


def test_thousands_of_spans_are_told_in_pages(page: Page, site: Site) -> None:
    opened(page, site, story.BIG_TRACE)
    expect(page.locator(ROWS)).to_have_count(MAX_ROWS)
    expect(page.locator(".cut")).to_contain_text(f"Rows 1 to 1,000 of {story.BIG_SPANS:,}")
    page.get_by_role("link", name="The next 1,000 rows").click()
    expect(page.locator(".cut")).to_contain_text("Rows 1,001 to 2,000")
    expect(page.locator("tr.above")).to_have_count(1)
    expect(page.locator(f"{ROWS}:not(.above)")).to_have_count(MAX_ROWS)


def test_an_unknown_trace_says_so(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("404")
    answer = page.goto(site.url(f"/trace/{'9' * 32}"))
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("alert").first).to_contain_text("no span of trace")


def test_hostile_text_is_shown_and_does_nothing(page: Page, site: Site) -> None:
    opened(page, site, story.HOSTILE_TRACE)
    assert page.title() != "owned"
    assert page.locator("main img").count() == 0
    assert not {"\u202e", "\u2066"} & set(page.content())
    assert len(page.content()) < 100_000


def test_without_scripts_all_rows_are_there(site: Site, browser_without_scripts: Page) -> None:
    browser_without_scripts.goto(site.url(f"/trace/{story.SUPPORT_TRACE}"))
    expect(browser_without_scripts.locator(ROWS)).to_have_count(13)


@pytest.mark.parametrize(
    "trace", [story.SUPPORT_TRACE, story.RESEARCH_TRACE, story.HOSTILE_TRACE, story.NIGHT_TRACE]
)
def test_it_holds(holds: Callable[[str], None], trace: str) -> None:
    holds(f"/trace/{trace}")
