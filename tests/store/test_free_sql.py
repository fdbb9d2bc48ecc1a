"""A SELECT by hand reads one tenant's rows and nothing else, and writes nothing, however it is put."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.asked import fill
from whodid.store import QueryTooBroadError, SqlError, Store
from whodid.store.free_sql import Rows, SqlParameters, select


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('sql') / 'store'}")
    fill(opened)
    yield opened
    opened.close()


def run(store: Store, query: str, tenant: str = "", limit: int = 100) -> Rows:
    return select(store.reader(tenant), SqlParameters(query=query, limit=limit))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count() FROM spans",
        "select count() from whodid.spans; ",
        "WITH x AS (SELECT * FROM spans) SELECT count() FROM x -- and a comment",
        "SELECT count() FROM spans AS s WHERE s.trace_id IN (SELECT trace_id FROM spans)",
        "(SELECT count() FROM spans)",
        "SELECT count() FROM otel_traces",
        "SELECT toUInt64(sum(n)) FROM (SELECT count() AS n FROM spans UNION ALL SELECT count() FROM spans) "
        "WHERE n IN (SELECT number FROM numbers(10))",
    ],
)
def test_a_tenant_reads_its_own_rows_however_it_asks(store: Store, query: str) -> None:
    own = run(store, query).rows[0][0]
    assert own == (6 if "sum(" in query else 3)
    assert run(store, query, "other").rows[0][0] == 0


def test_a_select_may_read_nothing(store: Store) -> None:
    assert run(store, "SELECT 1 + 1 UNION ALL SELECT 2").rows == [[2], [2]]


def test_ids_times_and_maps_are_what_json_has(store: Store) -> None:
    found = run(store, "SELECT trace_id, start_time, attributes, nan AS n, trace_id FROM spans")
    trace, time, attributes, nan, again = found.rows[0]
    assert found.columns.count("trace_id") == 2
    assert (len(trace), nan, again) == (32, "nan", trace)
    assert time.endswith("Z")
    assert isinstance(attributes, dict)


def test_more_rows_than_asked_for_are_said_to_be_there(store: Store) -> None:
    found = run(store, "SELECT span_id FROM spans LIMIT 50", limit=2)
    assert (len(found.rows), found.truncated) == (2, True)
    assert not run(store, "SELECT span_id FROM spans", limit=3).truncated


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE spans",
        "INSERT INTO spans SELECT * FROM spans",
        "INSERT INTO FUNCTION file('{out}', 'CSV') SELECT 1",
        "SELECT 1 INTO OUTFILE '{out}'",
        "SELECT 1) INTO OUTFILE '{out}' --",
        "SELECT 1; DROP TABLE spans",
        "SELECT 1 FORMAT CSV",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT file('/etc/hostname')",
        "SELECT 1 WHERE 'x' IN (SELECT * FROM file('/etc/hostname', 'LineAsString'))",
        "SELECT 1 WHERE 'x' IN file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM `file`('/etc/hostname', 'LineAsString')",
        "SELECT * FROM FILE('/etc/hostname', 'LineAsString')",
        "SELECT * FROM merge('whodid', '.*')",
        "SELECT * FROM remote('127.0.0.1', whodid.spans)",
        "SELECT * FROM cluster('default', whodid.spans)",
        "SELECT * FROM view(SELECT * FROM system.users)",
        "SELECT dictGet('system.users', 'name', 1)",
        "SELECT joinGet('whodid.spans', 'name', 1)",
        "SELECT * FROM system.tables",
        "SELECT 1 WHERE 'x' IN system.one",
        "SELECT * FROM `system`.`tables`",
        "SELECT * FROM spans SETTINGS additional_table_filters = {}",
        "SELECT * FROM (SELECT * FROM spans SETTINGS readonly = 0)",
        "SET readonly = 0",
        "SYSTEM SHUTDOWN",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "SELECT sleep(3)",
        "selec 1",
        "SELECT nothing FROM spans",
        "SELECT * FROM nothing",
        "--",
        "\x00",
    ],
)
def test_anything_else_is_refused_and_does_nothing(store: Store, tmp_path: Path, query: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(SqlError) as raised:
        run(store, query.replace("{out}", str(out)))
    assert raised.value.cause
    assert not out.exists()
    assert run(store, "SELECT count() FROM spans").rows == [[3]]


def test_a_tenant_is_a_text_and_not_a_part_of_the_query(store: Store) -> None:
    for query in ("SELECT count() FROM findings", "SELECT count() FROM trace_index"):
        assert run(store, query, "other").rows == [[0]]


def test_what_would_read_too_much_is_refused(store: Store) -> None:
    with pytest.raises(QueryTooBroadError):
        run(store, "SELECT count() FROM numbers(3000000000)")
