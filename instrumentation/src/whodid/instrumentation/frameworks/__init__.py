"""The one list of adapters, and what makes an adapter of some hooks: OpenTelemetry can install it, too."""

from __future__ import annotations

import importlib
from typing import Any, Final

from whodid.instrumentation.hooks import Hooks

ADAPTERS: Final = (
    "openai_agents",
    "langchain",
    "langgraph",
    "mcp",
    "pydantic_ai",
    "claude_agent_sdk",
    "google_adk",
    "crewai",
    "fastmcp",
)
"""Modules of this package, each with a class `Instrumentor`. A new framework is a file and a name here."""


class Instrumentor(Hooks):
    """What an adapter subclasses; shaped like OpenTelemetry's BaseInstrumentor, without needing that package.

    `name` is what WHODID_FRAMEWORKS calls it.
    """

    def instrument(self, **kwargs: Any) -> None:
        """Install the hooks, and stamping on the provider. What OpenTelemetry passes along is not needed."""
        del kwargs
        from whodid.instrumentation import provider  # an adapter that is only installed needs no SDK

        provider.ensure()
        self.install()


def load(name: str) -> Instrumentor:
    """The adapter of one name from ADAPTERS. Imports nothing of the framework's."""
    return importlib.import_module(f"{__name__}.{name}").Instrumentor()
