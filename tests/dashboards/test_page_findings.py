"""The findings, in a browser: by rule, by control, each with its span."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

RECORDS = "#panel-findings .record"


def opened(page: Page, site: Site, path: str) -> None:
    page.goto(site.url(path))
    settled(page)


def test_from_a_rule_to_the_span(page: Page, site: Site) -> None:
    opened(page, site, "/findings")
    page.locator("#panel-rules").get_by_role("link", name="action despite denial").click()
    page.wait_for_url("**rule=action_despite_denial**")
    record = page.locator(RECORDS)
    expect(record).to_have_count(1)
    expect(record).to_contain_text("delete_customer")
    record.get_by_role("link", name="action despite denial").click()
    page.wait_for_url("**/trace/*/span/*")


def test_by_control(page: Page, site: Site) -> None:
    opened(page, site, "/findings?rule=chain_broken")
    page.locator("#panel-controls").get_by_role("link", name="OWASP-T9").click()
    page.wait_for_url("**control=OWASP-T9**")
    expect(page.locator(RECORDS).first).to_contain_text("chain broken")
    page.get_by_role("link", name="control OWASP-T9").click()
    page.wait_for_url(site.url("/findings?rule=chain_broken"))


def test_a_control_that_no_rule_bears_on(page: Page, site: Site) -> None:
    opened(page, site, "/findings?control=NOTHING-1")
    expect(page.locator("#panel-findings .gaps")).to_contain_text("no rule bears on NOTHING-1")


def test_a_long_list_has_pages(page: Page, site: Site) -> None:
    opened(page, site, "/findings?severity=violation")
    first = page.locator(f"{RECORDS} .when a").first.get_attribute("href")
    expect(page.locator(RECORDS)).to_have_count(50)
    page.get_by_role("link", name="Next page").click()
    settled(page)
    expect(page.locator(RECORDS)).not_to_have_count(50)  # the second is the last
    assert page.locator(RECORDS).count() > 0
    assert page.locator(f"{RECORDS} .when a").first.get_attribute("href") != first


def test_it_holds(holds: Callable[[str], None]) -> None:
    holds("/findings")
