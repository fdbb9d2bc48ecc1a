"""What puts spans into the store of a test as the service would."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.spans import Sent, request
from whodid.processor import pipeline
from whodid.store import Store

Put = Callable[..., None]

_numbers = itertools.count()
"""For tokens that no earlier insert had: the store is the same for several tests."""


@pytest.fixture
def put(store: Store) -> Put:
    """Stores spans, in one request of one service (`service=…`, `resource={…}`)."""

    def put_spans(*spans: Sent, service: str = "tests", resource: dict[str, object] | None = None) -> None:
        sent = request(*spans, service=service, resource=resource)  # pyright: ignore[reportArgumentType]
        store.insert(pipeline.run([sent]), f"batch {next(_numbers)}")

    return put_spans
