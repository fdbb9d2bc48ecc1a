"""Python's garbage collector leaves alone what the tests import: a million objects that stay."""

from __future__ import annotations

import atexit
import gc

# To look through them over and over while they are made is a third of what collecting the tests takes.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)
