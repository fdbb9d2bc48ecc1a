"""What a question does not have to read: ClickHouse leaves out the granules of other times and other ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.store import Store
from whodid.store.query_texts import query_text


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path / 'store'}")
    spans = [Sent(attributes=attribution("execute_tool")) for _ in range(10)]
    opened.insert(pipeline.run([request(*spans)]), "1")
    yield opened
    opened.close()


def explained(store: Store, condition: str) -> str:
    """Which indexes ClickHouse uses for a condition on `spans`, and how."""
    select = f"SELECT span_id FROM {store.database}.spans WHERE tenant_id = '' AND {condition}"
    rows = store.select(f"EXPLAIN indexes = 1 {select}", {}, {})
    return "\n".join(row["explain"] for row in rows)


def test_a_period_is_looked_up_in_the_primary_key(store: Store) -> None:
    condition = "start_time >= toDateTime64('2026-01-01', 9) AND start_time < toDateTime64('2026-01-02', 9)"
    text = explained(store, condition)
    # As a range of the key's second column; of a later one it would leave out nothing.
    assert "toStartOfFiveMinutes(start_time) in" in text
    assert "Granules: 0/1" in text


def test_an_id_s_times_are_looked_up_in_the_primary_key(store: Store) -> None:
    steps = "['2026-01-01 00:05:00', '2026-01-03 10:00:00']"
    text = explained(store, f"(false OR toStartOfFiveMinutes(start_time) IN {steps})")
    assert "toStartOfFiveMinutes(start_time) in 2-element set" in text
    assert "Granules: 0/1" in text


def test_the_times_of_an_id_are_a_look_up_themselves(store: Store) -> None:
    asked = {"columns": ["session_id"], "ids": ["nothing"], "limit": 1}
    text = query_text("id_times", store.database, asked)
    rows = store.select(f"EXPLAIN indexes = 1 {text}", asked | {"tenant": ""}, {})
    assert "id_hash in 1-element set" in "\n".join(row["explain"] for row in rows)


@pytest.mark.parametrize("column", ["attribution_credential_id", "session_id", "gen_ai_conversation_id"])
def test_an_id_is_looked_up_in_an_index_of_its_own(store: Store, column: str) -> None:
    text = explained(store, f"{column} = 'nothing'")
    assert f"Name: by_{column}" in text
    assert "Granules: 0/1" in text
