"""What other Cedar policies would have said about past decisions, from the contexts that were recorded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from whodid.store.questions.asking import ParameterError

MAX_POLICY_CHARACTERS = 262_144
_ENGINE = "cedar"
_UNKNOWN = {"__extn": {"fn": "unknown", "arg": "arguments"}}


class PolicyTextError(ParameterError):
    """The policies cannot be read, or nothing is there that evaluates them."""


class Verdict(StrEnum):
    """What other policies would have said."""

    ALLOW = "allow"
    DENY = "deny"
    ERROR = "error"
    """A policy fails on this context, which a guard holds back."""
    NOT_EVALUABLE = "not_evaluable"
    """What was recorded is not enough to say."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a past decision."""

    agent: str
    tool: str
    engine: str
    context: str
    context_hash: str


class WhatIf:
    """A set of Cedar policies that past decisions are held against."""

    def __init__(self, text: str) -> None:
        """Raises PolicyTextError."""
        try:
            from whodid.instrumentation import cedar
        except ImportError:
            raise PolicyTextError(
                "policies can only be evaluated with cedarpy", "pip install 'whodid[guard]'"
            ) from None
        try:
            self._policies: Any = cedar.CedarGuard.from_text(text, policy_id="policy").policies
        except cedar.PolicyError as error:
            raise PolicyTextError(
                f"the policies cannot be read: {error}", "give the text of Cedar policies, not a file's name"
            ) from None
        self._cedar = cedar

    def verdict(self, recorded: Recorded) -> tuple[Verdict, str]:
        """What the policies say, and why in words.

        The arguments of a call are recorded as a digest alone. They are unknown to the policies, so an answer
        that depends on them is none.
        """
        if recorded.engine not in ("", _ENGINE):
            return Verdict.NOT_EVALUABLE, f"it was decided by {recorded.engine}, on a context of its own kind"
        context = _context(recorded)
        if isinstance(context, str):
            return Verdict.NOT_EVALUABLE, context
        try:
            known = self._cedar.cedar_value({k: v for k, v in context.items() if k != "arguments"})
        except self._cedar.CannotExpressError as error:
            return Verdict.NOT_EVALUABLE, f"Cedar cannot express the recorded context: {error}"
        return self._ask(_agent(context, recorded), recorded.tool, {**known, "arguments": _UNKNOWN})

    def _ask(self, agent: str, tool: str, context: dict[str, Any]) -> tuple[Verdict, str]:
        import cedarpy

        api: Any = cedarpy
        no_agent = self._cedar.NO_AGENT
        principal = ("Agent", agent) if agent else (no_agent["type"], no_agent["id"])
        action = self._cedar.ACTION
        answer = api.is_authorized_partial(
            {
                "principal": _entity(*principal),
                "action": _entity(action["type"], action["id"]),
                "resource": _entity("Tool", tool),
                "context": json.dumps(context),
            },
            self._policies,
            api.Entities.from_json_str("[]"),
        )
        return _judge(answer, api.Decision)


def _judge(answer: Any, decision: Any) -> tuple[Verdict, str]:
    diagnostics = answer.diagnostics
    names: dict[str, str] = diagnostics.id_annotations_by_reason
    rules = ", ".join(sorted(names.get(each) or each for each in diagnostics.must_be_determining))
    if answer.decision is decision.Deny and rules:
        return Verdict.DENY, f"forbidden by {rules}"
    if answer.decision is decision.NoDecision and not answer.residuals:
        return Verdict.NOT_EVALUABLE, "Cedar does not take what is recorded"
    if answer.decision is decision.NoDecision:
        return Verdict.NOT_EVALUABLE, "it depends on the arguments, which are recorded as a digest alone"
    if diagnostics.errors:
        return Verdict.ERROR, "a policy fails on the recorded context"
    if answer.decision is decision.Allow:
        return Verdict.ALLOW, f"permitted by {rules}"
    return Verdict.DENY, "no policy permits it"


def _context(recorded: Recorded) -> dict[str, Any] | str:
    """The recorded context, or why there is none."""
    if not recorded.context:
        return "the context is not recorded"
    if not recorded.tool:
        return "the tool is not recorded"
    digest = f"sha256:{hashlib.sha256(recorded.context.encode()).hexdigest()}"
    if recorded.context_hash and recorded.context_hash != digest:
        return "the recorded context does not have the recorded digest"
    try:
        context: Any = json.loads(recorded.context)
    except (ValueError, RecursionError):
        return "the recorded context is no JSON"
    return (
        cast("dict[str, Any]", context) if isinstance(context, dict) else "the recorded context is no object"
    )


def _agent(context: dict[str, Any], recorded: Recorded) -> str:
    """Who asked: by the context, on which it was decided, before what the span says."""
    said = context.get("agent")
    name = cast("dict[str, Any]", said).get("name") if isinstance(said, dict) else None
    return name if isinstance(name, str) else recorded.agent


_ESCAPED = str.maketrans(
    {'"': '\\"', "'": "\\'", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
)


def _entity(type_: str, id_: str) -> str:
    """An entity as Cedar writes it, which takes it in no other form; an id stays within its quotes."""
    quoted = id_.translate(_ESCAPED)
    plain = "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in quoted)
    return f'{type_}::"{plain}"'
