"""Tests in environments of their own, for packages that cannot be installed beside ours.

`NAME.txt` lists what an environment needs besides whodid and pytest. It is made once and kept with pytest's
cache, until its list or whodid's own requirements change.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running import environment

ROOT = Path(__file__).parents[2]
INSIDE = {name: ROOT / "tests" / "instrumentation" / f"inside_{name}.py" for name in ("google_adk", "crewai")}
"""The files of tests that run in an environment, by its name, which is the adapter's."""
INSTALL_TIMEOUT_S = 400
RUN_TIMEOUT_S = 400
NOT_SERVED = ("was not found in the package registry", "there is no version of", "there are no versions of")
"""What the installer says of a package, or of a version, that the registry does not have."""


def python(config: pytest.Config, name: str) -> Path:
    """The interpreter of an environment, which is made if need be and kept with pytest's cache.

    Skips the test if the registry does not serve a package; any other failure fails it.
    """
    assert config.cache is not None
    return interpreter(name, config.cache.mkdir)


def interpreter(name: str, folder_of: Callable[[str], Path]) -> Path:
    """The same in the folder that `folder_of` gives for the environment's name and version."""
    listed = Path(__file__).with_name(f"{name}.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = (project["dependencies"], project["optional-dependencies"]["guard"], project["entry-points"])
    digest = hashlib.sha256(repr((listed, ours, sys.version)).encode()).hexdigest()
    folder = folder_of(f"environment-{name}-{digest[:16]}")
    interpreter, done = folder / "venv" / "bin" / "python", folder / "complete"
    if not done.exists():
        uv("venv", "--clear", "--python", sys.executable, str(folder / "venv"))
        wanted = (
            "-r",
            str(Path(__file__).with_name(f"{name}.txt")),
            "-e",
            f"{ROOT}[guard]",
            "pytest",
            "pytest-timeout",
        )
        uv("pip", "install", "--python", str(interpreter), *wanted)
        done.touch()
    return interpreter


def uv(*arguments: str) -> None:
    """Runs uv, with packages from where pip takes them. Skips the test if one is not served there."""
    index = os.environ.get("PIP_INDEX_URL")  # the one that pip uses, which installed this environment
    variables = environment(**({"UV_INDEX_URL": index} if index else {}))
    ran = subprocess.run(
        (sys.executable, "-m", "uv", "--quiet", *arguments),
        env=variables,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
    )
    if ran.returncode and any(reason in " ".join(ran.stderr.split()) for reason in NOT_SERVED):
        pytest.skip(f"the registry does not serve it: {ran.stderr.strip()[-300:]}")
    assert ran.returncode == 0, ran.stderr


def tests_in(file: Path) -> list[str]:
    """The names of the tests in a file that cannot be imported here."""
    return [
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def run(config: pytest.Config, name: str, file: Path, folder: Path) -> dict[str, list[str]]:
    """Runs a file of tests in an environment; gives what went wrong, by the name of each test that ran.

    Warnings are not errors there: they are the other packages' own.
    """
    results = folder / f"{name}.xml"
    flags = ("-q", "-W", "default", "-p", "no:cacheprovider", f"--junitxml={results}")
    ran = subprocess.run(
        (str(python(config, name)), "-m", "pytest", *flags, str(file)),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )
    assert results.exists(), ran.stdout + ran.stderr
    outcomes: dict[str, list[str]] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        problems = outcomes.setdefault(case.get("name", "").partition("[")[0], [])
        problems += [
            f"{case.get('name')}: {found.text}" for found in case if found.tag in ("failure", "error")
        ]
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return outcomes
