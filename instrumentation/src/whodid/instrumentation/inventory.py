"""What is installed beside whodid: frameworks without an adapter, and others' instrumentations."""

from __future__ import annotations

from typing import Final

WITHOUT_ADAPTER: Final = (
    "ag2",
    "agent-framework-core",
    "agno",
    "autogen-agentchat",
    "a2a-sdk",
    "claude-agent-sdk",
    "crewai",
    "dspy",
    "fastmcp",
    "google-adk",
    "haystack-ai",
    "llama-index-core",
    "pydantic-ai-slim",
    "semantic-kernel",
    "smolagents",
    "strands-agents",
)
"""Distributions of agent frameworks that are looked for; what an adapter is for is left out."""

_OURS: Final = "whodid_"


def installed_version(distribution: str) -> str | None:
    """A distribution's version; None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def without_adapter(claimed: set[str]) -> list[tuple[str, str]]:
    """Name and version of each agent framework that is installed and that none of the adapters is for."""
    found = [(name, installed_version(name)) for name in WITHOUT_ADAPTER if name not in claimed]
    return [(name, known) for name, known in found if known is not None]


def other_instrumentations(names: set[str]) -> list[tuple[str, str]]:
    """Others' instrumentations of the same frameworks: the entry point's name and its distribution.

    `names`: adapters' names. Source: OpenTelemetry's entry point group `opentelemetry_instrumentor`.
    """
    from importlib.metadata import entry_points

    found: set[tuple[str, str]] = set()
    for entry in entry_points(group="opentelemetry_instrumentor"):
        plain = entry.name.replace("-", "_")
        if plain.startswith(_OURS) or not any(name in plain for name in names):
            continue
        found.add((entry.name, "unknown" if entry.dist is None else entry.dist.name))
    return sorted(found)
