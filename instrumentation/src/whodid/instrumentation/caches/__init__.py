"""Hooks for the host's own caches, switched on by name (WHODID_CACHES): they keep origins with results."""

from __future__ import annotations

import importlib
from typing import Final

from whodid.instrumentation.hooks import Hooks

CACHES: Final = ("cachetools", "diskcache", "redis")
"""Modules of this package, each with a class `Instrumentor`, like the frameworks' adapters."""


def load(name: str) -> Hooks:
    """The hooks of one name from CACHES. Imports nothing of the cache's."""
    return importlib.import_module(f"{__name__}.{name}").Instrumentor()
