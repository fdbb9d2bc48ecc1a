"""The short form of the fuzz runs, always the same inputs; `python -m tests.fuzz` makes more of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz import decoding, guarded, mutations, receiving
from tests.fuzz.decoding import Defect
from tests.fuzz.guarded import Outcome, WorkingOn


def crash(draw: random.Random, inputs: int, working_on: WorkingOn) -> tuple[Counter[str], list[Defect]]:
    working_on([b"sound", b"deadly"])
    import ctypes

    ctypes.string_at(0)
    return Counter(), []


def hang(draw: random.Random, inputs: int, working_on: WorkingOn) -> tuple[Counter[str], list[Defect]]:
    working_on([b"endless"])
    time.sleep(600)
    return Counter(), []


def grow(draw: random.Random, inputs: int, working_on: WorkingOn) -> tuple[Counter[str], list[Defect]]:
    kept: list[bytearray] = []
    for _ in range(inputs):
        working_on([])
        kept.append(bytearray(b"x") * (10 * 1024 * 1024))
        time.sleep(0.05)
    return Counter(), []


def found(outcome: Outcome) -> tuple[Sequence[str], Sequence[bytes]]:
    return outcome.problems, [defect.body for defect in outcome.defects]


def test_a_crash_is_reported_with_the_inputs() -> None:
    problems, bodies = found(guarded.run(crash, 1, seed=1))
    assert problems == ["the process ended with -11"]
    assert bodies == [b"sound", b"deadly"]


def test_a_hang_is_reported_with_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "HANG_S", 10)
    assert found(guarded.run(hang, 1, seed=1)) == (["hung for 10 s"], [b"endless"])


def test_growth_is_reported() -> None:
    (problem,), _ = found(guarded.run(grow, 50, seed=1))
    assert "memory grew by" in problem


def test_inputs_are_written_as_they_were_read() -> None:
    draw = random.Random(1)
    read_count = 0
    for _ in range(300):
        body = mutations.messages.message(draw)
        fields = mutations.parse(body)
        assert fields is not None
        assert mutations.write(fields) == body
        read_count += len(fields)
    assert read_count > 100


@pytest.mark.timeout(300)
def test_the_decoder() -> None:
    outcome = guarded.run(decoding.fuzz, 2_000, seed=1)
    assert found(outcome) == ([], [])
    # Neither all of it nor none gets through, or the fuzzer would try nothing.
    assert outcome.counts["accepted"] > 500
    assert outcome.counts["refused"] > 500


@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", ["http", "grpc"])
def test_a_receiver(target: str, tmp_path: Path) -> None:
    outcome = receiving.run(target, 300, 1, tmp_path)
    assert found(outcome) == ([], [])
    assert outcome.counts["accepted"] > 50
    assert outcome.counts["refused"] > 50
