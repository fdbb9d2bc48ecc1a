"""The answers' types: what the questions return, the API sends and the command line prints."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from whodid.semconv.values import EvidenceLevel


class Record(BaseModel):
    """An immutable part of an answer."""

    model_config = ConfigDict(frozen=True)


class Answer(Record):
    """One thing that was asked, with how far it can be trusted and the spans that say so."""

    value: str | list[str] | None
    evidence: EvidenceLevel
    spans: list[str]
    """Span ids, as 16 hexadecimal digits."""


class Actor(Record):
    """Which agent acted."""

    name: Answer
    instance: Answer
    identity: Answer


class Party(Record):
    """Somebody or something outside the agent."""

    type: Answer
    id: Answer


class Task(Record):
    """Why it was done."""

    id: Answer
    parent_id: Answer
    objective_hash: Answer


class Tool(Record):
    """With what it was done."""

    name: Answer
    call_id: Answer
    arguments_hash: Answer
    effect: Answer


class Decision(Record):
    """What the policies said, and on what."""

    id: Answer
    outcome: Answer
    enforcement: Answer
    rule: Answer
    reason: Answer
    policy: Answer
    policy_version: Answer
    engine: Answer
    context: dict[str, Any] | None
    """What the policies were evaluated on."""
    context_matches_hash: bool | None
    """Whether the recorded context has the recorded digest; None where one of them is missing."""


class Approval(Record):
    """Who approved it, and whether what was approved is what was done."""

    id: Answer
    status: Answer
    approver: Answer
    not_after: Answer
    covers_action: bool | None
    """Whether the approval names the digest of this action's arguments; None where one of them is missing."""


class Credential(Record):
    """By which right it was done."""

    id: Answer
    type: Answer
    issuer: Answer
    scopes: Answer
    not_after: Answer
    task_id: Answer


class Outcome(Record):
    """What became of it."""

    status: str
    """`succeeded`, `failed`, `denied`, or `not_recorded` where no span shows that it ran."""
    error_type: str | None
    started_at: str | None
    """RFC 3339, UTC."""
    ended_at: str | None
    evidence: EvidenceLevel
    spans: list[str]


class Finding(Record):
    """What the validator found wrong with a span."""

    span: str
    rule: str
    severity: str
    attribute: str
    message: str


class ActionSpan(Record):
    """One of the spans that tell of an action."""

    trace_id: str
    span_id: str
    name: str
    operation: str | None
    service: str
    started_at: str
    """RFC 3339, UTC."""
    duration_ms: float
    status: str


class WhoRecord(Record):
    """One action's full record."""

    id: str
    """The id that was asked about."""
    matched_by: str
    """What kind of id it is: `span_id`, `tool_call_id`, `action_id` or `correlation_id`."""
    action_id: str | None
    trace_ids: list[str]
    span_ids: list[str]
    spans: list[ActionSpan]
    """The same, each with its trace: ids of spans are unique within one only."""
    session: Answer
    """The session that it was done in, or the conversation where it names no session."""
    actor: Actor
    initiator: Party
    principal: Party
    delegation_chain: Answer
    task: Task
    mode: Answer
    decision: Decision
    approval: Approval
    credential: Credential
    tool: Tool
    resource: Party
    correlation_id: Answer
    outcome: Outcome
    findings: list[Finding]
    gaps: list[str]
    """What is missing or does not fit together, in words."""


class Candidate(Record):
    """One of several actions that an id may mean."""

    ask: str
    """The id to ask about instead, which means this one alone."""
    operation: str
    tool: str
    principal: str
    trace_id: str


class TraceLine(Record):
    """A span of a trace, as a line of its tree."""

    span_id: str
    parent_span_id: str | None
    depth: int
    name: str
    operation: str | None
    service: str
    agent: str | None
    principal: str | None
    chain: list[str]
    action_id: str | None
    mode: str | None
    decision: str | None
    enforcement: str | None
    status: str
    error_type: str | None
    started_at: str
    duration_ms: float
    parent_missing: bool
    """The parent is named but not in the store: a gap, not a root."""
    findings: int
    finding_rules: list[str] = Field(default_factory=list)
    """By which rules something is wrong with it, each once."""


class TraceRecord(Record):
    """A trace as a tree, depth first, siblings in the order of their start."""

    trace_id: str
    lines: list[TraceLine]
    truncated: bool
    """There are more spans than an answer holds."""
