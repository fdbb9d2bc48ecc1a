"""The alert rules, as Grafana provisions them from a file: each a query in `sql/alerts/` and a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.models import alerting, expr
from grafana_foundation_sdk.models.common import DataSourceRef

from whodid.dashboards.grafana import contents, queries
from whodid.dashboards.grafana.board import Board
from whodid.dashboards.grafana.clickhouse import PLUGIN, ClickHouseQuery, Format
from whodid.dashboards.grafana.links import UIDS
from whodid.dashboards.grafana.queries import Databases, Query
from whodid.dashboards.pages.links import Links

DATASOURCE_UID = "whodid-clickhouse"
"""The data source that the rules ask, for a rule has no variables. `deploy/grafana` provisions it."""
FOLDER = "whodid"
EVERY = "1m"
HOUR_S, MINUTE_S = 3600, 60

_EXPRESSIONS = "__expr__"
# Grafana puts its environment's variable in when it reads the file, and a row's labels when the rule fires.
_SITE = "${WHODID_URL}"
_TENANT = "{{ .Labels.tenant | urlquery }}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule. It fires for each row of its query whose number is above the threshold."""

    name: str
    """Its query's file; its id in Grafana is made of it."""
    title: str
    severity: str
    summary: str
    """With the row's texts as `{{ .Labels.x }}` and its number as `{{ .Values.A }}`."""
    above: float
    panel: tuple[Callable[[Databases], Board], str]
    """What to look at: the dashboard's panel."""
    page: str
    """What to look at: whodid's page. A column's name in capitals is where its text comes in."""
    since_s: int = HOUR_S + MINUTE_S
    until_s: int = MINUTE_S
    """Which time it looks at, back from now. What is late by less than an hour is still seen; what began in
    the last minute is not yet: a tool's server may be faster with its span than the agent, which says who."""
    for_: str = "0s"
    without_rows: str = "OK"


_PAGES = Links(tenant="TENANT")
_RECENT = (("since", "2h"),)
RULES = (
    Rule(
        "unattributed",
        "Action for which nobody can be named",
        "critical",
        "{{ .Values.A }} actions in service {{ .Labels.service }}: no span says which agent acted, for whom, "
        "who started it, or for which task.",
        0,
        (contents.overview, "unattributed"),
        _PAGES.question("unattributed", _RECENT),
    ),
    Rule(
        "unenrolled_credential",
        "Credential used by an unenrolled agent",
        "critical",
        "Credential {{ .Labels.credential }} was used {{ .Values.A }} times, and no agent of ours says that "
        "it was it.",
        0,
        (contents.credential, "unenrolled"),
        _PAGES.entity("credential", "CREDENTIAL"),
    ),
    Rule(
        "denied_burst",
        "Agent denied again and again",
        "warning",
        '{{ or .Labels.agent "Somebody" }} was denied {{ .Values.A }} times within ten minutes.',
        4,
        (contents.decisions, "denials"),
        _PAGES.question("decisions", (("outcome", "deny"), ("agent", "AGENT"), *_RECENT)),
    ),
    Rule(
        "identity_mismatch",
        "Claimed identity is not the attested one",
        "critical",
        "{{ .Values.A }} spans claim to be {{ .Labels.claimed }}, which is not what was attested for their "
        "process.",
        0,
        (contents.decisions, "mismatches"),
        _PAGES.question("identity-conflicts", _RECENT),
    ),
    Rule(
        "processor_behind",
        "Processor behind",
        "warning",
        "Process {{ .Labels.instance }} has acknowledged requests that have been waiting for the store for "
        "{{ .Values.A }} seconds. Where no process is named, none reports: they are down, or their metrics "
        "do not arrive.",
        60,
        (contents.processor, "age"),
        "/readyz",
        since_s=5 * MINUTE_S,
        until_s=0,
        for_="2m",
        without_rows="Alerting",
    ),
)
"""One denial is a policy at work; five within ten minutes are an agent that tries doors."""


def provisioned(databases: Databases, datasource_uid: str = DATASOURCE_UID) -> Mapping[str, object]:
    """The file that Grafana reads from `provisioning/alerting`.

    It puts variables of its environment in where a text has `${NAME}`, except in a query.
    """
    group = {
        "orgId": 1,
        "name": "whodid",
        "folder": FOLDER,
        "interval": EVERY,
        "rules": [_rule(rule, databases, datasource_uid) for rule in RULES],
    }
    return {"apiVersion": 1, "groups": [group]}


def query_of(rule: Rule, databases: Databases) -> Query:
    return queries.read(f"alerts/{rule.name}", databases)


def _rule(rule: Rule, databases: Databases, datasource_uid: str) -> Mapping[str, object]:
    query = query_of(rule, databases)
    board = rule.panel[0](databases)
    return {
        "uid": f"whodid-{rule.name.replace('_', '-')}",
        "title": rule.title,
        "condition": "B",
        "data": [_asked(rule, query, datasource_uid), _compared(rule)],
        "dashboardUid": UIDS[board.name],
        "panelId": board.panels[rule.panel[1]],
        "noDataState": rule.without_rows,
        # A query that cannot be asked is not silence: it is an alert of its own (DatasourceError).
        "execErrState": "Error",
        "for": rule.for_,
        "annotations": {"summary": rule.summary, "description": query.about, "whodid": _page(rule, query)},
        "labels": {"severity": rule.severity, "source": "whodid"},
        "isPaused": False,
    }


def _asked(rule: Rule, query: Query, datasource_uid: str) -> alerting.Query:
    datasource = DataSourceRef(type_val=PLUGIN, uid=datasource_uid)
    return alerting.Query(
        datasource_uid=datasource_uid,
        # A table with one number becomes one value a row, with the texts as its labels.
        model=ClickHouseQuery(query.sql, Format.TABLE, datasource),
        ref_id="A",
        relative_time_range=alerting.RelativeTimeRange(rule.since_s, rule.until_s),
    )


def _compared(rule: Rule) -> alerting.Query:
    evaluator = expr.ExprTypeThresholdConditionsEvaluator(params=[rule.above], type_val="gt")
    return alerting.Query(
        datasource_uid=_EXPRESSIONS,
        model=expr.TypeThreshold(
            conditions=[expr.ExprTypeThresholdConditions(evaluator)],
            datasource=DataSourceRef(type_val=_EXPRESSIONS, uid=_EXPRESSIONS),
            expression="A",
            ref_id="B",
        ),
        ref_id="B",
        relative_time_range=alerting.RelativeTimeRange(rule.since_s, rule.until_s),
    )


def _page(rule: Rule, query: Query) -> str:
    """The page's address; what comes from spans is encoded, so that it stays one parameter."""
    page = rule.page.replace("TENANT", _TENANT)
    for column in query.columns:
        page = page.replace(column.upper(), f"{{{{ .Labels.{column} | urlquery }}}}")
    return _SITE + page
