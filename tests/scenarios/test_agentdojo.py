"""AgentDojo's 97 user tasks, run by their ground truth through an instrumented loop, break no rule.

What the benchmark needs asks for older versions than ours, so it is installed into a folder of its own, once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environments import separate
from tests.running import environment
from whodid.processor import pipeline
from whodid.semconv import attributes as attr

VERSION = "0.1.35"
WANTED = f"agentdojo=={VERSION}"
PROGRAM = Path(__file__).parents[1] / "programs" / "agentdojo_tasks.py"
SUITES = {"workspace": 40, "travel": 20, "banking": 16, "slack": 21}
"""The suites, and how many user tasks each has: 97 together."""

pytestmark = pytest.mark.timeout(600)  # the benchmark's packages may have to be downloaded first

Counts = dict[str, dict[str, int]]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def packages(pytestconfig: pytest.Config) -> Path:
    """A folder with the benchmark and what it needs, kept with pytest's cache."""
    cache = pytestconfig.cache
    assert cache is not None
    folder = cache.mkdir(f"agentdojo-{VERSION}")
    done = folder / "complete"
    if not done.exists():
        separate.uv(
            "pip", "install", "--python", sys.executable, "--target", str(folder / "packages"), WANTED
        )
        done.touch()
    return folder / "packages"


def run(packages: Path, folder: Path, *flags: str) -> Counts:
    done = subprocess.run(
        (sys.executable, str(PROGRAM), str(folder), *flags),
        env=environment(PYTHONPATH=str(packages)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agentdojo")


@pytest.fixture(scope="module")
def counts(packages: Path, folder: Path) -> Counts:
    return run(packages, folder)


def test_every_user_task_was_run(counts: Counts) -> None:
    assert {suite: count["tasks"] for suite, count in counts.items()} == SUITES


@pytest.mark.parametrize("suite", SUITES)
def test_the_ground_truth_breaks_no_rule(counts: Counts, folder: Path, suite: str) -> None:
    sealed = pipeline.run([(folder / f"{suite}.otlp").read_bytes()])
    assert sealed.findings.to_pylist() == []
    rows: list[Row] = sealed.spans.to_pylist()
    tools = [row for row in rows if row["gen_ai_operation_name"] == "execute_tool"]
    assert len(tools) == counts[suite]["calls"] > 0
    assert len({row["attribution_action_id"] for row in tools}) == len(tools)
    assert {row["gen_ai_agent_name"] for row in tools} == {f"{suite}-agent"}
    failed = [row for row in tools if row["status_code"] == "ERROR"]
    assert len(failed) == counts[suite]["failed"]


def test_the_same_tasks_for_nobody_break_the_rules(packages: Path, tmp_path: Path) -> None:
    run(packages, tmp_path, "--unattributed")
    for suite in SUITES:
        sealed = pipeline.run([(tmp_path / f"{suite}.otlp").read_bytes()])
        missing = {found["attribute"] for found in sealed.findings.to_pylist()}
        assert attr.ATTRIBUTION_PRINCIPAL_ID in missing
