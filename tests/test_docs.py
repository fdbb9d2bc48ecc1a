"""A setting or a command that is not documented, or is documented otherwise, fails here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from whodid.cli.main import VERBS
from whodid.processor import settings

ROOT = Path(__file__).parents[1]


def test_what_is_generated_in_the_guides_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("row", settings.table(), ids=lambda row: row.name)
def test_every_setting_is_documented(row: settings.Setting) -> None:
    assert row.doc
    guide = (ROOT / "docs" / "configuration.md").read_text()
    assert f"| `{row.name}` | `{row.env}` |" in guide


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_documented(verb: str) -> None:
    assert f"## `whodid {verb}`" in (ROOT / "docs" / "cli.md").read_text()
