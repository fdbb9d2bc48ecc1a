"""A cluster of two servers as shards: whodid's tables over both, each trace on one, an insert once."""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import whodid.store as store_package
from tests.clickhouse import ClickHouse, free_port, running
from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.store import Store
from whodid.store.connection import Location, connect
from whodid.store.layout import Layout
from whodid.store.migrations import apply
from whodid.store.query_texts import query_text
from whodid.store.questions.blast_radius import Start
from whodid.store.questions.trace import TraceParameters, trace
from whodid.store.questions.who import WhoParameters, who
from whodid.store.retention import Retention

SQL = Path(store_package.__file__ or "").parent / "sql"
LAYOUT = Layout("whodid", "main", keeper=False)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[str]]:
    """The URLs of two servers, which know each other as the shards of the cluster `main`."""
    ports = [free_port() for _ in range(2)]
    hosts = "".join(
        f"<shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host>"
        f"<port>{port}</port></replica></shard>"
        for port in ports
    )
    configuration = f"<remote_servers><main>{hosts}</main></remote_servers>"
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                running(
                    ClickHouse(
                        tmp_path_factory.mktemp("shard"),
                        free_port(),
                        tcp_port=port,
                        configuration=configuration,
                    )
                )
            )
            for port in ports
        ]
        urls = [server.url for server in servers]
        for url in urls:
            client = connect(Location.parse(url))
            apply(client, LAYOUT, Retention())
            client.close()
        yield urls


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    client = connect(Location.parse(url))
    try:
        return client.query(statement).result_rows
    finally:
        client.close()


def test_a_trace_is_on_one_shard_and_read_from_either(shards: list[str]) -> None:
    traces = [bytes([number]) * 16 for number in range(1, 41)]
    store = Store(Location.parse(shards[0]))
    spans = [
        Sent(trace_id=each, attributes=attribution("execute_tool", ATTRIBUTION_ACTION_ID=f"action-{each[0]}"))
        for each in traces
        for _ in range(3)
    ]
    sealed = pipeline.run([request(*spans)])
    for _ in range(3):
        store.insert(sealed, "segment-1")
    store.close()
    for table, count in (("spans", 120), ("trace_index", 40), ("otel_traces", 120)):
        assert [run(url, f"SELECT count() FROM whodid.{table}") for url in shards] == [[(count,)]] * 2
    assert run(shards[1], "SELECT sum(actions) FROM whodid.actions_hourly") == [(120,)]
    for table in ("spans_local", "trace_index_local"):
        held = [{row[0] for row in run(url, f"SELECT hex(trace_id) FROM whodid.{table}")} for url in shards]
        assert all(held)
        assert not held[0] & held[1]
        assert held[0] | held[1] == {each.hex().upper() for each in traces}


def test_the_questions_are_answered_from_all_shards(shards: list[str]) -> None:
    store = Store(Location.parse(shards[1]))
    for number in range(50, 60):
        one = Sent(
            trace_id=bytes([number]) * 16,
            attributes=attribution("execute_tool", ATTRIBUTION_ACTION_ID=f"action-{number}"),
        )
        store.insert(pipeline.run([request(one)]), f"segment-{number}")
        record = who(store.reader(), WhoParameters(id=f"action-{number}"))
        assert record.trace_ids == [one.trace_id.hex()]
        assert len(trace(store.reader(), TraceParameters(trace_id=one.trace_id.hex())).lines) == 1
    store.close()


@pytest.mark.parametrize("query", sorted(path.stem for path in SQL.glob("*.sql")))
def test_every_query_of_a_question_can_be_run_over_shards(shards: list[str], query: str) -> None:
    """What a cluster refuses (a join or a subquery of two sharded tables) it refuses for any parameters."""
    store = Store(Location.parse(shards[0]))
    for text in variants(query):
        parameters = {name: _any_value(kind) for name, kind in re.findall(r"{(\w+):([^}]+)}", text)}
        assert isinstance(store.select(text, parameters, {}), list)
    store.close()


def variants(query: str) -> list[str]:
    """A query's texts: with nothing asked for, and with everything, driven by each of the conditions."""
    drivers = re.findall(r'^    "(\w+)": \[', (SQL / "parts" / "actions_found.sql").read_text(), re.MULTILINE)
    nothing: dict[str, Any] = {"operations": ["chat"], "kind": "task", "everywhere": True}
    found = {query_text(query, "whodid", defaultdict(str, nothing))}
    of_kinds = [{"kind": kind.value, "driver": "id"} for kind in Start]
    driven = [{"driver": each, "kind": "task"} for each in (*drivers, "rule", "failed", "without_agent")]
    for each in of_kinds + driven:
        asked = {"operations": ["execute_tool"], "everywhere": False, "without": ["agent"]} | each
        found.add(query_text(query, "whodid", defaultdict(lambda: ["one"], asked)))
    return sorted(found)


def _any_value(kind: str) -> Any:
    if kind.startswith("Array"):
        return []
    if kind.startswith("DateTime64"):
        return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return "" if kind == "String" else 1


def test_a_store_over_shards_is_up_to_date_the_second_time(shards: list[str]) -> None:
    for url in shards:
        client = connect(Location.parse(url))
        assert apply(client, LAYOUT, Retention()) == ()
        client.close()
