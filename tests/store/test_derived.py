"""What ClickHouse fills from the spans by itself: the trace index and the hourly counts."""

from __future__ import annotations

import datetime
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.semconv import attributes as attr
from whodid.store import Store, StoreUnavailableError
from whodid.store.connection import Location, connect
from whodid.store.questions import id_times
from whodid.store.questions.id_times import times_of
from whodid.store.questions.replay import ReplayParameters, replay
from whodid.store.questions.who import WhoParameters, who

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
MINUTE_NS = HOUR_NS // 60
NOON_NS = time.time_ns() // DAY_NS * DAY_NS - DAY_NS // 2
"""Yesterday, 12:00 UTC."""


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    opened = Store.open(f"chdb://{tmp_path / 'store'}")
    yield opened
    opened.close()


def ask(tmp_path: Path, statement: str) -> list[tuple[Any, ...]]:
    client = connect(Location.parse(f"chdb://{tmp_path / 'store'}"))
    try:
        return client.query(statement, tz_mode="aware").result_rows
    finally:
        client.close()


def action(start_ns: int, **more: Any) -> Sent:
    return Sent(start_ns=start_ns, attributes=attribution("execute_tool"), **more)


COUNTS = (
    "SELECT toUnixTimestamp64Second(hour), sum(actions), sum(errors) FROM whodid.actions_hourly "
    "GROUP BY hour ORDER BY hour"
)
BOUNDS = (
    "SELECT toUnixTimestamp64Nano(min(first_time)), toUnixTimestamp64Nano(max(last_time)) "
    "FROM whodid.trace_index WHERE tenant_id = '' AND trace_id = unhex('{}')"
)


def test_a_trace_has_the_bounds_of_all_its_spans(store: Store, tmp_path: Path) -> None:
    trace = b"t" * 16
    # In two inserts, the earlier one later, and weeks apart.
    for token, start_ns in (("1", NOON_NS), ("2", NOON_NS - 6 * DAY_NS), ("3", NOON_NS - 40 * DAY_NS)):
        store.insert(pipeline.run([request(action(start_ns, trace_id=trace), action(start_ns))]), token)
    assert ask(tmp_path, BOUNDS.format(trace.hex())) == [(NOON_NS - 40 * DAY_NS, NOON_NS)]


def test_actions_are_counted_by_the_hour_and_by_what_they_were(store: Store, tmp_path: Path) -> None:
    denied = Sent(
        start_ns=NOON_NS,
        attributes=attribution(
            "evaluate_policy",
            ATTRIBUTION_POLICY_DECISION_OUTCOME="deny",
            ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked",
        ),
    )
    spans = [action(NOON_NS), action(NOON_NS + 1, error=True), action(NOON_NS + HOUR_NS), denied]
    store.insert(pipeline.run([request(*spans, Sent(start_ns=NOON_NS))]), "1")
    noon_s = NOON_NS // 10**9
    assert ask(tmp_path, COUNTS) == [(noon_s, 3, 1), (noon_s + 3600, 1, 0)]
    by = (
        "SELECT gen_ai_operation_name, attribution_action_mode, attribution_policy_decision_outcome, "
        "attribution_policy_enforcement_action, gen_ai_tool_name, sum(actions) FROM whodid.actions_hourly "
        "GROUP BY ALL ORDER BY 1"
    )
    assert ask(tmp_path, by) == [
        ("evaluate_policy", "autonomous", "deny", "blocked", "lookup_order", 1),
        ("execute_tool", "autonomous", "", "", "lookup_order", 3),
    ]


def test_an_id_has_the_five_minutes_of_its_spans_and_no_others(store: Store) -> None:
    spans = [
        Sent(start_ns=NOON_NS + minutes * MINUTE_NS, attributes=attribution("chat", SESSION_ID=session))
        for minutes, session in ((0, "s-1"), (4, "s-1"), (31, "s-1"), (61, "s-2"))
    ]
    store.insert(pipeline.run([request(*spans)]), "1")
    reader = store.reader()
    found = times_of(reader, [(attr.SESSION_ID, "s-1")])
    assert sorted(step.timestamp() for step in found["steps"]) == [
        NOON_NS // 10**9,
        (NOON_NS + 30 * MINUTE_NS) // 10**9,
    ]
    # The same text as another attribute's value is another id, and so is another tenant's.
    assert times_of(reader, [(attr.ATTRIBUTION_TASK_ID, "s-1")])["steps"] == []
    assert times_of(store.reader("umbrella"), [(attr.SESSION_ID, "s-1")])["steps"] == []
    # What nobody says is no id that spans have in common.
    assert times_of(reader, [(attr.SESSION_ID, "")]) == {"everywhere": False, "steps": []}


def test_an_id_that_is_in_too_many_steps_is_looked_for_everywhere(store: Store) -> None:
    count = id_times.MAX_STEPS + 1
    spans = [
        Sent(start_ns=NOON_NS - 5 * number * MINUTE_NS, attributes=attribution("chat", SESSION_ID="s-1"))
        for number in range(count)
    ]
    store.insert(pipeline.run([request(*spans)]), "1")
    assert times_of(store.reader(), [(attr.SESSION_ID, "s-1")]) == id_times.EVERYWHERE
    answer = replay(store.reader(), ReplayParameters.model_validate({"session": "s-1", "limit": 10}))
    assert answer.span_count == count


@pytest.mark.parametrize("year", [1975, 2150, 2220])
def test_an_id_of_an_impossible_clock_is_found(store: Store, year: int) -> None:
    start_ns = int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp()) * 10**9
    store.insert(pipeline.run([request(action(start_ns))]), "1")
    assert len(who(store.reader(), WhoParameters(id="action-1")).span_ids) == 1


def test_a_clock_that_cannot_be_right_counts_in_its_own_hour(store: Store, tmp_path: Path) -> None:
    future = datetime.datetime(2200, 1, 1, tzinfo=datetime.UTC)
    store.insert(pipeline.run([request(action(int(future.timestamp()) * 10**9))]), "1")
    assert ask(tmp_path, COUNTS) == [(int(future.timestamp()), 1, 0)]


def test_the_same_insert_again_counts_once(store: Store, tmp_path: Path) -> None:
    one = pipeline.run([request(action(NOON_NS))])
    for token in ("1", "1", "2", "1"):
        store.insert(one, token)
    assert ask(tmp_path, COUNTS)[0][1] == 2


@pytest.mark.parametrize("table", ["trace_index", "actions_hourly", "id_times"])
def test_what_failed_halfway_is_completed_by_the_next_try(store: Store, tmp_path: Path, table: str) -> None:
    one = pipeline.run([request(action(NOON_NS, trace_id=b"t" * 16))])
    ask(tmp_path, f"RENAME TABLE whodid.{table} TO whodid.away")
    with pytest.raises(StoreUnavailableError):
        store.insert(one, "1")
    ask(tmp_path, f"RENAME TABLE whodid.away TO whodid.{table}")
    store.insert(one, "1")
    store.insert(one, "1")
    assert ask(tmp_path, COUNTS) == [(NOON_NS // 10**9, 1, 0)]
    assert ask(tmp_path, BOUNDS.format((b"t" * 16).hex())) == [(NOON_NS, NOON_NS)]
    assert ask(tmp_path, "SELECT count() FROM whodid.spans") == [(1,)]
