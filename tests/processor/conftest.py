"""What the tests of the processor share."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.clickhouse import ClickHouse, clickhouse
from whodid.processor.pipeline import warm_up


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The decoder, compiled before a test's time is taken."""
    warm_up()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(tmp_path: Path) -> Generator[ClickHouse]:
    """A real ClickHouse on ports of its own."""
    with clickhouse(tmp_path / "clickhouse") as started:
        yield started
