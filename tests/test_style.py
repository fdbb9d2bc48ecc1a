"""The house rules that a machine can hold us to."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for path in ROOT.glob("*/src/whodid/**/*.py"))
GENERATED = {"attributes.py", "values.py", "registry.py"}
MAX_LINES = 500
NAMES_THAT_SAY_NOTHING = {"utils", "helpers", "common", "manager", "misc"}


def run(*command: str) -> None:
    done = subprocess.run(
        (sys.executable, "-m", *command), cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", ".")


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


@pytest.mark.timeout(600)
def test_pyright_is_content() -> None:
    run("pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_is_a_small_room(path: Path) -> None:
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "the first line says what the module is for"
    assert path.stem not in NAMES_THAT_SAY_NOTHING
    assert len(text.splitlines()) <= MAX_LINES or path.name in GENERATED


def test_the_namespace_has_no_init() -> None:
    # With one, only the portion that has it would be found.
    assert list(ROOT.glob("*/src/whodid/__init__.py")) == []
