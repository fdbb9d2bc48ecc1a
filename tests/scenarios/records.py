"""The canonical records of a story: what the store has to say of it, whichever framework acted it out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from whodid.instrumentation import Credential

FIRST = Credential.from_secret("scenario-key-1", type="api_key", scopes=("cards:charge",))
SECOND = Credential.from_secret(
    "scenario-key-2", type="api_key", scopes=("cards:charge",), replaces_id=FIRST.id
)
DELEGATION = "(delegation)"
"""A tool by which one agent has another do something, which frameworks name each in their way."""
APPROVER = "bob@acme.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One action, as the question `who` tells it."""

    tool: str
    chain: tuple[str, ...]
    """From the principal, who is the initiator as well, to the acting agent."""
    call_id: str | None = "call_1"
    mode: str = "autonomous"
    decision: str = "allow"
    enforcement: str = "allowed"
    rule: str = "everything"
    outcome: str = "succeeded"
    error: str | None = None
    """The exception's class."""
    approver: str | None = None
    """Who approved this very call with these very arguments."""
    credential: str | None = None
    effect: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that the store has to say of one story, and nothing else."""

    acts: tuple[Act, ...] = ()
    agents: tuple[tuple[str, ...], ...]
    """The delegation chains of the agents that were at work."""
    approvals: tuple[tuple[str, str, str | None], ...] = ()
    """Answers to requests for approval: the tool, `granted` or `refused`, by whom."""
    asked: dict[str, Any] = field(default_factory=dict[str, Any])
    """What other questions answer, by their name."""
    problems: tuple[str, ...] = ()
    """Findings of the validator, gaps in answers, spans that name somebody else: there have to be none."""

    def as_json(self) -> dict[str, Any]:
        """As JSON has it, in an order that does not depend on who was first."""
        said = asdict(self)
        for name in ("acts", "agents", "approvals", "problems"):
            said[name] = sorted(_listed(said[name]), key=repr)
        return {**said, "asked": _listed(said["asked"])}


def _listed(value: Any) -> Any:
    """The same with lists for tuples."""
    if isinstance(value, dict):
        return {key: _listed(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (list, tuple)):
        return [_listed(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value
