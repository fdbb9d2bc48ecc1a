"""Reading YAML is most of a check's time, and most of each broken copy is the model as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whodid.semconv import source
from whodid.semconv.source import Problem

_read: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read without a problem is not read again; nothing changes it."""
    parse = source.parse

    def remembered(text: str, path: Path, problems: list[Problem]) -> Any:
        if text not in _read:
            before = len(problems)
            root = parse(text, path, problems)
            if len(problems) > before:
                return root
            _read[text] = root
        return _read[text]

    monkeypatch.setattr(source, "parse", remembered)
