"""A store for each test of a question, and what puts spans into it as the service would."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.spans import Sent, request
from whodid.processor import pipeline
from whodid.store import Store

Put = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path / 'store'}")
    yield opened
    opened.close()


@pytest.fixture
def put(store: Store) -> Put:
    """Stores spans, in one request of one service (`service=…`, `resource={…}`)."""
    numbers = itertools.count()

    def put_spans(*spans: Sent, service: str = "tests", resource: dict[str, object] | None = None) -> None:
        sent = request(*spans, service=service, resource=resource)  # pyright: ignore[reportArgumentType]
        store.insert(pipeline.run([sent]), f"batch {next(numbers)}")

    return put_spans
