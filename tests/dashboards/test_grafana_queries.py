"""Every query of the dashboards and alert rules, on a real store with traffic, incidents and metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.incident import Incident
from tests.benchmarks.scale import Scale
from tests.dashboards import grafana_data as data
from tests.dashboards.grafana_macros import ALL, Range, Values, expanded
from tests.spans import Sent, attribution, request
from whodid.dashboards.grafana import alerts, contents, files, queries
from whodid.dashboards.grafana.clickhouse import Format
from whodid.dashboards.grafana.queries import Databases, Query
from whodid.processor import pipeline
from whodid.semconv.attributes import (
    ATTRIBUTION_INITIATOR_ID,
    ATTRIBUTION_PRINCIPAL_ID,
    ATTRIBUTION_TASK_ID,
    GEN_AI_AGENT_NAME,
)
from whodid.store import Store
from whodid.store.connection import Location, connect
from whodid.store.questions import QUESTIONS

DATABASES = Databases()
SQL = Path(queries.__file__).parent / "sql"
NAMES = sorted(
    str(path.relative_to(SQL).with_suffix("")) for path in SQL.rglob("*.sql") if path.parent.name != "parts"
)
PANELS = {
    (board.name, panel["id"]): panel
    for board in (make(DATABASES) for make in contents.ALL)
    for panel in json.loads(files.rendered()[Path("dashboards", f"{board.name}.json")])["panels"]
}
SHOWN = re.compile(r"(LowCardinality\(String\)|String|U?Int64|Float64|DateTime(64)?(\(.*\))?)")
"""The types that the plugin shows as text, number or time; it has others, which it shows as JSON."""


@dataclass(frozen=True)
class Filled:
    """A store, what is in it, and the time of all that."""

    store: Store
    client: Any
    incidents: list[Incident]
    whole: Range

    def rows(self, sql: str, time: Range | None = None, values: Values | None = None) -> list[dict[str, Any]]:
        everything: Values = {"tenant": data.VICTIM, "agent": [ALL], "credential": [ALL], **(values or {})}
        result = self.client.query(expanded(sql, time or self.whole, everything))
        return list(result.named_results())

    def asked(self, question: str, tenant: str = data.VICTIM, **parameters: Any) -> Any:
        """What whodid itself answers, about the same time."""
        known = QUESTIONS[question]
        period = {"since": self.whole.since, "until": self.whole.until, "limit": 1_000}
        return known.ask(self.store.reader(tenant), known.parameters(**{**period, **parameters}))

    def planted(self, name: str) -> list[Incident]:
        return [incident for incident in self.incidents if incident.name == name]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    url = f"chdb://{tmp_path_factory.mktemp('grafana') / 'store'}"
    store = Store.open(url)
    client = connect(Location.parse(url))
    scale, incidents = data.fill(store, client)
    data.create_metrics(client)
    now = datetime.now(UTC)
    data.report(client, data.three_hours(now))
    yield Filled(store, client, incidents, _whole(scale, now))
    client.close()
    store.close()


def _whole(scale: Scale, now: datetime) -> Range:
    return Range(scale.begin - timedelta(hours=6), now, step_s=3_600)


def query(name: str) -> Query:
    return queries.read(name, DATABASES)


@pytest.mark.parametrize("name", NAMES)
def test_a_query_has_the_columns_that_it_says(filled: Filled, name: str) -> None:
    said = query(name)
    values: Values = {"tenant": data.VICTIM, "agent": [ALL], "credential": [ALL]}
    described = filled.client.query(f"DESCRIBE ({expanded(said.sql, filled.whole, values)})")
    assert {row[0]: row[1] for row in described.result_rows} == said.columns
    assert filled.rows(said.sql), "without rows nothing is tried"
    for column in said.columns.values():
        assert SHOWN.fullmatch(column)


@pytest.mark.parametrize(("board", "number"), PANELS, ids=str)
def test_a_panel_gets_what_it_can_draw(filled: Filled, board: str, number: int) -> None:
    (target,) = PANELS[board, number]["targets"]
    rows = filled.rows(target["rawSql"])
    name = next(
        name for name in NAMES if name.startswith(f"{board}/") and query(name).sql == target["rawSql"]
    )
    types = list(query(name).columns.values())
    if target["format"] == Format.TIME_SERIES:
        assert types[0].startswith("DateTime")
        assert [kind for kind in types[1:] if "String" not in kind] in (["UInt64"], ["Float64"])
        times = [row["time"] for row in rows]
        assert times == sorted(times), "the plugin refuses rows that are not in the order of time"
        points = [
            tuple(value for value in row.values() if not isinstance(value, int | float)) for row in rows
        ]
        assert len(points) == len(set(points)), "one point of a line at a time"
    if PANELS[board, number]["type"] == "stat":
        assert len(rows) == 1


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("alerts/", "processor/"))])
def test_a_tenant_sees_its_own_rows_only(filled: Filled, name: str) -> None:
    if name == "variables/tenant":
        return  # it lists the tenants that the data source's user may see
    theirs = filled.rows(query(name).sql, values={"tenant": "somebody else"})
    assert all(value == 0 for row in theirs for value in row.values())


def test_one_agent_can_be_chosen_and_its_name_is_only_a_text(filled: Filled) -> None:
    panel = query("agent/actions").sql
    everybody = {row["agent"] for row in filled.rows(panel)}
    assert len(everybody) > 2
    chosen = filled.rows(panel, values={"agent": ["research-agent", "billing-agent"]})
    assert {row["agent"] for row in chosen} == {"research-agent", "billing-agent"}
    assert filled.rows(panel, values={"agent": ["x') OR 1=1 OR ('' = '"]}) == []


class TestTheSameAsTheQuestions:
    """A dashboard that tells another story than whodid would be worse than none."""

    def test_unattributed(self, filled: Filled) -> None:
        rows = filled.rows(query("overview/unattributed").sql)
        answer = filled.asked("unattributed")
        assert len(answer.items) > 20
        assert {(row["trace"], row["action"], row["lacks"]) for row in rows} == {
            (item.trace_id, item.action_id or item.span_ids[0], _lacks(item)) for item in answer.items
        }
        (shown,) = filled.rows(query("overview/attention").sql)
        assert shown["unattributed"] == answer.action_count

    @pytest.mark.parametrize("tenant", [data.VICTIM, data.ORDINARY])
    def test_overview(self, filled: Filled, tenant: str) -> None:
        (shown,) = filled.rows(query("overview/totals").sql, values={"tenant": tenant})
        answer = filled.asked("overview", tenant, by=["agent"])
        assert shown["ran"] == sum(item.ran_count for item in answer.items)
        assert shown["held_back"] == sum(item.blocked_count for item in answer.items) > 0
        assert shown["agents"] == len({item.agent for item in answer.items} - {None, ""})

    def test_credential(self, filled: Filled) -> None:
        shown = {row["credential"]: row for row in filled.rows(query("credential/credentials").sql)}
        stolen = filled.planted("stolen credential")
        for incident in stolen:
            answer = filled.asked("credential", id=incident.parameters["id"])
            row = shown[incident.parameters["id"]]
            assert (row["uses"], row["unenrolled"]) == (answer.use_count, answer.unenrolled_count) == (7, 4)
        assert len(stolen) == 2

    def test_decisions(self, filled: Filled) -> None:
        denied = filled.asked("decisions", outcome="deny")
        shown = filled.rows(query("decisions/denials").sql)
        assert {row["action"] for row in shown} == {item.action_id for item in denied.items}
        assert len(shown) >= 12

    def test_identity_conflicts(self, filled: Filled) -> None:
        answer = filled.asked("identity-conflicts", kinds=["attested"])
        shown = filled.rows(query("decisions/mismatches").sql)
        assert {row["span"] for row in shown} == {span for item in answer.items for span in item.span_ids}
        assert len(shown) == 6


def _lacks(item: Any) -> str:
    return ", ".join(each for each in item.missing if each != "instance")


def test_what_was_there_before_is_not_new(filled: Filled) -> None:
    (first, second) = sorted(filled.planted("stolen credential"), key=lambda each: each.scene.at_ns)
    since = datetime.fromtimestamp(second.scene.at_ns / 1e9, UTC) - timedelta(hours=2)
    new = filled.rows(query("overview/new").sql, Range(since, filled.whole.until))
    named = {(row["kind"], row["name"]) for row in new}
    assert ("credential", second.parameters["id"]) in named
    assert ("credential", first.parameters["id"]) not in named
    assert ("agent", "billing-agent") not in named
    everything = {(row["kind"], row["name"]) for row in filled.rows(query("overview/new").sql)}
    assert {("agent", "billing-agent"), ("tool", "drop_table"), *named} <= everything


def test_a_processor_that_was_started_anew_did_not_store_less_than_nothing(filled: Filled) -> None:
    time = Range(filled.whole.until - timedelta(hours=3), filled.whole.until, step_s=60)
    stored = filled.rows(query("processor/stored").sql, time)
    rates = {row["rate"] for row in stored if row["what"] == "spans"}
    assert rates == {0, 5_000 / 60}, "nothing is known before the first report, and then it is even"
    (refused,) = filled.rows(query("processor/refused").sql, time)
    assert (refused["receiver"], refused["reason"]) == ("otlp_http_receiver", "413")
    assert refused["requests"] == pytest.approx(900, abs=10)
    latency = filled.rows(query("processor/latency").sql, time)
    assert {row["seconds"] for row in latency} == {10.0}


# --- alert rules ---


@dataclass(frozen=True)
class Fired:
    """What Grafana makes of a rule's answer: the labels and the value of each row above the threshold."""

    rows: list[tuple[dict[str, str], float]]

    def labels(self, tenant: str) -> list[dict[str, str]]:
        return [labels for labels, _ in self.rows if labels.get("tenant") == tenant]


def evaluated(filled: Filled, rule: alerts.Rule, at: datetime, *, since: datetime | None = None) -> Fired:
    """The rule as Grafana evaluates it at that moment; `since`: as if it looked back so far."""
    begin = since or at - timedelta(seconds=rule.since_s)
    time = Range(begin, at - timedelta(seconds=rule.until_s))
    said = alerts.query_of(rule, DATABASES)
    texts = [name for name, kind in said.columns.items() if "String" in kind]
    (number,) = [name for name in said.columns if name not in texts]
    rows = filled.rows(said.sql, time)
    return Fired(
        [({name: row[name] for name in texts}, row[number]) for row in rows if row[number] > rule.above]
    )


RULES = {rule.name: rule for rule in alerts.RULES}
AFTERWARDS = timedelta(minutes=5)


def when(incident: Incident) -> datetime:
    """A few minutes after it."""
    last_ns = max(span.start_ns for _, _, span in incident.scene.sent)
    return datetime.fromtimestamp(last_ns / 1e9, UTC) + AFTERWARDS


@pytest.mark.parametrize(
    ("rule", "incident", "expected"),
    [
        ("unattributed", "unattributed", {"service": "shadow"}),
        ("unattributed", "stolen credential", {"service": "unknown-0"}),
        ("unenrolled_credential", "stolen credential", {"credential": "its id"}),
        ("denied_burst", "probing", {"agent": "research-agent"}),
        ("identity_mismatch", "impostor", {}),
    ],
)
def test_a_rule_fires_on_its_incident_and_not_a_day_earlier(
    filled: Filled, rule: str, incident: str, expected: dict[str, str]
) -> None:
    for planted in filled.planted(incident):
        wanted = {
            key: planted.parameters["id"] if text == "its id" else text for key, text in expected.items()
        }
        fired = evaluated(filled, RULES[rule], when(planted)).labels(data.VICTIM)
        assert any(labels.items() >= wanted.items() for labels in fired)
        assert evaluated(filled, RULES[rule], when(planted) - timedelta(days=1)).labels(data.VICTIM) == []


@pytest.mark.parametrize(
    "rule", ["unattributed", "unenrolled_credential", "denied_burst", "identity_mismatch"]
)
def test_no_rule_fires_on_six_days_of_ordinary_traffic(filled: Filled, rule: str) -> None:
    fired = evaluated(filled, RULES[rule], filled.whole.until, since=filled.whole.since)
    assert fired.labels(data.VICTIM), "it looked at all of it"
    assert fired.labels(data.ORDINARY) == []


@pytest.mark.parametrize(
    ("minutes", "fires"),
    [
        ((0, 1, 2, 3), False),
        ((0, 2, 4, 6, 8), True),
        ((0, 3, 6, 9, 12), False),
        ((0, 20, 22, 24, 26, 28), True),
    ],
)
def test_a_burst_is_five_denials_within_ten_minutes(
    filled: Filled, minutes: tuple[int, ...], fires: bool
) -> None:
    tenant = f"burst/{'-'.join(map(str, minutes))}"
    began = datetime.now(UTC) - timedelta(minutes=50)
    denials = [
        Sent(
            attributes=attribution(
                "evaluate_policy",
                ATTRIBUTION_ACTION_ID=f"action-{minute}",
                ATTRIBUTION_POLICY_DECISION_ID=f"decision-{minute}",
                ATTRIBUTION_POLICY_DECISION_OUTCOME="deny",
                ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked",
            ),
            start_ns=int((began + timedelta(minutes=minute)).timestamp() * 1e9),
        )
        for minute in minutes
    ]
    # Sent twice, as senders do: counted once.
    for token in ("first", "again"):
        filled.store.insert(pipeline.run([request(*denials)], tenant=tenant), f"{tenant} {token}")
    fired = evaluated(filled, RULES["denied_burst"], began + timedelta(minutes=49)).labels(tenant)
    assert fired == ([{"tenant": tenant, "agent": "support-agent"}] if fires else [])


def test_an_action_is_judged_when_the_agent_had_time_to_say_that_it_was_it(filled: Filled) -> None:
    tenant, now = "late", datetime.now(UTC)
    trace, action = b"\x01" * 16, {"ATTRIBUTION_ACTION_ID": "late action", "MCP_METHOD_NAME": "tools/call"}
    said_by_agents = (
        GEN_AI_AGENT_NAME,
        ATTRIBUTION_PRINCIPAL_ID,
        ATTRIBUTION_INITIATOR_ID,
        ATTRIBUTION_TASK_ID,
    )
    began_ns = int(now.timestamp() * 1e9)

    def arrives(span: Sent, token: str) -> None:
        filled.store.insert(pipeline.run([request(span)], tenant=tenant), token)

    server = attribution("execute_tool", **action)
    for name in said_by_agents:
        del server[name]
    arrives(Sent(attributes=server, trace_id=trace, start_ns=began_ns), "the tool's server")
    rule = RULES["unattributed"]
    assert evaluated(filled, rule, now + timedelta(seconds=30)).labels(tenant) == []
    late = evaluated(filled, rule, now + timedelta(seconds=90)).labels(tenant)
    assert late == [{"tenant": tenant, "service": "tests"}]
    whole = Sent(attributes=attribution("execute_tool", **action), trace_id=trace, start_ns=began_ns)
    arrives(whole, "the agent")
    assert evaluated(filled, rule, now + timedelta(seconds=90)).labels(tenant) == []


def test_a_processor_that_is_behind_is_told_by_name_and_silence_is_an_alert(filled: Filled) -> None:
    rule, now = RULES["processor_behind"], filled.whole.until
    assert evaluated(filled, rule, now).rows == []
    data.report(filled.client, [data.Report(now - timedelta(seconds=15), "two:1:0", 100, age_s=90.0)])
    try:
        assert evaluated(filled, rule, now).rows == [({"instance": "two:1:0"}, 90.0)]
        said = alerts.query_of(rule, DATABASES)
        later = now + timedelta(hours=1)
        assert filled.rows(said.sql, Range(later - timedelta(minutes=5), later)) == []
        assert rule.without_rows == "Alerting"
    finally:
        filled.client.command("DELETE FROM otel.otel_metrics_gauge WHERE Value = 90")
