"""What the service's process does with its memory at the start, in a process that starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.running import environment

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "tests" / "programs" / "unloading.py")]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_what_starting_took_is_unloaded_and_what_is_used_comes_back(report: dict[str, Any]) -> None:
    # The compiler alone is 80 MiB.
    assert report["before_bytes"] - report["after_bytes"] > 60 * MIB
    assert report["spans"] == 60


def test_nothing_is_left_to_be_compiled_when_requests_arrive(report: dict[str, Any]) -> None:
    assert report["compiled_later"] == []
