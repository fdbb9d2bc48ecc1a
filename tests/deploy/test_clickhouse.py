"""deploy/clickhouse on a real engine: each user can do what it is for, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.dashboards import grafana_data
from tests.dashboards.grafana_macros import Range, expanded
from tests.deploy.deployed import Server, deployed
from tests.spans import Sent, attribution, request
from whodid.dashboards.grafana import alerts, queries
from whodid.dashboards.grafana.queries import Databases
from whodid.processor import pipeline
from whodid.store import Store, schema
from whodid.store.layout import Layout
from whodid.store.questions import QUESTIONS
from whodid.store.retention import Retention


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with deployed(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    """With the processor's tables and an action, made as the processor's user, and the collector's tables."""
    store = Store.open(server.url)
    store.insert(pipeline.run([request(Sent(attributes=attribution("execute_tool")))]), "one")
    store.close()
    collector = server.client("collector")
    grafana_data.create_metrics(collector)
    grafana_data.report(collector, grafana_data.three_hours(datetime.now(UTC)))
    collector.close()
    return server


def test_a_wrong_password_opens_nothing(server: Server) -> None:
    for user in ("whodid", "collector", "grafana"):
        for password in ("", "of-somebody-else"):
            with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED"):
                server.client(user, password)


def test_the_processors_user_can_do_all_that_the_processor_does(filled: Server) -> None:
    store = Store.open(filled.url)
    try:
        lacking, cost = store.inspect(Layout("whodid"), Retention())
        assert lacking == []
        assert cost is not None
        assert next(each.rows for each in cost.tables if each.table == "spans") == 1
        # Other periods are another TTL.
        store.bring_up_to_date(Layout("whodid"), Retention(7))
        store.bring_up_to_date(Layout("whodid"), Retention())
        question = QUESTIONS["who"]
        assert question.ask(store.reader(), question.parameters(id="action-1")).action_id == "action-1"
    finally:
        store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE whodid.spans",
        "TRUNCATE TABLE whodid.spans",
        "DELETE FROM whodid.spans WHERE true",
        "ALTER TABLE whodid.spans DELETE WHERE true",
        "ALTER TABLE whodid.spans UPDATE attribution_principal_id = 'eve' WHERE true",
        "ALTER TABLE whodid.spans DROP PARTITION '2026-11-26'",
        "CREATE USER eve",
        "SELECT * FROM otel.otel_metrics_gauge",
    ],
)
def test_the_processors_user_can_do_no_more(filled: Server, statement: str) -> None:
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        filled.client("whodid").command(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM whodid.spans",
        "INSERT INTO whodid.findings (rule) VALUES ('x')",
        "DROP TABLE otel.otel_metrics_sum",
    ],
)
def test_the_collectors_user_has_the_metrics_and_no_span(filled: Server, statement: str) -> None:
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        filled.client("collector").command(statement)


def test_grafanas_user_may_ask_every_query_with_the_setting_of_the_plugin(filled: Server) -> None:
    grafana = filled.client("grafana")
    now = datetime.now(UTC)
    time = Range(now - timedelta(hours=1), now + timedelta(minutes=1))
    values = {"tenant": "", "agent": ["$__all"], "credential": ["$__all"]}
    names = sorted(
        f"{path.parent.name}/{path.stem}"
        for path in Path(queries.__file__).parent.glob("sql/*/*.sql")
        if path.parent.name != "parts"
    )
    assert len(names) > 40
    for name in names:
        sql = expanded(queries.read(name, Databases()).sql, time, values)
        grafana.query(sql, settings={"max_execution_time": 60})
    (rule,) = [each for each in alerts.RULES if each.name == "processor_behind"]
    behind = grafana.query(expanded(alerts.query_of(rule, Databases()).sql, time)).result_rows
    assert behind == [("one:1:0", 0.0)]


@pytest.mark.parametrize(
    "columns",
    ["*", "attributes", "attributes_other", "status_message", "`events.attributes`", "scope_attributes"],
)
def test_grafanas_user_sees_no_content(filled: Server, columns: str) -> None:
    """Of what people and models said whodid's pages record who saw it."""
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        filled.client("grafana").query(f"SELECT {columns} FROM whodid.spans")
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        filled.client("grafana").query("SELECT * FROM whodid.otel_traces")


def test_grafanas_user_has_the_columns_of_the_queries_and_no_other(filled: Server) -> None:
    said = "\n".join(path.read_text() for path in Path(queries.__file__).parent.glob("sql/*/*.sql"))
    # `attributes` is one of the metrics' here.
    used = {name for name in schema.span_columns() if re.search(rf"\b{name}\b", said)} - {
        "attributes",
        "name",
    }
    granted = filled.client("grafana").query("SHOW GRANTS").result_rows
    (of_spans,) = [grant for (grant,) in granted if "whodid.spans" in grant]
    assert set(re.findall(r"\w+", of_spans.partition("(")[2].partition(")")[0])) == used


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO whodid.findings (rule) VALUES ('x')",
        "ALTER TABLE whodid.spans DELETE WHERE true",
        "TRUNCATE TABLE whodid.spans",
        "CREATE TABLE whodid.other (a UInt8) ENGINE = Memory",
        "SELECT * FROM url('http://127.0.0.1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'CSV', 'a String')",
        "SELECT * FROM system.users",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 SETTINGS max_execution_time = 600",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_grafanas_user_changes_nothing_and_goes_nowhere(filled: Server, statement: str) -> None:
    with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY|SETTING_CONSTRAINT_VIOLATION"):
        filled.client("grafana").command(statement)
