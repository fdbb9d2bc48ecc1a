"""Tenants: on every row, apart in every question, with periods of their own, apart on the server too."""

from __future__ import annotations

import datetime
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.clickhouse import clickhouse
from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.processor.stages.seal import Sealed
from whodid.store import Store
from whodid.store.connection import Location, connect
from whodid.store.questions import UnknownIdError
from whodid.store.questions.who import WhoParameters, who
from whodid.store.retention import TABLES, Retention

ROOT = Path(__file__).parents[2]
TODAY = datetime.datetime.now(datetime.UTC).date()


def batch(tenant: str, *, days_ago: int = 0) -> Sealed:
    day = TODAY - datetime.timedelta(days=days_ago)
    noon_ns = (
        int(datetime.datetime(day.year, day.month, day.day, 0, 1, tzinfo=datetime.UTC).timestamp()) * 10**9
    )
    # A mode that nobody knows: a finding.
    span = Sent(start_ns=noon_ns, attributes=attribution("execute_tool", ATTRIBUTION_ACTION_MODE="odd"))
    return pipeline.run([request(span)], day, tenant=tenant)


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    client = connect(Location.parse(url))
    try:
        return client.query(statement).result_rows
    finally:
        client.close()


def test_a_tenant_is_on_every_row_and_asks_about_its_own(tmp_path: Path) -> None:
    url = f"chdb://{tmp_path / 'store'}"
    store = Store.open(url, tenant="acme")
    theirs = batch("umbrella")
    store.insert(batch("acme"), "1")
    store.insert(theirs, "2")
    for table in TABLES:
        assert run(url, f"SELECT DISTINCT tenant_id FROM whodid.{table} ORDER BY 1") == [
            ("acme",),
            ("umbrella",),
        ]
    span = theirs.spans.column("span_id")[0].as_py().hex()
    with pytest.raises(UnknownIdError):
        who(store.reader(), WhoParameters(id=span))
    assert who(store.reader("umbrella"), WhoParameters(id=span)).principal.id.value == "alice@acme.example"
    # The same id in both tenants is not two candidates.
    assert len(who(store.reader(), WhoParameters(id="action-1")).span_ids) == 1
    store.close()


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(30), {"acme": [20, 0], "b": [20, 0], "c": [20, 0]}),
        (Retention(30, {"acme": 7, "b": 365}), {"acme": [0], "b": [100, 20, 0], "c": [20, 0]}),
        (Retention(0, {"acme": 7}), {"acme": [0], "b": [100, 20, 0], "c": [100, 20, 0]}),
        (Retention(0), {"acme": [100, 20, 0], "b": [100, 20, 0], "c": [100, 20, 0]}),
    ],
    ids=["one for all", "by tenant", "for good but one", "for good"],
)
def test_what_is_over_is_deleted(tmp_path: Path, retention: Retention, left: dict[str, list[int]]) -> None:
    url = f"chdb://{tmp_path / 'store'}"
    store = Store.open(url, retention=Retention(0))
    for tenant in left:
        for days_ago in (100, 20, 0):
            store.insert(batch(tenant, days_ago=days_ago), f"{tenant} {days_ago}")
    store.close()
    # To data that is there, as when the setting is changed.
    Store.open(url, retention=retention).close()
    found: dict[str, dict[str, list[int]]] = {}
    for table in TABLES:
        # Merges do it, every few hours for each partition: here now.
        run(url, f"OPTIMIZE TABLE whodid.{table} FINAL SETTINGS mutations_sync = 1")
        for tenant, day in run(url, f"SELECT DISTINCT tenant_id, day FROM whodid.{table} ORDER BY 1, 2"):
            found.setdefault(table, {}).setdefault(tenant, []).append((TODAY - day).days)
    assert found["spans"] == found["findings"] == left
    # By the week: up to six days later.
    for table in ("trace_index", "actions_hourly", "id_times"):
        assert all(set(days) <= set(found[table][tenant]) for tenant, days in left.items())
        assert all(100 not in found[table][tenant] or 100 in days for tenant, days in left.items())


def test_a_change_of_the_period_is_one_and_back(tmp_path: Path) -> None:
    url = f"chdb://{tmp_path / 'store'}"
    for retention in (Retention(), Retention(30, {"acme": 7}), Retention(9), Retention(0), Retention()):
        Store.open(url, retention=retention).close()
        for table in TABLES:
            engine = run(url, f"SELECT engine_full FROM system.tables WHERE name = '{table}'")[0][0]
            assert (f" TTL {retention.ttl} " in engine) == bool(retention.ttl)
            assert f"ttl_only_drop_parts = {int(retention.drops_parts)}" in engine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server with the users.xml that the guide shows."""
    guide = (ROOT / "docs" / "store.md").read_text()
    users = guide.partition("```xml\n")[2].partition("```")[0]
    assert "<filter>" in users
    with clickhouse(tmp_path_factory.mktemp("server"), users=users) as running:
        store = Store.open(running.url)
        store.insert(batch("acme"), "1")
        store.insert(batch("umbrella"), "2")
        store.close()
        yield running.url.replace("127.0.0.1", "acme_reader:change-me@127.0.0.1")


def test_a_row_policy_hides_other_tenants_from_every_table_and_view(server: str) -> None:
    for table in (*TABLES, "otel_traces", "otel_traces_trace_id_ts"):
        column = "TenantId" if table.startswith("otel") else "tenant_id"
        assert run(server, f"SELECT DISTINCT {column} FROM whodid.{table}") == [("acme",)]
    service = server.replace("acme_reader:change-me@", "")
    assert run(service, "SELECT count(DISTINCT tenant_id) FROM whodid.spans") == [(2,)]


def test_the_questions_work_for_a_user_who_may_only_read(server: str) -> None:
    store = Store.open(server, tenant="acme")
    assert who(store.reader(), WhoParameters(id="action-1")).principal.id.value == "alice@acme.example"
    # Whoever asks as another tenant gets nothing from the server, whatever whodid would have answered.
    with pytest.raises(UnknownIdError):
        who(store.reader("umbrella"), WhoParameters(id="action-1"))
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO whodid.spans (tenant_id) VALUES ('acme')",
        "ALTER TABLE whodid.spans DELETE WHERE 1",
        "DROP TABLE whodid.findings",
        "CREATE ROW POLICY all ON whodid.spans USING 1 TO acme_reader",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    ],
)
def test_a_reader_can_do_nothing_else(server: str, statement: str) -> None:
    with pytest.raises(Exception, match=r"readonly|privileges|ACCESS_DENIED|READONLY"):
        run(server, statement)
