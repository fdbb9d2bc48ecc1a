"""Every story with every framework leaves the same record in the store; and the page says what there is."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import separate
from tests.running import environment
from tests.scenarios import page
from tests.scenarios.performance import ELSEWHERE, FRAMEWORKS, ROOT, Results, Verdict
from tests.scenarios.stories import STORIES

pytestmark = pytest.mark.timeout(900)  # the separate environments may have to be made first
PERFORM_TIMEOUT_S = 850


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What came of all stories, which are played once, by whichever of pytest-xdist's workers comes first."""
    is_worker = hasattr(pytestconfig, "workerinput")
    shared = tmp_path_factory.getbasetemp().parent if is_worker else tmp_path_factory.mktemp("scenarios")
    file = shared / "scenarios.json"
    with (shared / "scenarios.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            _perform(pytestconfig, file)
    return Results.from_json(file.read_text())


def _perform(config: pytest.Config, file: Path) -> None:
    made: list[str] = []
    for name in ELSEWHERE:
        try:
            made.append(f"--environment={name}={separate.python(config, name)}")
        except pytest.skip.Exception:
            continue  # the registry does not serve it: its cells are not played
    only = [name for name in FRAMEWORKS if name not in ELSEWHERE or any(f"={name}=" in each for each in made)]
    done = subprocess.run(
        (sys.executable, "-m", "tests.scenarios", f"--results={file}", *made, *(f"--only={n}" for n in only)),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PERFORM_TIMEOUT_S,
    )
    assert file.exists(), done.stdout + done.stderr


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_record(results: Results, framework: str, story: str) -> None:
    if framework not in results.cells:
        pytest.skip(f"{framework} cannot be installed here")
    cell = results.cells[framework][story]
    assert cell.found == cell.expected
    assert cell.verdict is not Verdict.WRONG, cell.reason


def test_the_page_is_fresh(results: Results) -> None:
    if missing := [name for name in FRAMEWORKS if name not in results.cells]:
        pytest.skip(f"{', '.join(missing)} cannot be installed here")
    command = "python -m tests.scenarios --write docs/scenarios.md"
    written = (ROOT / "docs" / "scenarios.md").read_text()
    assert written == page.render(results), f"stale; run {command}"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_cannot_be_expressed_has_a_reason(results: Results, framework: str) -> None:
    """And a framework that could express nothing would show nothing."""
    row = results.cells.get(framework, {})
    assert all(cell.reason for cell in row.values() if cell.verdict in (Verdict.CANNOT, Verdict.NOT_YET))
    assert not row or any(cell.verdict is Verdict.YES for cell in row.values())
