"""WHODID_REQUIRE, and the report of what is there and not instrumented: in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import environment
from whodid.instrumentation import frameworks, requirements

WHODID = Path(sys.executable).parent / "whodid"
NO_EXPORT = {"WHODID_EXPORT": "0"}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = str(WHODID.parent)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(PATH=path, **NO_EXPORT, **variables),
    )


def test_what_is_required_and_there_is_no_trouble() -> None:
    done = run(
        str(WHODID), "run", sys.executable, "-c", "print('ran')", WHODID_REQUIRE="langgraph,openai-agents"
    )
    assert (done.returncode, done.stdout) == (0, "ran\n")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"WHODID_REQUIRE": "langgrpah"}, "there is no adapter for it"),
        ({"WHODID_REQUIRE": "mcp", "WHODID_FRAMEWORKS": "langgraph"}, "WHODID_FRAMEWORKS leaves it out"),
    ],
)
def test_what_is_required_and_not_there_is_fatal(variables: dict[str, str], reason: str) -> None:
    done = run(str(WHODID), "run", sys.executable, "-c", "print('ran')", **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr
    assert "\n\nhint: " in done.stderr
    assert "Traceback" not in done.stderr
    program = "from whodid.instrumentation import init; init()"
    done = run(sys.executable, "-c", program, **variables)
    assert done.returncode == 1
    assert "NotInstrumentedError" in done.stderr


def test_a_version_without_the_hooks_is_fatal_too(tmp_path: Path) -> None:
    """A module of the framework's name that has nothing of what is hooked stands in for another version."""
    package = tmp_path / "langgraph" / "pregel"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "main.py").write_text("class Pregel:\n    def invoke(self): ...\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from whodid.instrumentation import init; init()"
    )
    done = run(sys.executable, "-c", program, WHODID_REQUIRE="langgraph")
    assert done.returncode == 1
    assert (
        "langgraph is required and cannot be hooked: langgraph: Pregel.stream cannot be wrapped"
        in done.stderr
    )


def test_what_is_installed_and_left_out_is_reported() -> None:
    done = run(str(WHODID), "run", sys.executable, "-c", "pass", WHODID_FRAMEWORKS="mcp")
    line = next(line for line in done.stderr.splitlines() if "found but not instrumented" in line)
    assert "langgraph " in line
    assert "(not in WHODID_FRAMEWORKS)" in line
    assert "mcp" not in line.replace("fastmcp", "")


def test_a_distributions_name_will_do_as_well() -> None:
    requirements.check(("langchain-core", "langchain"), ())
    for name in ("langchain",):
        frameworks.load(name).uninstrument()
    with pytest.raises(requirements.NotInstrumentedError, match="mcp is required, and WHODID_FRAMEWORKS"):
        requirements.check(("mcp",), ("langchain",))
