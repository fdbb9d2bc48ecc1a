"""Where a cell of a table leads: to whodid's own page about what it names, and to the dashboard about it."""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

from whodid.dashboards.pages.links import Links

TAG = "whodid"
UIDS = {
    "overview": "whodid-overview",
    "agent": "whodid-agent",
    "credential": "whodid-credential",
    "decisions": "whodid-decisions",
    "processor": "whodid-processor",
}
"""Each dashboard's id. Alert rules and bookmarks lead to them: they stay as they are."""

_SITE = "${whodid_url:raw}"
# The pages' addresses come with these in place of values; Grafana's expressions would be quoted.
_PLACES = {
    "TENANT": "${tenant:percentencode}",
    "SINCE": "${__from:date:iso}",
    "UNTIL": "${__to:date:iso}",
}
_PAGES = Links(tenant="TENANT")
_PERIOD = (("since", "SINCE"), ("until", "UNTIL"))
_ENTITIES = {
    "agent": "agent",
    "approver": "principal",
    "credential": "credential",
    "principal": "principal",
    "resource": "resource",
    "tool": "tool",
}
"""Which kind of entity a column names, by the column."""


def of_column(column: str) -> list[dict[str, object]]:
    """The links of a table's cells, by what the column is called; none where it names nothing."""
    pages: dict[str, Callable[[], str]] = {
        "action": lambda: _PAGES.action("ACTION"),
        "trace": lambda: _PAGES.trace("TRACE"),
        "span": lambda: _PAGES.span("TRACE", "SPAN"),
        # A table of things of several kinds says the kind beside the name.
        "name": lambda: _PAGES.entity("KIND", "NAME"),
    }
    links: list[dict[str, object]] = []
    if column in pages:
        links.append(_link(f"{column if column != 'name' else 'it'} in whodid", _page(pages[column]())))
    if column in _ENTITIES:
        page = _PAGES.entity(_ENTITIES[column], column.upper())
        links.append(_link(f"{_ENTITIES[column]} in whodid", _page(page)))
    if column == "credential":
        reach = _PAGES.blast_radius("credential", "CREDENTIAL", _PERIOD)
        links.append(_link("blast radius in whodid", _page(reach)))
    if column in ("agent", "credential"):
        links.append(_link(f"dashboard of the {column}", _dashboard(column)))
    return links


def to_question(name: str) -> DashboardLink:
    """A panel's link to the question behind it, for the dashboard's time."""
    page = _page(_PAGES.question(name, _PERIOD))
    return DashboardLink(f"ask {name} in whodid").url(page).target_blank(True)


def to_pages() -> DashboardLink:
    """A dashboard's link to whodid's first page."""
    return DashboardLink("whodid").url(_page(_PAGES.to("/"))).icon("external link").target_blank(True)


def to_dashboards() -> DashboardLink:
    """A dashboard's links to the others, which keep time, tenant and data source."""
    return (
        DashboardLink("dashboards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def _page(address: str) -> str:
    """A page's address with Grafana's expressions in it, percent-encoded: what a span says is hostile."""
    for place, expression in _PLACES.items():
        address = address.replace(place, expression)
    for column in ("action", "trace", "span", "kind", "name", *_ENTITIES):
        address = address.replace(column.upper(), _field(column))
    return _SITE + address


def _dashboard(kind: str) -> str:
    return (
        f"/d/{UIDS[kind]}?var-{kind}={_field(kind)}&${{datasource:queryparam}}&${{tenant:queryparam}}"
        "&${whodid_url:queryparam}&${__url_time_range}"
    )


def _field(column: str) -> str:
    return f"${{__data.fields.{column}:percentencode}}"


def _link(title: str, url: str) -> dict[str, object]:
    return {"title": title, "url": url, "targetBlank": True}
