"""Agents at work as the incidents need them: whole in what their spans say unless told otherwise."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from tests.spans import Sent, Value
from whodid.semconv import attributes as attr

STEP_NS = 200_000_000
SECOND_NS = 1_000_000_000
MISSING = None
Said = Mapping[str, Value]
NOTHING: Said = MappingProxyType({})
"""As an attribute's value: the span does not say it."""


_OF_EXECUTION = (
    "ERROR_TYPE",
    "ATTRIBUTION_APPROVAL_ID",
    "ATTRIBUTION_RESULT_SOURCE",
    "ATTRIBUTION_RESULT_ORIGIN_TRACE_ID",
    "ATTRIBUTION_RESULT_ORIGIN_SPAN_ID",
    "ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID",
)
"""What an action's execution says and the decision about it does not."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a scene's action was known by."""

    id: str
    decision: Sent
    execution: Sent | None


@dataclass(slots=True)
class Scene:
    """A time in which something happens. Ids are drawn from the seed, times go on by themselves."""

    draw: random.Random
    at_ns: int
    quiet_ns: int = 0
    """A time, of about an hour, in which nothing else happens: for questions that count everything."""
    sent: list[tuple[str, Mapping[str, Value], Sent]] = field(
        default_factory=list[tuple[str, Mapping[str, Value], Sent]]
    )
    """Service, resource attributes and span, in the order of time."""
    marks: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    """What a question about a time has to list where the time is in it: question, start in ns, what."""

    def hex(self, size: int = 8) -> str:
        """A fresh id, in hexadecimal digits for so many bytes."""
        return self.draw.randbytes(size).hex()

    def digest(self) -> str:
        """A digest that nothing else has."""
        return f"sha256:{hashlib.sha256(self.draw.randbytes(8)).hexdigest()}"

    def mark(self, question: str, *spans: Sent, told: str = "") -> None:
        """The question has to list these spans, by id or as `told`, where it is asked about their time."""
        self.marks += [(question, span.start_ns, told or span.span_id.hex()) for span in spans]

    def wait(self, seconds: float) -> None:
        """Lets time go by."""
        self.at_ns += int(seconds * SECOND_NS)

    def time(self, after_s: float) -> str:
        """So long from now, as RFC 3339 writes it."""
        moment = datetime.fromtimestamp(self.at_ns / SECOND_NS + after_s, UTC)
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")

    def agent(self, user: str, *names: str, **said: Value) -> Agent:
        """An agent, with the hands through which `user`'s authority came; the last is its own name."""
        return Agent(
            self,
            user,
            names,
            self.draw.randbytes(16),
            {attr.ATTRIBUTION_TASK_ID: f"task-{self.hex()}"} | _named(said),
        )


@dataclass(slots=True)
class Agent:
    """An agent at work in one trace."""

    scene: Scene
    user: str
    names: tuple[str, ...]
    trace_id: bytes
    said: dict[str, Value]
    """What all of its spans say beside the usual."""
    parent: Sent | None = None
    service: str = ""
    resource: dict[str, Value] = field(default_factory=dict[str, Value])
    root: Sent = field(init=False)

    def __post_init__(self) -> None:
        self.service = self.service or self.name
        self.root = self.span("invoke_agent", duration_ns=20 * SECOND_NS, parent=self.parent)

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def task(self) -> str:
        return str(self.said[attr.ATTRIBUTION_TASK_ID])

    def delegate(self, name: str, *, apart: bool = False, **said: Value) -> Agent:
        """Another agent that goes on with the task; `apart` in a trace of its own, linked to this one."""
        other = Agent(
            self.scene,
            self.user,
            (*self.names, name),
            self.scene.draw.randbytes(16) if apart else self.trace_id,
            self.said | _named(said),
            None if apart else self.root,
        )
        if apart:
            other.root.links.append((self.trace_id, self.root.span_id))
        return other

    def span(
        self,
        operation: str,
        *,
        parent: Sent | None = None,
        service: str = "",
        duration_ns: int = STEP_NS // 2,
        said: Said = NOTHING,
        **more: Value,
    ) -> Sent:
        """A span of this agent; `said` and `more` by constants' names, None for what it does not say."""
        more = {**said, **more}
        error = more.get("ERROR_TYPE") is not None
        everything = self._usual(operation) | self.said | _named(more)
        known = {name: value for name, value in everything.items() if value is not MISSING}
        above = parent or (None if operation == "invoke_agent" else self.root)
        span = Sent(
            name=f"{operation} {known.get(attr.GEN_AI_TOOL_NAME, self.name)}",
            attributes=known,
            trace_id=self.trace_id,
            span_id=self.scene.draw.randbytes(8),
            parent_id=above.span_id if above else b"",
            start_ns=self.scene.at_ns,
            duration_ns=duration_ns,
            error=error,
        )
        self.scene.at_ns += STEP_NS
        self.scene.sent.append((service or self.service, self.resource, span))
        return span

    def action(
        self, tool: str, *, denied_by: str = "", service: str = "", said: Said = NOTHING, **more: Value
    ) -> Action:
        """A decided action; denied it is not executed. `said` and `more` are said by both of its spans."""
        scene = self.scene
        common: dict[str, Value] = {
            "GEN_AI_TOOL_NAME": tool,
            "GEN_AI_TOOL_CALL_ID": f"call_{scene.hex()}",
            "ATTRIBUTION_ACTION_ID": scene.hex(16),
            "ATTRIBUTION_ACTION_MODE": "autonomous",
            "ATTRIBUTION_ACTION_EFFECT": "read",
            "ATTRIBUTION_ACTION_ARGUMENTS_HASH": scene.digest(),
            "ATTRIBUTION_POLICY_DECISION_ID": scene.hex(16),
            "ATTRIBUTION_POLICY_DECISION_OUTCOME": "deny" if denied_by else "allow",
            "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION": "blocked" if denied_by else "allowed",
            **said,
            **more,
        }
        of_execution = {name: common.pop(name) for name in _OF_EXECUTION if name in common}
        context = f'{{"principal":{{"id":"{self.user}","type":"human"}},"tool":"{tool}"}}'
        decision = self.span(
            "evaluate_policy",
            service=service,
            said=common,
            ATTRIBUTION_POLICY_ENGINE_NAME="cedar",
            ATTRIBUTION_POLICY_ID="tools.cedar",
            ATTRIBUTION_POLICY_RULE_ID=denied_by or "tools-of-agents",
            ATTRIBUTION_POLICY_CONTEXT_VALUE=context,
            ATTRIBUTION_POLICY_CONTEXT_HASH=f"sha256:{hashlib.sha256(context.encode()).hexdigest()}",
        )
        execution = None
        if not denied_by:
            execution = self.span("execute_tool", service=service, said={**common, **of_execution})
        return Action(str(common["ATTRIBUTION_ACTION_ID"]), decision, execution)

    def approval(self, tool: str, approver: str, digest: str, call_id: str) -> str:
        """Somebody approves a call with these arguments; the approval's id."""
        id_ = f"apr-{self.scene.hex()}"
        self.span(
            "resolve_approval",
            GEN_AI_TOOL_NAME=tool,
            GEN_AI_TOOL_CALL_ID=call_id,
            ATTRIBUTION_APPROVAL_ID=id_,
            ATTRIBUTION_APPROVAL_STATUS="granted",
            ATTRIBUTION_APPROVAL_APPROVER_ID=approver,
            ATTRIBUTION_APPROVAL_CONTEXT_HASH=digest,
        )
        return id_

    def _usual(self, operation: str) -> dict[str, Value]:
        said: dict[str, Value] = {
            attr.GEN_AI_OPERATION_NAME: operation,
            attr.GEN_AI_AGENT_NAME: self.name,
            attr.ATTRIBUTION_AGENT_INSTANCE_ID: f"{self.name}:1",
            attr.ATTRIBUTION_AGENT_IDENTITY_ID: f"spiffe://acme.example/agent/{self.name}",
            attr.ATTRIBUTION_AGENT_IDENTITY_TYPE: "spiffe",
            attr.ATTRIBUTION_INITIATOR_TYPE: "human",
            attr.ATTRIBUTION_INITIATOR_ID: self.user,
            attr.ATTRIBUTION_PRINCIPAL_TYPE: "human",
            attr.ATTRIBUTION_PRINCIPAL_ID: self.user,
            attr.ATTRIBUTION_DELEGATION_CHAIN: [self.user, *self.names],
        }
        if operation == "chat":
            said |= {attr.GEN_AI_REQUEST_MODEL: "m-1", attr.GEN_AI_PROVIDER_NAME: "openai"}
        return said


def _named(said: Mapping[str, Value]) -> dict[str, Value]:
    return {str(getattr(attr, name)): value for name, value in said.items()}
