"""The page of an action, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from playwright.sync_api import Page, expect

from tests.dashboards import story
from tests.dashboards.conftest import Site
from tests.dashboards.looking import settled
from whodid.store.flat import visible


def opened(page: Page, site: Site, id_: str) -> None:
    page.goto(site.url(f"/action/{id_}"))
    settled(page)


def account(page: Page) -> list[str]:
    """The lines at the top, without the marks of evidence."""
    lines = page.locator(".account li").all_inner_texts()
    marks = ("self asserted", "propagated", "missing", "verified")
    told = [" ".join(line.split()) for line in lines]
    return [
        next((line.removesuffix(each).strip() for each in marks if line.endswith(each)), line)
        for line in told
    ]


def test_what_a_human_did_and_what_the_agent_did_are_told_apart(page: Page, site: Site) -> None:
    opened(page, site, story.MAIL)
    assert account(page) == [
        "HUMAN alice@acme.example began it, and lent the agent the authority for it",
        "POLICY allow-support let it through",
        "APPROVER bob@acme.example approved exactly this",
        "AGENT support-agent did what was approved; it succeeded",
    ]


def test_what_the_agent_did_by_itself_after_an_approval_of_something_else(page: Page, site: Site) -> None:
    opened(page, site, story.REFUND)
    lines = account(page)
    assert lines[-1].startswith(
        "AGENT support-agent did it by itself, after something else had been approved"
    )
    assert not [line for line in lines if line.startswith("APPROVER")]


def test_a_denied_action_did_not_run(page: Page, site: Site) -> None:
    opened(page, site, story.DELETE)
    expect(page.locator(".headline .mark").first).to_have_text("denied")
    assert "POLICY forbid-deletion held it back: “a customer is deleted by a human alone”" in account(page)


def test_what_nobody_says_is_told_as_missing(page: Page, site: Site) -> None:
    opened(page, site, story.NIGHT)
    lines = account(page)
    assert "? No span says who or what began it." in lines
    assert "? No span says for whom it was done." in lines
    assert "? No decision of a policy about it is recorded." in lines
    assert page.locator(".parts .evidence.missing").count() > 10


def levels(record: Any) -> list[str]:
    """The level of evidence of each answer in a record; what kind somebody is goes with who it is."""
    if isinstance(record, list):
        return [level for each in cast("list[Any]", record) for level in levels(each)]
    if not isinstance(record, dict):
        return []
    fields = cast("dict[str, Any]", record)
    if set(fields) == {"value", "evidence", "spans"}:
        return [fields["evidence"]]
    is_party = set(fields) == {"type", "id"}
    return [
        level for name, each in fields.items() if not (is_party and name == "type") for level in levels(each)
    ]


def test_each_answer_has_its_level_of_evidence(page: Page, site: Site) -> None:
    opened(page, site, story.MAIL)
    shown = page.locator(".parts dd .evidence").all_inner_texts()
    told = levels(site.running.ask(f"who?id={story.MAIL}"))
    assert sorted(text.replace(" ", "_") for text in shown) == sorted(told)


def test_the_decision_with_its_inputs_and_whether_they_are_the_recorded_ones(page: Page, site: Site) -> None:
    opened(page, site, story.MAIL)
    inputs = page.get_by_role("region", name="The decision's inputs")
    expect(inputs.get_by_role("row", name="amount 120")).to_be_visible()
    expect(page.get_by_text("its digest is the recorded one")).to_be_visible()


def test_what_came_before_it_comes_later_by_itself(page: Page, site: Site) -> None:
    opened(page, site, story.MAIL)
    before = page.locator("#panel-before")
    expect(before.get_by_role("link", name="lookup_order")).to_be_visible()
    expect(before.get_by_role("link", name="CSV")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("Trace aaaaaaaa…", f"/trace/{story.SUPPORT_TRACE}"),
        ("Delegation", f"/delegation/{story.MAIL}?of=action"),
        ("Replay of the session", f"/replay?session={story.SESSION}"),
        ("What else the agent reached", "/blast-radius?kind=agent&id=support-agent"),
    ],
)
def test_the_ways_on(page: Page, site: Site, name: str, address: str) -> None:
    opened(page, site, story.MAIL)
    page.get_by_role("navigation", name="Go on from here").get_by_role("link", name=name).click()
    expect(page).to_have_url(site.url(address))
    expect(page.locator(".problem")).to_have_count(0)


def test_findings_and_spans_lead_to_their_span(page: Page, site: Site) -> None:
    opened(page, site, story.REFUND)
    found = page.get_by_role("region", name="What the validator found")
    row = found.get_by_role("row").filter(has_text="credential not valid")
    expect(row.get_by_role("link")).to_have_attribute(
        "href", f"/trace/{story.SUPPORT_TRACE}/span/aaaaaaaa0000000c"
    )


@pytest.mark.parametrize("id_", ["call-action-mail", "aaaaaaaa0000000a"])
def test_any_id_of_it_leads_to_it(page: Page, site: Site, id_: str) -> None:
    opened(page, site, id_)
    expect(page.locator(".headline")).to_contain_text("send_mail")


def test_an_id_of_several_actions_leads_to_each(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("409")
    answer = page.goto(site.url(f"/action/{story.CORRELATION}"))
    assert answer is not None
    assert answer.status == 409
    # Which of them something came before is not known: not asked, now or later.
    assert page.locator("#panel-before").count() == 0
    page.get_by_role("link", name=story.SEARCH).click()
    expect(page.locator(".headline")).to_contain_text("web_search")


def test_an_unknown_id_says_so(page: Page, site: Site, expected: list[str]) -> None:
    expected.append("404")
    answer = page.goto(site.url("/action/nobody-knows"))
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("alert").first).to_contain_text("nobody-knows")


def test_hostile_text_is_shown_and_does_nothing(page: Page, site: Site) -> None:
    opened(page, site, "action-hostile")
    assert page.title() != "owned"
    assert page.locator("main img, main script:not([type='application/json'])").count() == 0
    text = page.locator("main").inner_text()
    assert visible(story.HOSTILE) in text
    assert not {"\u202e", "\u2066"} & set(page.content())


def test_without_scripts_all_of_it_is_a_link_away(site: Site, browser_without_scripts: Page) -> None:
    page = browser_without_scripts
    page.goto(site.url(f"/action/{story.MAIL}"))
    expect(page.locator(".account li")).to_have_count(4)
    page.get_by_role("link", name="Show it").click()
    expect(page.locator("#panel-before tbody tr")).not_to_have_count(0)


@pytest.mark.parametrize("id_", [story.MAIL, story.NIGHT, "action-hostile"])
def test_it_holds(holds: Callable[[str], None], id_: str) -> None:
    holds(f"/action/{id_}")
