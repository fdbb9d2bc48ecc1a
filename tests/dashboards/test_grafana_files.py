"""The dashboards and alert rules as files: fresh, as Grafana's own types have them, and leading somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import alerting
from starlette.routing import compile_path

from whodid.cli.main import main
from whodid.dashboards.grafana import alerts, clickhouse, contents, files, queries
from whodid.dashboards.grafana.links import UIDS
from whodid.dashboards.grafana.queries import Databases, Query
from whodid.dashboards.pages.catalogue import PAGES
from whodid.dashboards.pages.links import ENTITIES
from whodid.semconv.attributes import ATTRIBUTION_FINDING_RULE
from whodid.semconv.registry import ATTRIBUTES
from whodid.store.questions import QUESTIONS

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "dashboards" / "grafana"
RENDERED = files.rendered()
BOARDS = {path.stem: json.loads(text) for path, text in RENDERED.items() if path.parent.name == "dashboards"}
RULES: list[Any] = json.loads(RENDERED[Path("alerting", "whodid.json")])["groups"][0]["rules"]
QUERIES = Path(queries.__file__).parent / "sql"
SQL = {path.relative_to(QUERIES): path.read_text() for path in QUERIES.glob("*/*.sql")}
# A link is a bookmark of somebody: these stay.
KNOWN_UIDS = {
    "overview": "whodid-overview",
    "agent": "whodid-agent",
    "credential": "whodid-credential",
    "decisions": "whodid-decisions",
    "processor": "whodid-processor",
}
KNOWN_RULES = {
    "whodid-unattributed",
    "whodid-unenrolled-credential",
    "whodid-denied-burst",
    "whodid-identity-mismatch",
    "whodid-processor-behind",
}


@pytest.fixture(scope="module", autouse=True)
def _plugins() -> None:
    register_default_plugins()
    clickhouse.register()


def objects(content: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(content, dict):
        found = cast("dict[str, Any]", content)
        yield found
        content = list(found.values())
    if isinstance(content, list):
        for child in cast("list[Any]", content):
            yield from objects(child)


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            yield name, panel


def query_of(board: str, panel: dict[str, Any]) -> Query:
    """The query that a panel has, by its text."""
    for path in SQL:
        read = queries.read(f"{path.parent.name}/{path.stem}", Databases())
        if path.parent.name == board and read.sql == panel["targets"][0]["rawSql"]:
            return read
    raise AssertionError(f"{board}: {panel['title']} has a query of its own")


def test_what_is_committed_is_fresh() -> None:
    assert files.stale(COMMITTED, RENDERED) == [], "run `whodid dashboards grafana`"
    there = {path.relative_to(COMMITTED) for path in COMMITTED.rglob("*") if path.is_file()}
    assert there == set(RENDERED), "what nothing generates would go on being provisioned"


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    run = CliRunner().invoke
    command = ["dashboards", "grafana", "--out", str(tmp_path)]
    refused = run(main, [*command, "--check"])
    assert refused.exit_code == 1
    assert "overview.json" in refused.stderr
    assert refused.stderr.endswith("hint: write them with `whodid dashboards grafana`\n")
    written = run(main, command)
    assert sorted(written.stdout.split()) == sorted(str(tmp_path / path) for path in RENDERED)
    assert run(main, [*command, "--check"]).exit_code == 0
    assert run(main, command).stdout == "", "nothing was stale"
    (tmp_path / "dashboards" / "agent.json").write_text("{}")
    assert run(main, [*command, "--check"]).exit_code == 1
    assert run(main, command).stdout.strip() == str(tmp_path / "dashboards" / "agent.json")


def test_other_databases_and_another_data_source(tmp_path: Path) -> None:
    names = ("--database", "audit", "--metrics-database", "telemetry", "--datasource-uid", "P1")
    done = CliRunner().invoke(main, ["dashboards", "grafana", "--out", str(tmp_path), *names])
    assert done.exit_code == 0
    text = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert "audit.spans" in text
    assert "telemetry.otel_metrics_gauge" in text
    assert '"P1"' in text
    assert not re.search(r"whodid\.(spans|findings|actions_hourly|id_times)|otel\.otel_", text)
    refused = CliRunner().invoke(main, ["dashboards", "grafana", "--database", "a; DROP TABLE spans"])
    assert refused.exit_code == 1
    assert "is no name for a database" in refused.stderr


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_read_and_written_again_is_the_same(name: str) -> None:
    # Its module warns when it is imported, unless ours was imported before.
    from grafana_foundation_sdk.models.dashboard import Dashboard

    def again(board: dict[str, Any]) -> Any:
        return json.loads(JSONEncoder().encode(Dashboard.from_json(board)))

    assert again(BOARDS[name]) == BOARDS[name]
    wrong = json.loads(json.dumps(BOARDS[name]).replace('"rawSql"', '"rawSQL"').replace('"unit"', '"units"'))
    with pytest.raises((AssertionError, KeyError)):
        assert again(wrong) == wrong


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_a_rules_queries_read_and_written_again_are_the_same(rule: dict[str, Any]) -> None:
    for query in rule["data"]:
        assert json.loads(JSONEncoder().encode(alerting.Query.from_json(query))) == query
    asked, compared = rule["data"]
    assert compared["model"]["expression"] == asked["refId"] == asked["model"]["refId"]
    assert rule["condition"] == compared["refId"] == compared["model"]["refId"]
    assert asked["datasourceUid"] == asked["model"]["datasource"]["uid"] == alerts.DATASOURCE_UID
    known = {"uid", "title", "condition", "data", "dashboardUid", "panelId", "noDataState", "execErrState"}
    assert set(rule) == known | {"for", "annotations", "labels", "isPaused"}, "keys of Grafana's file format"
    assert rule["noDataState"] in ("OK", "Alerting", "NoData", "KeepLast")
    assert rule["execErrState"] in ("OK", "Alerting", "Error", "KeepLast")


def test_ids_are_stable_and_unique() -> None:
    assert {name: board["uid"] for name, board in BOARDS.items()} == KNOWN_UIDS == UIDS
    assert {rule["uid"] for rule in RULES} == KNOWN_RULES
    assert len(RULES) == len(KNOWN_RULES)
    for board in BOARDS.values():
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


def test_a_dashboard_names_no_data_source_but_the_viewers_choice() -> None:
    for board in BOARDS.values():
        sources = [each["datasource"] for each in objects(board) if "datasource" in each]
        assert len(sources) > 2 * len(board["panels"])
        assert all(source == {"type": clickhouse.PLUGIN, "uid": "${datasource}"} for source in sources)
        assert "whodid-clickhouse" not in json.dumps(board)
        (choice,) = [each for each in board["templating"]["list"] if each["type"] == "datasource"]
        assert (choice["name"], choice["query"]) == ("datasource", clickhouse.PLUGIN)


def test_every_variable_that_is_used_is_one_of_the_dashboard() -> None:
    of_grafana = {"__from", "__to", "__url_time_range", "__data", "__all"}
    macros = {"timeFilter_ms", "timeInterval", "conditionalAll", "interval_s", "fromTime", "toTime"}
    known_macros = {f"__{name}" for name in macros | {"fromTime_ms", "toTime_ms"}}
    for board in BOARDS.values():
        names = {each["name"] for each in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(board)))
        assert used - of_grafana - known_macros <= names
        assert names <= used, "a choice that changes nothing"


def test_every_row_of_a_tenant_goes_through_the_tenants_condition() -> None:
    of_store = re.compile(r"FROM whodid\.(\w+)")
    checked = 0
    for name, panel in panels():
        sql = panel["targets"][0]["rawSql"]
        tables = of_store.findall(sql)
        if not tables:
            assert name == "processor"
            assert "otel.otel_metrics_" in sql
            continue
        assert sql.count(queries.OF_TENANT) == len(tables), sql
        # A condition in parentheses with an OR beside it would hold for some rows only.
        assert len(re.findall(rf"WHERE {re.escape(queries.OF_TENANT)} AND", sql)) == len(tables)
        checked += 1
    assert checked > 30
    for rule in alerts.RULES[:-1]:
        assert "tenant" in alerts.query_of(rule, Databases()).columns


def test_links_lead_to_pages_about_what_the_cell_names() -> None:
    seen = set[str]()
    for name, panel in panels():
        columns = set(query_of(name, panel).columns)
        for each in objects(panel):
            if "url" not in each:
                continue
            url = str(each["url"])
            path = urlsplit(url.replace("${whodid_url:raw}", "")).path.split("/")
            seen.add(path[1])
            fields = re.findall(r"\$\{__data\.fields\.(\w+):(\w+)\}", url)
            assert {field for field, _ in fields} <= columns, f"{panel['title']}: {url}"
            assert all(form == "percentencode" for _, form in fields), "what a span says stays one value"
            assert len(fields) == url.count("__data.fields")
            assert not re.search(r"[A-Z]{4}", unquote(url)), f"something was not put in: {url}"
            assert path[1] != "questions" or path[2] in QUESTIONS
    assert seen == {"action", "trace", "entity", "blast-radius", "questions", "d"}


def test_links_and_alerts_lead_to_pages_that_are_there() -> None:
    routes = [compile_path(page.path)[0] for page in PAGES]
    addresses = {str(each["url"]) for _, panel in panels() for each in objects(panel) if "url" in each}
    addresses |= {rule["annotations"]["whodid"] for rule in RULES}
    addresses |= {str(link["url"]) for board in BOARDS.values() for link in board["links"] if "url" in link}
    checked = 0
    for address in addresses:
        # A value that is put in is one that a page can be asked about; the kinds of entities are a few.
        kinds = [address.replace("${__data.fields.kind:percentencode}", kind) for kind in ENTITIES]
        for each in kinds if kinds[0] != address else [address]:
            path = urlsplit(re.sub(r"^\$\{\w+(:raw)?\}|[{$][^/?&]*\}", "x", each).removeprefix("x")).path
            if not path.startswith("/d/") and path != "/readyz":
                assert any(route.fullmatch(path) for route in routes), f"{each}: there is no page {path}"
                checked += 1
    assert checked > 15


@pytest.mark.parametrize("rule", alerts.RULES, ids=lambda rule: rule.name)
def test_a_rule_tells_what_its_row_says_and_leads_to_a_panel_and_a_page(rule: alerts.Rule) -> None:
    (made,) = [each for each in RULES if each["uid"] == f"whodid-{rule.name.replace('_', '-')}"]
    columns = alerts.query_of(rule, Databases()).columns
    texts = " ".join(made["annotations"].values())
    assert set(re.findall(r"\.Labels\.(\w+)", texts)) <= {
        name for name, kind in columns.items() if "String" in kind
    }
    # Grafana reads `$` as a variable of its environment; a template's own variables would be lost.
    assert set(re.findall(r"\$\S+", texts.replace("${WHODID_URL}", ""))) == set()
    page = made["annotations"]["whodid"]
    assert page.startswith("${WHODID_URL}/")
    assert page.count("{{ .Labels") == page.count("| urlquery }}")
    (board,) = [each for each in BOARDS.values() if each["uid"] == made["dashboardUid"]]
    assert made["panelId"] in {panel["id"] for panel in board["panels"]}


def test_panels_fill_their_rows_and_lie_on_no_other() -> None:
    for board in BOARDS.values():
        taken = set[tuple[int, int]]()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
            }
            assert not taken & cells
            assert at["x"] + at["w"] <= 24
            taken |= cells


def test_every_panel_says_what_it_tells() -> None:
    titles = [(name, panel["title"]) for name, panel in panels()]
    assert len(set(titles)) == len(titles)
    assert all(panel["description"].endswith(".") for _, panel in panels())


def test_no_query_is_without_a_panel() -> None:
    used = {(name, panel["targets"][0]["rawSql"]) for name, panel in panels()}
    assert len(used) == sum(path.parent.name in BOARDS for path in SQL)
    assert {path.stem for path in SQL if path.parent.name == "alerts"} == {rule.name for rule in alerts.RULES}


def test_names_in_queries_are_names_of_the_conventions() -> None:
    """Whether a column is there ClickHouse says; a rule or metric that nobody has would only find nothing."""
    everything = "\n".join(SQL.values())
    values = set(ATTRIBUTES[ATTRIBUTION_FINDING_RULE].values)
    found = set(re.findall(r"rule = '(\w+)'", everything))
    for several in re.findall(r"rule IN \(([^)]*)\)", everything):
        found |= set(re.findall(r"'(\w+)'", several))
    assert {"identity_mismatch", "credential_not_valid"} <= found <= values
    told = (ROOT / "docs" / "telemetry.md").read_text()
    metrics = set(re.findall(r"'(whodid\.[a-z_.]+)'", everything))
    assert len(metrics) > 6
    assert all(f"| `{name}` |" in told for name in metrics)


def test_a_board_is_made_for_every_id() -> None:
    assert [make(Databases()).name for make in contents.ALL] == list(UIDS)
