"""What a policy engine is asked and what it answers: all that an engine and its callers have to agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from whodid.instrumentation.digest import Frozen, canonical_json
from whodid.semconv.values import PolicyDecisionOutcome as Outcome


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One action to decide on: the agent that asks, the tool, and everything that a policy may look at."""

    agent_name: str | None
    tool_name: str
    context: Mapping[str, Any]
    """Everything but the arguments; what is not known is absent."""
    arguments: Frozen | None
    """None if they could not be frozen, on which nothing can be decided."""

    def recorded_context(self) -> str:
        """The evaluated context as a span carries it: canonical JSON, the arguments by their digest."""
        held = {} if self.arguments is None else {"arguments": self.arguments.hash}
        return canonical_json({**self.context, **held})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an engine said. `reason` is for people and holds no content."""

    outcome: Outcome
    engine: str
    reason: str | None = None
    rule_id: str | None = None
    policy_id: str | None = None
    policy_version: str | None = None
    error_type: str | None = None


class Guard(Protocol):
    """A policy engine. Whatever it raises counts as the outcome `error`, which is a denial."""

    @property
    def engine(self) -> str:
        """The engine's name, for `attribution.policy.engine.name`."""
        ...

    def decide(self, request: DecisionRequest) -> Decision:
        """Decide on one action; called on the path of every tool call, from any thread."""
        ...
