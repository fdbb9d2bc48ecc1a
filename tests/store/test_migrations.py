"""The schema's steps: shown, applied twice and at once, and to a store with data in it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.clickhouse import clickhouse
from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.store import Store, ledger, surroundings
from whodid.store.connection import Location, connect
from whodid.store.layout import Layout
from whodid.store.migrations import STEPS, apply, create_all, pending
from whodid.store.retention import TABLES, Retention

LAYOUTS = (Layout("whodid"), Layout("whodid", "main"), Layout("whodid", "main", keeper=False))
DERIVED = ("trace_index", "actions_hourly", "id_times")
COUNTS = (
    "SELECT * EXCEPT (actions, errors, day), sum(actions) AS n, sum(errors) AS wrong "
    "FROM {database}.actions_hourly GROUP BY ALL ORDER BY ALL"
)
BOUNDS = (
    "SELECT hex(trace_id), min(first_time), max(last_time) FROM {database}.trace_index GROUP BY 1 ORDER BY 1"
)
TIMES = "SELECT DISTINCT tenant_id, id_hash, step, day FROM {database}.id_times ORDER BY ALL"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running.url.removesuffix("/whodid")


@pytest.fixture
def url(server: str, tmp_path: Path) -> str:
    return f"{server}/{''.join(char if char.isalnum() else '_' for char in tmp_path.name)}"


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    location = Location.parse(url)
    client = connect(location)
    try:
        return client.query(statement.replace("{database}", location.database)).result_rows
    finally:
        client.close()


def at_once(count: int, url: str) -> None:
    """Several processes' worth of opening one store."""
    failed: list[Exception] = []
    barrier = threading.Barrier(count)

    def opening() -> None:
        barrier.wait()
        try:
            Store.open(url).close()
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=opening) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def some_spans(url: str, tokens: range) -> None:
    store = Store.open(url)
    for token in tokens:
        spans = [Sent(attributes=attribution("execute_tool"), error=number % 3 == 0) for number in range(7)]
        store.insert(pipeline.run([request(*spans, Sent())]), f"segment-{token}")
    store.close()


def back_to_the_first_step(url: str) -> None:
    for view in ("otel_traces", "otel_traces_trace_id_ts", *(f"{name}_view" for name in DERIVED), *DERIVED):
        run(url, f"DROP TABLE {{database}}.{view}")
    run(url, "ALTER TABLE {database}.spans DROP INDEX by_trace_text SETTINGS mutations_sync = 1")
    run(url, "DELETE FROM {database}.schema_migrations WHERE version > 1 OR name = 'views'")


def test_a_store_that_lacks_nothing_is_only_read(url: str) -> None:
    layout = Layout(Location.parse(url).database)
    client = connect(Location.parse(url))
    assert len(pending(client, layout, Retention())) == len(STEPS) + 2
    done = apply(client, layout, Retention())
    assert [f"step {step.version}: {step.name}" for step in STEPS] == [
        each for each in done if "step" in each
    ]
    assert pending(client, layout, Retention()) == ()
    assert apply(client, layout, Retention()) == ()
    # Another setting is the only thing that is done then.
    assert apply(client, layout, Retention(7)) == ("retention: 7 days",)
    client.close()


def test_at_once_from_nothing(url: str) -> None:
    at_once(4, url)
    some_spans(url, range(2))
    assert run(url, "SELECT count() FROM {database}.spans") == [(16,)]


def test_a_store_with_data_is_upgraded_and_counts_all_of_it_once(url: str) -> None:
    some_spans(url, range(3))
    counts, bounds, times = run(url, COUNTS), run(url, BOUNDS), run(url, TIMES)
    assert times
    assert sum(row[-2] for row in counts) == 21
    back_to_the_first_step(url)
    at_once(4, url)
    assert run(url, COUNTS) == counts
    assert run(url, BOUNDS) == bounds
    assert run(url, TIMES) == times
    assert run(url, "SELECT count() FROM {database}.otel_traces") == [(24,)]
    some_spans(url, range(3, 4))
    assert sum(row[-2] for row in run(url, COUNTS)) == 28


def test_an_upgrade_that_died_halfway_is_completed(url: str) -> None:
    some_spans(url, range(3))
    counts = run(url, COUNTS)
    back_to_the_first_step(url)
    Store.open(url).close()
    # As if it had died before it could note what it had done.
    run(url, "DELETE FROM {database}.schema_migrations WHERE version > 1")
    Store.open(url).close()
    assert run(url, COUNTS) == counts


def of_before_the_first_release(statement: str) -> str:
    """Step 1's table of spans as it was while resources and scopes were maps in every row."""
    kept = "Map(LowCardinality(String), String) CODEC(ZSTD(1))"
    names = [f"{name}_attributes{kind}" for name in surroundings.SURROUNDINGS for kind in ("", "_other")]
    maps = ", ".join(f"`{name}` {kept}" for name in names)
    now = ", ".join(f"`{name}` {definition}" for name, definition in surroundings.fields().items())
    return statement.replace(f", {now}", "").replace("`events.time`", f"{maps}, `events.time`")


def test_a_store_with_maps_for_resources_is_taken_on(url: str) -> None:
    layout = Layout(Location.parse(url).database)
    former = [of_before_the_first_release(each) for each in STEPS[0].make(Layout("whodid"))]
    (checksum,) = STEPS[0].former
    assert hashlib.sha256("\n".join(former).encode()).hexdigest() == checksum
    run(url.rpartition("/")[0] + "/default", f"CREATE DATABASE {layout.database}")
    for statement in (
        *ledger.create(layout),
        *(of_before_the_first_release(each) for each in STEPS[0].make(layout)),
        ledger.note(layout, 1, STEPS[0].name, checksum),
        "INSERT INTO {database}.spans (day, trace_id, span_id, start_time, resource_attributes, "
        "resource_attributes_other) VALUES (today(), 'a', 'a', now(), {'b': 'x/y'}, {'c': '1', 'd': 'NaN'})",
    ):
        run(url, statement)
    assert run(url, "SHOW TABLES FROM {database}")
    at_once(2, url)
    some_spans(url, range(1))
    # As an older version would insert it, which goes on while the others are upgraded.
    columns = "day, trace_id, span_id, resource_attributes"
    run(url, f"INSERT INTO {{database}}.spans ({columns}) VALUES (today(), 'b', 'b', {{'e': 'f'}})")
    said = run(url, "SELECT DISTINCT resource FROM {database}.spans ORDER BY resource")
    assert [json.loads(text) for (text,) in said] == [
        {"b": "x/y", "c": 1, "d": {"$json": "NaN"}},
        {"e": "f"},
        {"service.name": "tests"},
    ]
    views = run(url, "SELECT DISTINCT ResourceAttributes AS said FROM {database}.otel_traces ORDER BY said")
    assert {"b": "x/y", "c": "1", "d": "NaN"} in [said for (said,) in views]
    client = connect(Location.parse(url))
    assert pending(client, layout, Retention()) == ()
    client.close()


def test_the_maps_are_read_from_the_texts(url: str) -> None:
    some_spans(url, range(1))
    asked = "SELECT DISTINCT resource_attributes, scope_attributes FROM {database}.spans"
    assert run(url, asked) == [({"service.name": "tests"}, {})]


def test_an_older_version_leaves_a_newer_store_as_it_is(url: str) -> None:
    some_spans(url, range(1))
    run(url, "ALTER TABLE {database}.spans ADD COLUMN of_the_future String")
    run(url, "CREATE OR REPLACE VIEW {database}.otel_traces AS SELECT of_the_future FROM {database}.spans")
    run(url, "INSERT INTO {database}.schema_migrations (version, name) VALUES (99, 'later'), (0, 'views')")
    some_spans(url, range(1, 2))
    columns = "SELECT name FROM system.columns WHERE database = '{database}' AND table = 'otel_traces'"
    assert run(url, columns) == [("of_the_future",)]


@pytest.mark.parametrize("retention", [Retention(), Retention(0), Retention(30, {"acme": 7, "b": 365})])
@pytest.mark.parametrize("layout", LAYOUTS, ids=["single", "cluster", "cluster without Keeper"])
def test_clickhouse_can_read_every_statement(server: str, layout: Layout, retention: Retention) -> None:
    statements = create_all(layout, retention)
    client = connect(Location.parse(f"{server}/whodid"))
    for statement in statements:
        # Its parser alone: it raises for what is no statement.
        assert client.query("SELECT formatQuery({text:String})", parameters={"text": statement}).result_rows
    client.close()
    text = "\n".join(statements)
    assert ("ON CLUSTER `main`" in text) == layout.replicated
    assert text.count(" ENGINE = Distributed('main', 'whodid', ") == (len(TABLES) if layout.cluster else 0)
    replicated = text.count("ENGINE = Replicated")
    assert replicated == (len(TABLES) + 1 if layout.replicated else 0)


def test_in_a_cluster_every_change_reaches_every_server() -> None:
    for statement in create_all(LAYOUTS[1], Retention()):
        assert " ON CLUSTER `main`" in statement or statement.startswith("INSERT INTO")


def test_a_checksum_is_that_of_the_step_and_of_nothing_else() -> None:
    assert len({step.checksum for step in STEPS}) == len(STEPS)
    assert [step.version for step in STEPS] == list(range(1, len(STEPS) + 1))
