"""The decisions, in a browser: their inputs, and what other policies would have said."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.dashboards import incident
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

NO_MAIL = """permit(principal, action, resource);
@id("no-mail") forbid(principal, action, resource == Tool::"send_mail");"""
RECORDS = "main .record"


def opened(page: Page, site: Site, path: str) -> None:
    page.goto(site.url(path))
    settled(page)


def ask(page: Page, policy: str, *, only_changed: bool = False) -> None:
    page.get_by_text("What if the policies had been others?").click()
    page.get_by_label("Cedar policies").fill(policy)
    page.get_by_label("only what they would turn").set_checked(only_changed)
    page.get_by_role("button", name="Ask").click()


def test_a_decision_with_its_inputs(page: Page, site: Site) -> None:
    opened(page, site, f"/decisions?id={incident.MAIL_DECISION}")
    record = page.locator(RECORDS)
    expect(record).to_have_count(1)
    expect(record).to_contain_text("tools-of-support")
    record.get_by_text("match their digest").click()
    expect(record.locator("pre")).to_contain_text('"mode": "autonomous_after_approval"')
    record.get_by_role("link", name="succeeded").click()
    page.wait_for_url(f"**/trace/{incident.TRACE.hex()}/span/{incident.MAIL_SPAN.hex()}")


def test_what_does_not_fit_is_told(page: Page, site: Site) -> None:
    opened(page, site, "/decisions?id=decision-despite")
    expect(page.locator(RECORDS)).to_contain_text("the action ran although it was blocked")


def test_filters(page: Page, site: Site) -> None:
    opened(page, site, "/decisions")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_role("combobox", name="outcome").select_option("deny")
    page.get_by_role("textbox", name="tool").fill("delete_customer")
    page.keyboard.press("Enter")
    page.wait_for_url("**outcome=deny**")
    expect(page.locator(RECORDS)).to_have_count(3)
    page.get_by_role("link", name="nothing-is-deleted").click()
    expect(page.locator(RECORDS)).to_have_count(1)


def test_what_other_policies_would_have_said_is_a_link(page: Page, site: Site) -> None:
    opened(page, site, f"/decisions?principal={quote(incident.ALICE)}&policy_id=acme-agents")
    ask(page, NO_MAIL)
    page.wait_for_url("**policy=permit**")
    mail = page.locator(RECORDS, has_text=incident.MAILBOX)
    expect(mail).to_contain_text("forbidden by no-mail")
    page.reload()
    expect(page.locator("#panel-what-if .totals")).to_contain_text("would be deny")
    expect(page.get_by_label("Cedar policies")).to_have_value(NO_MAIL)


def test_only_what_they_would_turn(page: Page, site: Site) -> None:
    opened(page, site, "/decisions?policy_id=acme-agents&agent=mail-agent")
    ask(page, NO_MAIL, only_changed=True)
    page.wait_for_url("**only_changed=true**")
    expect(page.locator(RECORDS)).to_have_count(1)


def test_policies_that_are_too_long_for_a_link(page: Page, site: Site) -> None:
    opened(page, site, "/decisions?policy_id=acme-agents")
    ask(page, f"// {'x' * 20_000}\n{NO_MAIL}")
    expect(page.locator("#panel-what-if")).to_contain_text("too long for a link")
    expect(page.locator(RECORDS, has_text=incident.MAILBOX)).to_contain_text("forbidden by no-mail")
    assert "policy=" not in page.url


def test_what_is_no_policy(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("status of 400")
    opened(page, site, "/decisions")
    ask(page, "let everything pass")
    expect(page.get_by_role("alert")).to_contain_text("the policies cannot be read")


def test_a_form_of_another_page_is_refused(page: Page, site: Site) -> None:
    answer = page.request.post(
        site.url("/decisions"), form={"policy": NO_MAIL, "csrf_token": "f" * 64}, max_redirects=0
    )
    assert answer.status == 403
    assert "does not come from a page of this session" in answer.text()
    foreign = page.request.post(
        site.url("/decisions"), form={"policy": NO_MAIL}, headers={"origin": "https://elsewhere.example"}
    )
    assert foreign.status == 403


def test_it_holds(holds: Callable[[str], None]) -> None:
    holds("/decisions")


def test_what_if_holds(holds: Callable[[str], None]) -> None:
    holds(f"/decisions?policy={quote(NO_MAIL)}")
