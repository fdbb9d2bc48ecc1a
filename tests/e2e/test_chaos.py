"""The short form of the chaos test; `python -m tests.chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import scenarios
from tests.chaos.scenarios import Count


def check(count: Count) -> None:
    print(count)
    assert count.acknowledged > 0
    assert (count.lost, count.doubled) == (0, 0), count


def test_the_processor_is_killed(tmp_path: Path) -> None:
    check(scenarios.kill_the_processor(tmp_path, 3, seed=1))


def test_the_store_is_killed(tmp_path: Path) -> None:
    check(scenarios.kill_the_store(tmp_path, 2, seed=1))


def test_the_store_is_away_until_the_spool_is_full(tmp_path: Path) -> None:
    count = scenarios.store_away(tmp_path, 5, spool_bytes=2 * 1024 * 1024)
    check(count)
    assert count.refused_requests > 0


@pytest.mark.skipif(not scenarios.may_mount(), reason="mounting a small file system is not permitted")
def test_the_disk_is_full(tmp_path: Path) -> None:
    check(scenarios.full_disk(tmp_path, size_mib=3))


def test_every_write_fails(tmp_path: Path) -> None:
    count = scenarios.failing_writes(tmp_path, 2)
    check(count)
    assert count.refused_requests > 0
