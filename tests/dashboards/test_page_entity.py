"""The pages of principals, agents, credentials, tools, resources and sessions, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.dashboards import incident
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

KINDS = {
    "principal": incident.ALICE,
    "agent": "support-agent",
    "credential": incident.MAIL_KEY,
    "tool": "send_mail",
    "resource": "order:1041",
    "session": incident.SESSION,
}


def opened(page: Page, site: Site, kind: str, id_: str = "", more: str = "") -> None:
    page.goto(site.url(f"/entity/{kind}?id={quote(id_ or KINDS[kind])}{more}"))
    settled(page)


@pytest.mark.parametrize("kind", KINDS)
def test_they_hold(holds: Callable[[str], None], kind: str) -> None:
    holds(f"/entity/{kind}?id={quote(KINDS[kind])}")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hostile_is_a_text(page: Page, site: Site, kind: str) -> None:
    opened(page, site, kind, incident.HOSTILE)
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("#panel-actions tbody tr")).to_have_count(1)
    assert page.locator("main img, main script[src], main [onerror]").count() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_has_seen_is_said(page: Page, site: Site, kind: str) -> None:
    opened(page, site, kind, "nobody-knows-this")
    expect(page.locator("#panel-actions")).to_contain_text("No action in this time")
    page.goto(site.url(f"/entity/{kind}"))
    expect(page.get_by_label(f"Which {kind}?")).to_be_visible()


def test_a_credentials_wrong_uses(page: Page, site: Site) -> None:
    opened(page, site, "credential")
    uses = page.locator("#panel-uses")
    expect(uses.get_by_role("alert").or_(uses.locator(".problem"))).to_contain_text("nightly-export")
    counts = [" ".join(text.split()) for text in uses.locator(".count").all_inner_texts()]
    assert counts == ["7 all uses", "6 by nobody enrolled", "6 outside its lifetime", "0 for another task"]
    uses.get_by_role("link", name="6 by nobody enrolled").click()
    page.wait_for_url("**only=unenrolled**")
    expect(page.locator("#panel-uses .record")).to_have_count(6)
    expect(page.locator("#panel-uses .record").first).to_contain_text("no agent says that it was it")


def test_a_credential_leads_to_everything_that_it_reached(page: Page, site: Site) -> None:
    opened(page, site, "credential")
    expect(page.locator(".neighbours")).to_contain_text("mail-agent")
    page.get_by_role("link", name="Blast radius").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(incident.MAIL_KEY)


def test_an_agents_own_panels(page: Page, site: Site) -> None:
    opened(page, site, "agent")
    expect(page.locator("#panel-autonomy .legend")).to_contain_text(
        "alone, after something else was approved"
    )
    expect(page.locator("#panel-conflicts .record").first).to_contain_text("the running copy")
    expect(page.locator("#panel-deputy .record").first).to_contain_text("the authority of bob@acme.example")
    expect(page.locator("#panel-retries .record")).to_contain_text("sha256:another-key")
    expect(page.locator("#panel-new-tools li").first).to_be_visible()
    expect(page.locator("#panel-over-time .uplot")).to_be_visible()
    expect(page.locator("#panel-findings tbody tr").first).to_be_visible()


def test_a_principal_sees_what_nobody_approved(page: Page, site: Site) -> None:
    opened(page, site, "principal")
    expect(page.locator("#panel-autonomy")).to_contain_text("Not approved by anybody")
    mail = page.locator("#panel-autonomy .record", has_text=incident.MAILBOX)
    expect(mail).to_contain_text("was approved by bob@acme.example")


def test_a_tools_changed_definition(page: Page, site: Site) -> None:
    opened(page, site, "tool")
    changed = page.locator("#panel-changed .record")
    expect(changed).to_contain_text("with a definition that nobody had approved")
    expect(changed).to_contain_text(incident.BOB)


def test_a_resource_says_who_touched_it(page: Page, site: Site) -> None:
    opened(page, site, "resource")
    tools = page.locator("#panel-touched-by").get_by_role("region", name="tool", exact=True).locator("li")
    assert sorted(" ".join(text.split()) for text in tools.all_inner_texts()) == [
        "lookup_order 1",
        "refund 1",
    ]


def test_a_session_leads_to_its_replay(page: Page, site: Site) -> None:
    opened(page, site, "session")
    page.get_by_role("link", name="Replay it, step by step").click()
    page.wait_for_url("**/replay?**")
