"""What the tests of the processor share."""

from __future__ import annotations

import pytest

from whodid.processor.stages.decode import warm_up


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The decoder, compiled before a test's time is taken."""
    warm_up()
