"""Cedar policies, evaluated in this process (cedarpy), asked with what is known about an action.

The request: principal `Agent::"<name>"`, action `Action::"execute_tool"`, resource `Tool::"<name>"`, context.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import cedarpy as _cedarpy

from whodid.instrumentation.digest import sha256_text
from whodid.instrumentation.policy import Decision, DecisionRequest
from whodid.semconv.values import PolicyDecisionOutcome as Outcome

_cedar: Final[Any] = _cedarpy  # its own annotations are partly unknown to a strict checker
ACTION: Final = {"type": "Action", "id": "execute_tool"}
NO_AGENT: Final = {"type": "Unknown", "id": "agent"}
"""Who asks where no agent is known: an entity that no policy about agents matches."""
MAX_ARGUMENT_CHARS: Final = 262_144
"""More is not decided on: a model must not be able to stall the engine that every call waits for."""
MAX_POLICY_BYTES: Final = 1_048_576
_LONG: Final = range(-(2**63), 2**63)
_DECIMAL_LIMIT: Final = Decimal("922337203685477.5807")
_ESCAPES: Final = frozenset({"__entity", "__extn", "__expr"})


class PolicyError(Exception):
    """The policy cannot be read; says which file and why."""


class CannotExpressError(Exception):
    """Cedar has no value for this argument."""


def cedar_value(value: Any) -> Any:
    """A JSON value as Cedar's JSON has it. Cedar has neither null nor floating point:

    nulls are left out, whole numbers become Long, other numbers `decimal` where its four places hold them
    exactly and text where they do not. Raises CannotExpressError for a key that Cedar's JSON gives a meaning.
    """
    if isinstance(value, Mapping):
        record: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType] it is JSON
        if not _ESCAPES.isdisjoint(record):
            raise CannotExpressError("a key of Cedar's own")
        return {key: cedar_value(item) for key, item in record.items() if item is not None}
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] it is JSON
        return [cedar_value(item) for item in items if item is not None]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return _number(value)


def _number(value: float) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise CannotExpressError("not a number")
    if value == int(value):
        return int(value) if int(value) in _LONG else str(int(value))
    exact = Decimal(repr(value))
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -4 and abs(exact) <= _DECIMAL_LIMIT:
        return {"__extn": {"fn": "decimal", "arg": format(exact, "f")}}
    return format(exact, "f")


@dataclass(frozen=True, slots=True)
class CedarGuard:
    """A parsed set of policies."""

    policies: Any
    policy_id: str
    policy_version: str
    engine: str = "cedar"

    @classmethod
    def from_path(cls, path: str | Path) -> Self:
        """Read a file, or a folder's `*.cedar` in the order of their names. Raises PolicyError."""
        files = _files(Path(path))
        texts: list[str] = []
        size_bytes = 0
        for file in files:
            try:
                texts.append(file.read_text("utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise PolicyError(f"{file}: {error}") from error
            size_bytes += len(texts[-1])
            if size_bytes > MAX_POLICY_BYTES:
                raise PolicyError(f"{file}: the policies are longer than {MAX_POLICY_BYTES} bytes")
        return cls.from_text("\n".join(texts), policy_id=",".join(file.name for file in files))

    @classmethod
    def from_text(cls, text: str, *, policy_id: str) -> Self:
        """Parse policies. Raises PolicyError."""
        try:
            policies = _cedar.PolicySet.from_str(text)
        except ValueError as error:
            raise PolicyError(f"{policy_id}: {error}") from error
        version = "sha256:" + sha256_text(text).removeprefix("sha256:")[:12]
        return cls(policies, policy_id, version)

    def decide(self, request: DecisionRequest) -> Decision:
        """Ask Cedar. Raises what cedarpy or the conversion raises; the caller makes it a denial."""
        frozen = request.arguments
        if frozen is None or len(frozen.text) > MAX_ARGUMENT_CHARS:
            return self._decision(Outcome.ERROR, "the arguments are too long to be decided on")
        principal = NO_AGENT if request.agent_name is None else {"type": "Agent", "id": request.agent_name}
        answer = _cedar.is_authorized(
            {
                "principal": principal,
                "action": ACTION,
                "resource": {"type": "Tool", "id": request.tool_name},
                "context": json.dumps({**request.context, "arguments": cedar_value(frozen.value())}),
            },
            self.policies,
            _NO_ENTITIES,
        )
        return self._judge(answer)

    def _judge(self, answer: Any) -> Decision:
        diagnostics = answer.diagnostics
        names: dict[str, str] = diagnostics.id_annotations_by_reason
        rule_id = ",".join(sorted(names.get(reason) or reason for reason in diagnostics.reasons)) or None
        failed = bool(diagnostics.errors)
        if answer.decision is _cedar.Decision.Allow and not failed:
            return self._decision(Outcome.ALLOW, f"permitted by {rule_id}", rule_id)
        if answer.decision is _cedar.Decision.Deny and rule_id is not None:
            return self._decision(Outcome.DENY, f"forbidden by {rule_id}", rule_id)
        if answer.decision is _cedar.Decision.Deny and not failed:
            return self._decision(Outcome.DENY, "no policy permits it")
        # Cedar skips a policy that fails, even a forbid: that must not be what lets an action through.
        return self._decision(Outcome.ERROR, "a policy could not be evaluated on this action")

    def _decision(self, outcome: Outcome, reason: str, rule_id: str | None = None) -> Decision:
        return Decision(
            outcome=outcome,
            engine=self.engine,
            reason=reason,
            rule_id=rule_id,
            policy_id=self.policy_id,
            policy_version=self.policy_version,
        )


_NO_ENTITIES: Final = _cedar.Entities.from_json_str("[]")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.cedar"))
        if not files:
            raise PolicyError(f"{path}: no *.cedar file in this folder")
        return files
    if not path.is_file():
        raise PolicyError(f"{path}: no such file or folder")
    return [path]
