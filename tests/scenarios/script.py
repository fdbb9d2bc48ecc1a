"""What an agent's model does in a story: steps that every framework's offline model can be made to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool of `tools.TOOLS`."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    id: str = "call_1"


@dataclass(frozen=True, slots=True)
class Delegate:
    """The model has another agent do a part, and goes on when that is done."""

    to: Script
    id: str = "call_d"


@dataclass(frozen=True, slots=True)
class HandOff:
    """The model hands over to another agent for good."""

    to: Script
    id: str = "call_h"


Step = Call | Delegate | HandOff


@dataclass(frozen=True, slots=True)
class Script:
    """An agent, and what its model says turn by turn; after the last turn it says `done`."""

    agent: str
    turns: tuple[tuple[Step, ...], ...] = ()

    def calls(self) -> list[Call]:
        """The calls of tools in it, not those of other agents."""
        return [step for turn in self.turns for step in turn if isinstance(step, Call)]


def script(agent: str, *turns: Step | tuple[Step, ...]) -> Script:
    """A script; a turn of one step may be given bare."""
    return Script(agent, tuple(turn if isinstance(turn, tuple) else (turn,) for turn in turns))
