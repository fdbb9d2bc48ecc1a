"""A question's reader: two parts at the same time, bound to the same tenant and limits, and told in order."""

from __future__ import annotations

import threading

import pytest

from whodid.store import Limits, Store
from whodid.store.reader import Reader

WAIT_S = 30
TRACE = {"traces": ["0" * 32]}


def test_two_parts_run_at_the_same_time_and_are_told_in_their_order(store: Store) -> None:
    reader, meeting = store.reader("acme", Limits(max_rows_read=1_000)), threading.Barrier(2)

    def first(beside: Reader) -> str:
        meeting.wait(WAIT_S)
        meeting.wait(WAIT_S)  # the second has asked by now
        beside.rows("trace_times", TRACE)
        return "first"

    def second(beside: Reader) -> tuple[str, int]:
        meeting.wait(WAIT_S)
        beside.rows("candidates_span", {"span": "0" * 16})
        meeting.wait(WAIT_S)
        return beside.tenant, beside.limits.max_rows_read

    assert reader.both(first, second) == ("first", ("acme", 1_000))
    assert [statement.query for statement in reader.statements] == ["trace_times", "candidates_span"]
    assert {statement.parameters["tenant"] for statement in reader.statements} == {"acme"}


def test_a_part_of_a_part_takes_no_further_thread(store: Store) -> None:
    def names(beside: Reader) -> tuple[str, str]:
        return beside.both(
            lambda _: threading.current_thread().name, lambda _: threading.current_thread().name
        )

    here, there = store.reader().both(names, names)
    assert here[0] == here[1] == threading.current_thread().name
    assert there[0] == there[1] != here[0]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_is_told_when_nothing_of_the_question_runs_any_more(store: Store, failing: int) -> None:
    ended: list[int] = []

    def part(number: int) -> None:
        if number == failing:
            raise ValueError(number)
        threading.Event().wait(0.2)
        ended.append(number)

    with pytest.raises(ValueError, match=str(failing)):
        store.reader().both(lambda _: part(0), lambda _: part(1))
    assert ended == [1 - failing]


def test_more_questions_than_threads_are_all_answered(store: Store) -> None:
    def ask() -> None:
        store.reader().both(
            lambda beside: beside.rows("trace_times", TRACE), lambda beside: beside.rows("trace_times", TRACE)
        )
        answered.release()

    answered = threading.Semaphore(0)
    for _ in range(24):
        threading.Thread(target=ask, daemon=True).start()
    assert all(answered.acquire(timeout=WAIT_S) for _ in range(24))
