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
_OF_ADAPTERS = ROOT / "tests" / "instrumentation"
INSIDE = {
    "crewai": ("inside_crewai", "inside_mcp_first"),
    "google_adk": ("inside_google_adk",),
    "oldest": (
        "test_claude_agent_sdk",
        "test_fastmcp",
        "test_langchain",
        "test_langchain_approvals",
        "test_langgraph",
        "inside_mcp_first",
        "test_openai_agents",
        "test_pydantic_ai",
    ),
    "oldest_crewai": ("inside_crewai",),
    "oldest_google_adk": ("inside_google_adk",),
}
"""The files of tests that run in an environment, by its name."""
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


def tests_in(name: str) -> list[str]:
    """The tests of an environment, as `FILE::TEST`: they cannot be imported here."""
    return [
        f"{file}::{node.name}"
        for file in INSIDE[name]
        for node in ast.parse((_OF_ADAPTERS / f"{file}.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def run(config: pytest.Config, name: str, folder: Path) -> dict[str, list[str]]:
    """Runs the tests of an environment; gives what went wrong, by the name of each that ran.

    Warnings are not errors there: they are the other packages' own.
    """
    files = [str(_OF_ADAPTERS / f"{file}.py") for file in INSIDE[name]]
    results = folder / f"{name}.xml"
    flags = ("-q", "-W", "default", "-p", "no:cacheprovider", f"--junitxml={results}")
    ran = subprocess.run(
        (str(python(config, name)), "-m", "pytest", *flags, *files),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )
    assert results.exists(), ran.stdout + ran.stderr
    outcomes: dict[str, list[str]] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2]
        problems = outcomes.setdefault(f"{file}::{case.get('name', '').partition('[')[0]}", [])
        problems += [
            f"{case.get('name')}: {found.text}" for found in case if found.tag in ("failure", "error")
        ]
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return outcomes
