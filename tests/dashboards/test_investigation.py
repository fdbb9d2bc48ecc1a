"""An incident is solved by clicking: from an alert's link to the human, the approval and the blast radius."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.dashboards import incident
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

ALERTS = Path(__file__).parents[2] / "dashboards/grafana/alerting/whodid.json"


def link_of(rule: str, site: Site, **labels: str) -> str:
    """What Grafana makes of an alert's link when the rule fires."""
    rules = {each["uid"]: each for each in json.loads(ALERTS.read_text())["groups"][0]["rules"]}
    link = str(rules[f"whodid-{rule}"]["annotations"]["whodid"])
    for name, text in {"tenant": "", **labels}.items():
        link = link.replace(f"{{{{ .Labels.{name} | urlquery }}}}", quote(text, safe=""))
    link = link.replace("${WHODID_URL}", site.url(""))
    assert "{{" not in link
    return link


def test_from_an_alert_to_the_human_the_approval_and_the_blast_radius(page: Page, site: Site) -> None:
    # The alert: a credential is used by somebody whom no agent of ours is.
    page.goto(link_of("unenrolled-credential", site, credential=incident.MAIL_KEY))
    settled(page)
    expect(page.locator("#panel-uses")).to_contain_text("Used by somebody who is not enrolled")
    # One of its uses was right: it shows whose the credential is.
    uses = page.locator("#panel-uses .record")
    uses.filter(has_text="as issued").get_by_role("link").filter(has=page.locator("time")).first.click()
    settled(page)
    # The human: Alice began it, and nobody approved this.
    record = page.locator("#panel-record, main").first
    expect(record).to_contain_text("send_mail")
    expect(record.get_by_role("link", name=incident.ALICE).first).to_be_visible()
    expect(record).to_contain_text("did it by itself, after something else had been approved")
    expect(record).not_to_contain_text(incident.BOB)
    # The approval, of the refund before it: by Bob.
    page.get_by_role("link", name=re.compile("^Trace ")).first.click()
    settled(page)
    page.get_by_role("link", name=re.compile("execute_tool refund")).first.click()
    settled(page)
    if "/span/" in page.url:
        page.get_by_role("link", name=re.compile("action", re.IGNORECASE)).first.click()
        settled(page)
    expect(page.locator("main")).to_contain_text(incident.BOB)
    # Back to the mail, and what else its credential reached.
    page.goto(site.url(f"/action/{incident.SENT_MAIL}"))
    settled(page)
    page.get_by_role("link", name="What else the credential reached").click()
    settled(page)
    reached = page.locator("main")
    for number in range(6):
        expect(reached.get_by_role("link", name=f"mailto:list-{number}@rival.example")).to_be_visible()
    expect(reached).to_contain_text("nightly-export")
