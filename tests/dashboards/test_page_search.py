"""The search, in a browser: from any id to its page, filters, facets, kept searches."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.dashboards import incident, story
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

ROWS = "#panel-actions tbody tr"


def opened(page: Page, site: Site, path: str) -> None:
    page.goto(site.url(path))
    settled(page)


@pytest.mark.parametrize(
    ("id_", "path"),
    [
        (f"call-{incident.SENT_MAIL}", f"/action/{incident.SENT_MAIL}"),
        (incident.MAIL_SPAN.hex().upper(), f"/action/{incident.SENT_MAIL}"),
        (incident.TRACE.hex(), f"/trace/{incident.TRACE.hex()}"),
        (incident.SESSION, f"/entity/session?id={incident.SESSION}"),
        (incident.MAIL_KEY, f"/entity/credential?id={quote(incident.MAIL_KEY)}"),
        (incident.MAIL_DECISION, f"/decisions?id={incident.MAIL_DECISION}"),
        (incident.REFUND_APPROVAL, f"/approvals?id={incident.REFUND_APPROVAL}"),
        ("approval-waiting", "/approvals?id=approval-waiting"),
        (incident.ALICE, f"/entity/principal?id={quote(incident.ALICE)}"),
        ("mail-agent", "/entity/agent?id=mail-agent"),
        ("refund", "/entity/tool?id=refund"),
        (incident.MAILBOX, f"/entity/resource?id={quote(incident.MAILBOX)}"),
        (incident.TASK, f"/search?task={incident.TASK}"),
    ],
)
def test_an_id_leads_to_the_one_thing_that_it_means(page: Page, site: Site, id_: str, path: str) -> None:
    page.goto(site.url("/decisions"))
    page.keyboard.press("/")
    page.keyboard.type(id_)
    page.keyboard.press("Enter")
    page.wait_for_url(site.url(path))


def test_an_id_that_means_several_things_is_a_choice(page: Page, site: Site) -> None:
    opened(page, site, f"/search?id={story.CORRELATION}")
    choice = page.locator("main [data-row]")
    assert choice.count() > 1
    expect(page.get_by_role("heading", level=2)).to_have_text(f"It means {choice.count()} things")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/action/**")


def test_an_id_that_nobody_has_says_where_was_looked(page: Page, site: Site) -> None:
    opened(page, site, "/search?id=nobody-has-this")
    expect(page.locator("main")).to_contain_text("Nothing in the store has this id")
    page.get_by_role("link", name="Search by properties instead").click()
    expect(page.locator(ROWS).first).to_be_visible()


def test_a_facet_adds_a_filter_and_a_chip_takes_it_away(page: Page, site: Site) -> None:
    opened(page, site, "/search?since=7d")
    page.get_by_role("region", name="agent", exact=True).get_by_role("link", name="mail-agent").click()
    page.wait_for_url("**agent=mail-agent**")
    settled(page)
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text(incident.MAILBOX)
    counted = page.get_by_role("region", name="tool", exact=True).locator("li")
    expect(counted).to_have_text(["send_mail 1"])
    page.get_by_role("link", name="agent mail-agent").click()
    page.wait_for_url(site.url("/search?since=7d"))


def test_filters_make_a_link_without_what_is_empty(page: Page, site: Site) -> None:
    opened(page, site, "/search?since=7d&agent=support-agent")
    page.get_by_text("Add a filter").click()
    page.get_by_role("combobox", name="status").select_option("denied")
    page.get_by_role("textbox", name="tool").fill("delete_customer")
    page.keyboard.press("Enter")
    page.wait_for_url("**tool=delete_customer**")
    assert parse_qs(urlsplit(page.url).query) == {
        "since": ["7d"],
        "agent": ["support-agent"],
        "tool": ["delete_customer"],
        "status": ["denied"],
    }
    settled(page)
    became = page.locator(f"{ROWS} td:nth-child(5)").all_inner_texts()
    assert became
    assert all(text.startswith("denied") for text in became)


def test_pages_of_a_long_list(page: Page, site: Site) -> None:
    opened(page, site, "/search?since=7d&service=shop")
    seen: list[str] = []
    for _ in range(5):
        seen += [str(link.get_attribute("href")) for link in page.locator(f"{ROWS} td:first-child a").all()]
        page.get_by_role("link", name="Next page").click()
        settled(page)
    assert len(seen) == len(set(seen)) == 250
    expect(page.locator(ROWS)).to_have_count(10)
    expect(page.get_by_role("link", name="Next page")).to_have_count(0)


def test_searches_are_kept_in_this_browser_and_forgotten(page: Page, site: Site) -> None:
    path = "/search?since=7d&service=shop"
    opened(page, site, path)
    name = page.get_by_label("Keep this search as")
    name.fill("The <b>shop</b>")
    name.press("Enter")
    expect(page.get_by_role("status").filter(has_text="kept in this browser")).to_be_visible()
    opened(page, site, "/search")
    page.get_by_role("link", name="The <b>shop</b>").click()
    page.wait_for_url(site.url(path))
    page.get_by_role("button", name="Forget The <b>shop</b>").click()
    page.reload()
    expect(page.get_by_role("link", name="The <b>shop</b>")).to_have_count(0)


def test_what_is_not_a_view_in_the_browsers_store_is_left_out(page: Page, site: Site) -> None:
    opened(page, site, "/search")
    wrong = '{"name": "x", "path": "javascript:alert(1)"}, {"name": 1}, null'
    kept = f'[{wrong}, {{"name": "fine", "path": "/search"}}]'
    page.evaluate("kept => localStorage.setItem('views', kept)", kept)
    opened(page, site, "/search?since=1h")
    expect(page.locator("[data-views] .chip")).to_have_text(["fine"])
    page.evaluate("localStorage.setItem('views', 'nonsense')")
    opened(page, site, "/search?since=1h")
    expect(page.locator("[data-views] .chip")).to_have_count(0)


def test_the_data_and_the_query_behind_it(page: Page, site: Site) -> None:
    opened(page, site, "/search?since=7d&agent=mail-agent")
    data = page.get_by_role("navigation", name="Actions, newest first: data")
    answer = page.request.get(site.url(str(data.get_by_role("link", name="JSON").get_attribute("href"))))
    assert [item["action_id"] for item in answer.json()["items"]] == [incident.SENT_MAIL]
    csv = page.request.get(site.url(str(data.get_by_role("link", name="CSV").get_attribute("href")))).text()
    assert incident.SENT_MAIL in csv
    data.get_by_role("link", name="Query").click()
    expect(page.locator("main pre").first).to_contain_text("SELECT")


def test_it_holds(holds: Callable[[str], None]) -> None:
    holds("/search?since=7d")  # with everything hostile in it


def test_a_choice_holds(holds: Callable[[str], None]) -> None:
    holds(f"/search?id={story.CORRELATION}")


def test_a_hostile_id_is_a_text(page: Page, site: Site) -> None:
    opened(page, site, f"/search?agent={quote(incident.HOSTILE)}&since=7d")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(".narrow .chip")).to_contain_text("<script>alert(1)</script>")
    # What is sent again is in hidden fields as it was recorded; what is read has no controls.
    assert "\u202e" not in page.locator("body").inner_text()


def test_without_scripts_everything_is_there(browser_without_scripts: Page, site: Site) -> None:
    tab = browser_without_scripts
    tab.goto(site.url("/search?since=7d&agent=mail-agent"))
    expect(tab.locator(ROWS)).to_have_count(1)
    tab.goto(site.url("/search?since=7d&agent=mail-agent&all=1"))
    expect(tab.get_by_role("region", name="tool", exact=True)).to_be_visible()
