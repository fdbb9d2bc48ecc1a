"""The approvals, in a browser: asked for, answered, used, expired or never used."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.dashboards import incident
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

RECORDS = "#panel-approvals .record"


def opened(page: Page, site: Site, path: str) -> None:
    page.goto(site.url(path))
    settled(page)


def test_who_approved_what_and_what_ran_under_it(page: Page, site: Site) -> None:
    opened(page, site, f"/approvals?id={incident.REFUND_APPROVAL}")
    record = page.locator(RECORDS)
    expect(record).to_have_count(1)
    expect(record).to_contain_text("what was approved is what ran")
    expect(record).to_contain_text(incident.BOB)
    expect(record.locator(".uses")).to_contain_text("refund succeeded")
    record.locator(".uses a").first.click()
    page.wait_for_url(f"**/action/{incident.REFUNDED}")


def test_what_became_of_others(page: Page, site: Site) -> None:
    opened(page, site, f"/approvals?agent=support-agent&approver={quote(incident.BOB)}")
    expect(page.locator(RECORDS, has_text="approval-unused")).to_contain_text("never used")
    expect(page.locator(RECORDS, has_text="approval-refused")).to_contain_text("refused")
    opened(page, site, "/approvals?status=pending")
    assert page.locator(RECORDS).count() >= 1
    expect(page.locator(RECORDS, has_text="approval-waiting")).to_contain_text("nobody has answered it")


def test_nothing_with_these_properties(page: Page, site: Site) -> None:
    opened(page, site, "/approvals?approver=nobody")
    expect(page.locator("#panel-approvals")).to_contain_text("No approval in this time with these properties")


def test_it_holds(holds: Callable[[str], None]) -> None:
    holds("/approvals")
