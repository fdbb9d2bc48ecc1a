"""The store: the same on an embedded engine and on a server; migrated, deduplicated, upgraded, refused."""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.clickhouse import clickhouse
from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.processor.arrow import pa
from whodid.processor.stages.seal import Sealed
from whodid.store import Store, StoreRefusedError, StoreUnavailableError
from whodid.store import store as store_module
from whodid.store.connection import Location, StoreUrlError, connect
from whodid.store.migrations import STEPS, SchemaError
from whodid.store.payload import Payload
from whodid.store.questions.who import WhoParameters, who
from whodid.store.retention import Retention
from whodid.store.schema import registry_columns, span_columns


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running.url.removesuffix("/whodid")


@pytest.fixture(params=["embedded", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "embedded":
        return f"chdb://{tmp_path / 'store'}"
    name = "".join(char if char.isalnum() else "_" for char in tmp_path.name)
    return f"{request.getfixturevalue('server')}/{name}"


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    """A statement on the store's database, past whodid."""
    location = Location.parse(url)
    client = connect(location)
    try:
        return client.query(statement.replace("{database}", location.database)).result_rows
    finally:
        client.close()


def batch() -> Sealed:
    return pipeline.run([request(*(Sent(attributes=attribution("execute_tool")) for _ in range(3)), Sent())])


def test_what_is_inserted_is_there_and_once_for_a_token(url: str) -> None:
    store = Store.open(url)
    one = batch()
    for _ in range(3):
        store.insert(one, "segment-1")
    store.insert(batch(), "segment-2")
    record = who(store.reader(), WhoParameters(id=one.spans.column("span_id")[0].as_py().hex()))
    store.close()
    assert record.principal.id.value == "alice@acme.example"
    assert run(url, "SELECT count() FROM {database}.spans") == [(8,)]


def test_the_parts_of_a_payload_are_one_insert_with_all_their_rows(url: str) -> None:
    store = Store.open(url)
    payload = Payload.of([pipeline.run([]), batch(), batch()])
    for _ in range(2):
        store.send(payload, "segment-1")
    store.close()
    assert payload.spans.row_count == 8
    parts = "SELECT rows FROM system.parts WHERE active AND table = 'spans' AND database = '{database}'"
    assert run(url, parts) == [(8,)]
    found = "SELECT rule, count() FROM {database}.findings GROUP BY rule"
    assert dict(run(url, found)) == payload.found


def test_a_payload_of_nothing_changes_nothing(url: str) -> None:
    store = Store.open(url)
    store.send(Payload.of([pipeline.run([])]), "segment-1")
    store.close()
    assert run(url, "SELECT count() FROM {database}.spans") == [(0,)]
    with pytest.raises(ValueError, match="at least one part"):
        Payload.of([])


def test_what_is_stored_is_what_was_sealed(url: str) -> None:
    sent = batch()
    store = Store.open(url)
    store.insert(sent, "segment-1")
    store.close()
    client = connect(Location.parse(url))
    columns = ", ".join(f"`{name}`" for name in span_columns())
    query = f"SELECT {columns} FROM {Location.parse(url).database}.spans ORDER BY start_time"
    stored: Any = client.query_arrow(query, use_strings=True)
    client.close()
    assert stored.to_pylist() == sent.spans.to_pylist()


def test_opening_twice_changes_nothing(url: str) -> None:
    Store.open(url).close()
    columns = "SELECT name, type FROM system.columns WHERE database = '{database}' ORDER BY 1, 2"
    before = run(url, columns)
    Store.open(url).close()
    assert run(url, columns) == before
    noted = run(url, "SELECT version FROM {database}.schema_migrations WHERE version > 0 ORDER BY 1")
    assert noted == [(step.version,) for step in STEPS]


def test_a_store_of_an_older_registry_gets_the_columns_that_it_lacks(url: str) -> None:
    store = Store.open(url)
    store.insert(batch(), "segment-1")
    store.close()
    column = registry_columns()[-1].column_name
    run(url, f"ALTER TABLE {{database}}.spans DROP COLUMN {column}")
    store = Store.open(url)
    store.insert(batch(), "segment-2")
    store.close()
    assert run(url, f"SELECT count({column}) FROM {{database}}.spans") == [(8,)]


def test_retention_is_set_and_changed(url: str) -> None:
    ttl = "SELECT engine_full FROM system.tables WHERE database = '{database}' AND name = 'spans'"
    Store.open(url).close()
    assert "toIntervalDay(30)" in run(url, ttl)[0][0]
    Store.open(url, retention=Retention(3)).close()
    assert "toIntervalDay(3)" in run(url, ttl)[0][0]
    Store.open(url, retention=Retention(0)).close()
    assert "toIntervalDay" not in run(url, ttl)[0][0]


def test_a_migration_that_meant_something_else_is_refused(url: str) -> None:
    Store.open(url).close()
    run(url, "TRUNCATE TABLE {database}.schema_migrations")
    run(url, "INSERT INTO {database}.schema_migrations (version, checksum) VALUES (1, 'other')")
    with pytest.raises(SchemaError) as raised:
        Store.open(url)
    assert "WHODID_STORE__DATABASE" in raised.value.hint


def test_rows_that_the_store_can_never_take_are_told_apart(url: str) -> None:
    store = Store.open(url)
    good = batch()
    wrong = Sealed(good.spans.append_column("nonsense", pa.array([1] * good.spans.num_rows)), good.findings)
    with pytest.raises(StoreRefusedError):
        store.insert(wrong, "segment-1")
    store.close()


@pytest.mark.parametrize("code", [242, 243, 252, 241, 202, 159, 60, 81, 516, 497, 164, 209, 210, 999, None])
def test_what_is_the_servers_state_is_tried_again(code: int | None) -> None:
    error = Exception("the server's words")
    error.code = code  # type: ignore[attr-defined]
    assert isinstance(store_module._translated(error, Location("whodid")), StoreUnavailableError)  # pyright: ignore[reportPrivateUsage]


def test_a_table_that_was_dropped_is_tried_again(url: str) -> None:
    store = Store.open(url)
    run(url, "RENAME TABLE {database}.spans TO {database}.elsewhere")
    with pytest.raises(StoreUnavailableError):
        store.insert(pipeline.run([request(Sent())]), "token")
    run(url, "RENAME TABLE {database}.elsewhere TO {database}.spans")
    store.insert(pipeline.run([request(Sent())]), "token")
    store.close()


def test_a_server_that_is_away() -> None:
    with pytest.raises(StoreUnavailableError) as raised:
        Store.open("clickhouse://someone:hunter2@127.0.0.1:9/whodid")
    assert "127.0.0.1:9" in raised.value.cause
    assert "WHODID_STORE__URL" in raised.value.hint
    assert "hunter2" not in raised.value.cause + raised.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chdb://",
        "postgres://host/db",
        "clickhouse://",
        "clickhouse://host:notaport/db",
        "clickhouse://host/drop table",
        "clickhouse://user:hunter2@host/a;b",
    ],
)
def test_a_url_that_makes_no_sense(url: str) -> None:
    with pytest.raises(StoreUrlError) as raised:
        Location.parse(url)
    assert raised.value.hint
    assert "hunter2" not in raised.value.cause


def test_urls() -> None:
    assert Location.parse("clickhouse://host").port == 8123
    secure = Location.parse("clickhouses://me:p%40ss@host/audit")
    assert (secure.port, secure.secure, secure.database) == (8443, True, "audit")
    assert (secure.username, secure.password) == ("me", "p@ss")
    assert "p@ss" not in repr(secure) + secure.description
    assert Location.parse("chdb:///a%20b").path == "/a b"


@pytest.fixture(autouse=True)
def quiet() -> None:
    # The client logs what it also raises.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
