"""Delivery: the segment that follows is prepared while one is under way, and each arrives once, in order."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from whodid.processor import delivery
from whodid.processor.bodies import Requests
from whodid.processor.delivery import Courier
from whodid.processor.errors import WhodidError
from whodid.processor.quarantine import Quarantine
from whodid.processor.segment import Segment
from whodid.processor.spool import STORE, Spool

WAIT_S = 30


class AwayError(WhodidError):
    """What the destination answers while it is away."""


class Destination(Courier[list[bytes]]):
    """Keeps what it is sent, after whatever `before` does."""

    cursor = STORE
    away = (AwayError,)

    @property
    def description(self) -> str:
        return "the test's list"

    def __init__(self, spool: Spool, quarantine: Quarantine) -> None:
        super().__init__(spool, quarantine, lambda _text: None)
        self.prepared: list[list[bytes]] = []
        self.sent: list[list[bytes]] = []
        self.before: Callable[[list[bytes]], None] = lambda _bodies: None

    def prepare(self, requests: Requests, arrived_on: datetime.date | None) -> list[bytes]:
        self.prepared.append(list(requests))
        return list(requests)

    def send(self, prepared: list[bytes], taken: Segment) -> None:
        self.before(prepared)
        self.sent.append(prepared)


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Destination]:
    """With four segments of one request each that wait for it, and a thread that is not started yet."""
    quarantine = Quarantine(tmp_path / "quarantine", max_files=3, max_bytes=1000)
    spool = Spool(tmp_path / "spool", quarantine, max_bytes=100_000, flush_after_s=60.0, flush_after_bytes=1)
    for body in (b"1", b"2", b"3", b"4"):
        asyncio.run(spool.append(body))
    made = Destination(spool, quarantine)
    yield made
    spool.close()
    made.drain(WAIT_S)


EACH_ONCE = [[b"1"], [b"2"], [b"3"], [b"4"]]


def test_the_next_segment_is_prepared_while_one_is_under_way(destination: Destination) -> None:
    overlapped: list[int] = []

    def wait_for_the_next(bodies: list[bytes]) -> None:
        if bodies != [b"4"]:
            for _ in range(WAIT_S * 100):
                if len(destination.prepared) > len(destination.sent) + 1:
                    break
                threading.Event().wait(0.01)
            overlapped.append(len(destination.prepared) - len(destination.sent))

    destination.before = wait_for_the_next
    destination.start()
    assert destination.drain(WAIT_S)
    assert destination.sent == EACH_ONCE
    # The one that is under way and the one behind it: never more, for each of them is in memory.
    assert overlapped == [2, 2, 2]


def test_what_was_prepared_ahead_is_sent_in_its_turn_after_a_failure(
    destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_RETRY_AFTER_S", 0.01)
    failures = iter([True, True, False, True, False, False, False])

    def fail(_bodies: list[bytes]) -> None:
        if next(failures):
            raise AwayError("nobody is there", "wait")

    destination.before = fail
    destination.start()
    assert destination.drain(WAIT_S)
    assert destination.sent == EACH_ONCE


def test_a_failure_to_prepare_ahead_is_one_of_that_segment(destination: Destination, tmp_path: Path) -> None:
    prepare = destination.prepare

    def picky(requests: Requests, arrived_on: datetime.date | None) -> list[bytes]:
        if b"2" in list(requests):
            raise ValueError("cannot be taken")
        return prepare(requests, arrived_on)

    destination.prepare = picky  # pyright: ignore[reportAttributeAccessIssue]
    destination.start()
    assert destination.drain(WAIT_S)
    # A segment without the request that nobody can take is sent all the same: its id has to arrive.
    assert destination.sent == [[b"1"], [], [b"3"], [b"4"]]
    assert list((tmp_path / "quarantine").rglob("*")) != []


def test_every_segment_is_prepared_by_the_same_thread(destination: Destination) -> None:
    prepare, threads = destination.prepare, list[str]()

    def noting(requests: Requests, arrived_on: datetime.date | None) -> list[bytes]:
        threads.append(threading.current_thread().name)
        return prepare(requests, arrived_on)

    destination.prepare = noting  # pyright: ignore[reportAttributeAccessIssue]
    destination.start()
    assert destination.drain(WAIT_S)
    assert len(threads) == len(EACH_ONCE)
    assert len(set(threads)) == 1


def test_a_process_that_ends_sets_nothing_aside(destination: Destination, tmp_path: Path) -> None:
    # What an executor says then, and when the interpreter ends under a thread that still delivers.
    destination._preparing.shutdown()  # pyright: ignore[reportPrivateUsage]
    destination.start()
    assert not destination.drain(1.0)
    assert destination.sent == []
    assert list((tmp_path / "quarantine").rglob("*.*")) == []
    assert len(list((tmp_path / "spool").glob("*.segment"))) == len(EACH_ONCE)
