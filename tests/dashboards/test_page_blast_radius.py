"""The blast radius, in a browser: as a graph and as tables."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.dashboards import incident
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled

PATH = f"/blast-radius?kind=credential&id={quote(incident.MAIL_KEY)}"


def test_from_a_credential_to_all_that_it_reached(page: Page, site: Site) -> None:
    page.goto(site.url(PATH))
    settled(page)
    totals = [" ".join(text.split()) for text in page.locator(".totals div").all_inner_texts()]
    assert totals[:3] == ["actions ran 7", "changed something 1", "held back 0"]
    resources = page.get_by_role("region", name="resources 7")
    expect(resources.get_by_role("link", name=incident.MAILBOX)).to_be_visible()
    expect(page.locator(".gaps")).to_contain_text("6 actions name no agent")
    page.locator(".kind", has_text="agents").get_by_role("link", name="mail-agent").click()
    page.wait_for_url("**/entity/agent?id=mail-agent")


def test_the_graph_is_drawn_and_walked_with_the_keyboard(page: Page, site: Site) -> None:
    page.goto(site.url(PATH))
    settled(page)
    graph = page.get_by_role("application")
    expect(graph.locator("canvas").first).to_be_visible()
    graph.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".graph-told")).to_contain_text(incident.ALICE)
    page.keyboard.press("Enter")
    page.wait_for_url("**/entity/principal?**")


def test_the_form_asks_from_another_start(page: Page, site: Site) -> None:
    page.goto(site.url("/blast-radius"))
    page.get_by_role("combobox", name="from").select_option("agent")
    page.get_by_label("called").fill("shop-agent-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**kind=agent&id=shop-agent-1**")
    settled(page)
    expect(page.get_by_role("region", name="sessions 13")).to_be_visible()
    expect(page.locator("#panel-reached")).to_contain_text("The picture has the 40 steps")


def test_a_window_without_anything_says_so(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("status of 404")
    page.goto(site.url(f"{PATH}&since=10m"))
    expect(page.get_by_role("alert")).to_contain_text("no action in the store has the credential")


def test_it_holds(holds: Callable[[str], None]) -> None:
    holds(PATH)


def test_a_hostile_start_holds(holds: Callable[[str], None]) -> None:
    holds(f"/blast-radius?kind=agent&id={quote(incident.HOSTILE)}")
