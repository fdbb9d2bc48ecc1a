"""What the tests of verbs share."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.checked import Write


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes files with traces into a folder of the test."""
    numbers = itertools.count()

    def write(content: bytes) -> Path:
        path = tmp_path / f"traces-{next(numbers)}"
        path.write_bytes(content)
        return path

    return write
