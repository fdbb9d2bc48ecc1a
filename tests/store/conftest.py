"""A store for the tests of a module, empty at the beginning of each: making its tables takes a second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from whodid.store import Store
from whodid.store.connection import Location, connect

_TABLES = """
SELECT name FROM system.tables
WHERE database = 'whodid' AND engine LIKE '%MergeTree' AND name != 'schema_migrations'
"""


@pytest.fixture(scope="module")
def own_tenant() -> str:
    """Whose spans the store's questions are about; a module may say another."""
    return ""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, own_tenant: str) -> Iterator[tuple[Store, Any]]:
    """A store, and a client past whodid, for all tests of a module: an engine has one path a process."""
    url = f"chdb://{tmp_path_factory.mktemp('opened') / 'store'}"
    store = Store.open(url, tenant=own_tenant)
    client = connect(Location.parse(url))
    yield store, client
    client.close()
    store.close()


@pytest.fixture
def store(opened: tuple[Store, Any]) -> Store:
    """A store without a row in any table; what was applied to the tables stays."""
    opened_store, client = opened
    names = {name for (name,) in client.query(_TABLES).result_rows}
    assert names >= {"spans", "findings", "trace_index", "actions_hourly"}
    for name in names:
        client.command(f"TRUNCATE TABLE whodid.{name}")
    return opened_store
