"""`whodid check` for tests: run on files that a test writes, with spans that have known faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from whodid.cli.main import main

SOUND = ("GET /orders", {"http.request.method": "GET"})
BARE = ("execute_tool lookup_order", {"gen_ai.operation.name": "execute_tool"})
OLDER = ("chat", {"gen_ai.system": "openai"})
MISTYPED = ("chat", {"gen_ai.agent.name": 7})

Write = Callable[[bytes], Path]
"""Writes a new file with this content."""


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)], input=stdin)


def found(*arguments: str | Path, stdin: bytes = b"") -> dict[str, Any]:
    """What `--json` prints."""
    return json.loads(run(*arguments, "--json", stdin=stdin).stdout)
