"""A SELECT by hand on a real server over HTTP: the same rows, the same refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asked import fill
from tests.clickhouse import clickhouse
from whodid.store import SqlError, Store
from whodid.store.free_sql import Rows, SqlParameters, select


def test_a_server_is_read_and_nothing_else(tmp_path: Path) -> None:
    with clickhouse(tmp_path / "server") as server:
        store = Store.open(server.url)
        fill(store)

        def run(query: str, tenant: str = "") -> Rows:
            return select(store.reader(tenant), SqlParameters(query=query, limit=10))

        for query in (
            "SELECT count() FROM spans",
            "SELECT count() FROM otel_traces WHERE SpanName NOT LIKE '%\\%s%'",
            "SELECT 0 WHERE 0 UNION ALL SELECT count() FROM spans",
        ):
            assert run(query).rows == [[3]]
            assert run(query, "other").rows == [[0]]
        for query in (
            "SELECT * FROM file('/etc/hostname', 'LineAsString')",
            "SELECT 1 INTO OUTFILE '/dev/null'",
            "SELECT * FROM spans SETTINGS additional_table_filters = {}",
            "SELECT * FROM merge('whodid', '.*')",
            "SELECT * FROM system.users",
            "SELECT 1 WHERE 'x' IN system.one",
            "DROP TABLE spans",
            "SELECT nothing FROM spans",
        ):
            with pytest.raises(SqlError):
                run(query)
        store.close()
