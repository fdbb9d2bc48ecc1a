"""The one list of adapters, and what makes an adapter of some hooks: OpenTelemetry can install it, too."""

from __future__ import annotations

import importlib
import re
from typing import Any, ClassVar, Final

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

    tested: ClassVar[tuple[str, str]]
    """The oldest and the newest release of the framework that its tests have passed with."""

    def instrument(self, **kwargs: Any) -> None:
        """Install the hooks, and stamping on the provider. What OpenTelemetry passes along is not needed."""
        del kwargs
        from whodid.instrumentation import provider  # an adapter that is only installed needs no SDK

        provider.ensure()
        self.install()

    def untested(self, version: str) -> str | None:
        """What to say of an installed release that is none of `tested`. It is hooked all the same."""
        oldest, newest = (_release(each) for each in self.tested)
        found = _release(version)
        if oldest <= found and found[:2] <= newest[:2]:  # a correction of the newest needs no word
            return None
        of_age = "older" if found < oldest else "newer"
        tested = " to ".join(self.tested)
        return f"{self.distribution} {version} is {of_age} than what whodid is tested with ({tested})"


def load(name: str) -> Instrumentor:
    """The adapter of one name from ADAPTERS. Imports nothing of the framework's."""
    return importlib.import_module(f"{__name__}.{name}").Instrumentor()


def _release(version: str) -> tuple[int, ...]:
    """The first four numbers of a release, zeros for what it does not say. Source: PEP 440."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    found = [int(number) for number in numbers.group().split(".")] if numbers else []
    return tuple([*found, 0, 0, 0, 0][:4])
