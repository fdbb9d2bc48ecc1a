"""A task's whole, valid record, for tests to break: agents, decisions, approvals, MCP, a cached result."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.trace.v1 import trace_pb2

from tests.spans import Sent, Value, request
from whodid.processor import pipeline
from whodid.processor.batch import Severity
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule

SPIFFE_ID = "spiffe://acme.example/agent/support"
ALICE, BOB = "alice@acme.example", "bob@acme.example"
AGENTS = ("support-agent", "research-agent", "search-agent")
SECOND_NS = 1_000_000_000
CLIENT, SERVER = trace_pb2.Span.SPAN_KIND_CLIENT, trace_pb2.Span.SPAN_KIND_SERVER


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def at(seconds: float) -> str:
    """A time so many seconds from now, RFC 3339."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Found:
    """One finding, as a test tells it apart."""

    record: str
    rule: FindingRule
    attribute: str
    message: str = field(compare=False)


@dataclass
class Records:
    """Spans by what they are, in the order of their start, each a minute and more after the one before."""

    spans: dict[str, Sent] = field(default_factory=dict[str, Sent])
    resources: dict[str, dict[str, Value]] = field(default_factory=dict[str, dict[str, Value]])
    """Of the spans that come from another process than the others."""
    trace_id: bytes = field(default_factory=lambda: os.urandom(16))
    first_ns: int = field(default_factory=lambda: time.time_ns() - 3600 * SECOND_NS)

    def __getitem__(self, name: str) -> Sent:
        return self.spans[name]

    def add(
        self,
        name: str,
        said: Mapping[str, Value],
        *,
        parent: str | None = None,
        kind: trace_pb2.Span.SpanKind.ValueType = trace_pb2.Span.SPAN_KIND_INTERNAL,
        error: bool = False,
    ) -> None:
        self.spans[name] = Sent(
            name=name,
            attributes=dict(said),
            trace_id=self.trace_id,
            parent_id=self[parent].span_id if parent else b"",
            start_ns=self.first_ns + len(self.spans) * 60 * SECOND_NS,
            kind=kind,
            error=error,
        )

    def say(self, name: str, **said: Value) -> None:
        """Change what a span says, by constants' names; None takes it away."""
        attributes = self[name].attributes
        for constant, value in said.items():
            attribute = str(getattr(attr, constant))
            attributes.pop(attribute, None)
            if value is not None:
                attributes[attribute] = value

    def bodies(self) -> list[bytes]:
        alike = [span for name, span in self.spans.items() if name not in self.resources]
        return [
            request(*alike),
            *(request(self[name], resource=resource) for name, resource in self.resources.items()),
        ]

    def find(self, severity: Severity = Severity.INFORMATION) -> set[Found]:
        """What the whole pipeline finds."""
        names = {span.span_id: name for name, span in self.spans.items()}
        sealed = pipeline.run(self.bodies(), severity=severity)
        return {
            Found(
                names.get(row["span_id"], "?"),
                FindingRule(row["rule"]),
                row["attribute"],
                row["message"],
            )
            for row in sealed.findings.to_pylist()
        }


def violations(records: Records) -> set[Found]:
    return records.find(Severity.VIOLATION)


def begin(records: Records, record: str, nanoseconds: int, *, after: str) -> None:
    """Move a span's start to so long after another's end."""
    other = records[after]
    records[record].start_ns = other.start_ns + other.duration_ns + nanoseconds


def why(*, agents: Iterable[str] = AGENTS[:1], **more: Value) -> dict[str, Value]:
    """For whom, why, and through whose hands; `more` by constants' names."""
    hands = list(agents)
    said: dict[str, Value] = {
        attr.ATTRIBUTION_INITIATOR_TYPE: "human",
        attr.ATTRIBUTION_INITIATOR_ID: ALICE,
        attr.ATTRIBUTION_PRINCIPAL_TYPE: "human",
        attr.ATTRIBUTION_PRINCIPAL_ID: ALICE,
        attr.ATTRIBUTION_TASK_ID: "task-1",
        attr.ATTRIBUTION_TASK_OBJECTIVE_HASH: digest("why twice?"),
        attr.ATTRIBUTION_CORRELATION_ID: "ticket-1",
        attr.GEN_AI_CONVERSATION_ID: "conversation-1",
        attr.GEN_AI_AGENT_NAME: hands[-1],
        attr.ATTRIBUTION_AGENT_INSTANCE_ID: f"{hands[-1]}:1",
        attr.ATTRIBUTION_AGENT_IDENTITY_ID: SPIFFE_ID,
        attr.ATTRIBUTION_AGENT_IDENTITY_TYPE: "spiffe",
        attr.ATTRIBUTION_DELEGATION_CHAIN: [ALICE, *hands],
    }
    return said | _named(more)


def what(
    number: int, tool: str = "lookup_order", mode: str = "autonomous", **more: Value
) -> dict[str, Value]:
    """One action of the task; `more` by constants' names."""
    said: dict[str, Value] = {
        attr.GEN_AI_TOOL_NAME: tool,
        attr.GEN_AI_TOOL_CALL_ID: f"call-{number}",
        attr.ATTRIBUTION_ACTION_ID: f"action-{number}",
        attr.ATTRIBUTION_ACTION_MODE: mode,
        attr.ATTRIBUTION_ACTION_EFFECT: "read",
        attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH: digest(f"arguments {number}"),
    }
    return said | _named(more)


def decision(number: int, outcome: str = "allow", enforcement: str = "allowed") -> dict[str, Value]:
    """What an action and the decision about it both say of it."""
    return {
        attr.ATTRIBUTION_POLICY_DECISION_ID: f"decision-{number}",
        attr.ATTRIBUTION_POLICY_DECISION_OUTCOME: outcome,
        attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION: enforcement,
    }


def credential(task: str = "task-1") -> dict[str, Value]:
    return {
        attr.ATTRIBUTION_CREDENTIAL_ID: "sha256:9f86d081884c7d65",
        attr.ATTRIBUTION_CREDENTIAL_TYPE: "bearer",
        attr.ATTRIBUTION_CREDENTIAL_SCOPES: ["orders:read"],
        attr.ATTRIBUTION_CREDENTIAL_NOT_BEFORE: at(-2 * 3600),
        attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER: at(2 * 3600),
        attr.ATTRIBUTION_CREDENTIAL_TASK_ID: task,
    }


def valid() -> Records:
    """The whole record, in which there is nothing to find at the level of violations."""
    records = Records()
    _agents(records)
    _decided(records)
    _approved(records)
    _called(records)
    _others(records)
    return records


def _agents(records: Records) -> None:
    workflow = {attr.GEN_AI_OPERATION_NAME: "invoke_workflow", attr.GEN_AI_WORKFLOW_NAME: "support"}
    records.add("workflow", _without_agent() | workflow)
    parent = "workflow"
    for depth, name in enumerate(AGENTS, start=1):
        said = why(agents=AGENTS[:depth]) | {attr.GEN_AI_OPERATION_NAME: "invoke_agent"}
        records.add(name, said | credential(), parent=parent)
        parent = name


def _decided(records: Records) -> None:
    for number, name, outcome, enforcement in (
        (1, "", "allow", "allowed"),
        (2, "denied ", "deny", "blocked"),
        (3, "monitored ", "deny", "monitored"),
    ):
        said = why(agents=AGENTS) | what(number) | decision(number, outcome, enforcement)
        records.add(f"{name}decision", said | _asked(), parent=AGENTS[-1])
        if enforcement != "blocked":
            ran = {attr.GEN_AI_OPERATION_NAME: "execute_tool", attr.ATTRIBUTION_RESULT_SOURCE: "live"}
            records.add(f"{name}execution", said | ran | credential(), parent=AGENTS[-1])


def _asked() -> dict[str, Value]:
    return {
        attr.GEN_AI_OPERATION_NAME: "evaluate_policy",
        attr.ATTRIBUTION_POLICY_ENGINE_NAME: "cedar",
        attr.ATTRIBUTION_POLICY_CONTEXT_HASH: digest("context"),
    }


def _approved(records: Records) -> None:
    action = what(4, tool="refund_invoice", mode="human_approved", ATTRIBUTION_APPROVAL_ID="approval-4")
    said = why() | action | decision(4)
    answered: dict[str, Value] = {
        attr.GEN_AI_OPERATION_NAME: "resolve_approval",
        attr.ATTRIBUTION_APPROVAL_APPROVER_ID: BOB,
        attr.ATTRIBUTION_APPROVAL_NOT_AFTER: at(3600),
    }
    for number, name, status in ((4, "answer", "granted"), (5, "refusal", "refused")):
        about: dict[str, Value] = {
            attr.GEN_AI_TOOL_NAME: "refund_invoice",
            attr.GEN_AI_TOOL_CALL_ID: f"call-{number}",
            attr.ATTRIBUTION_APPROVAL_ID: f"approval-{number}",
            attr.ATTRIBUTION_APPROVAL_STATUS: status,
            attr.ATTRIBUTION_APPROVAL_CONTEXT_HASH: digest(f"arguments {number}"),
        }
        records.add(name, why() | answered | about, parent=AGENTS[0])
        records[name].events["attribution.approval.resolved"] = {}
    granted: dict[str, Value] = {
        attr.ATTRIBUTION_APPROVAL_STATUS: "granted",
        attr.ATTRIBUTION_APPROVAL_APPROVER_ID: BOB,
    }
    records.add("approved decision", said | granted | _asked(), parent=AGENTS[0])
    ran = {attr.GEN_AI_OPERATION_NAME: "execute_tool"}
    records.add("approved execution", said | granted | ran, parent=AGENTS[0])


def _called(records: Records) -> None:
    said = why() | what(4, tool="refund_invoice", mode="human_approved", ATTRIBUTION_APPROVAL_ID="approval-4")
    said |= {attr.MCP_METHOD_NAME: "tools/call", attr.JSONRPC_REQUEST_ID: "1"}
    records.add("mcp client", said, parent="approved execution", kind=CLIENT)
    records.add("mcp server", said, parent="mcp client", kind=SERVER)
    records.resources["mcp server"] = {"service.name": "orders"}


def _others(records: Records) -> None:
    origin: dict[str, Value] = {
        attr.ATTRIBUTION_RESULT_SOURCE: "cache",
        attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID: "4bf92f3577b34da6a3ce929d0e0e4736",
        attr.ATTRIBUTION_RESULT_ORIGIN_SPAN_ID: "00f067aa0ba902b7",
        attr.ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID: BOB,
    }
    execute = {attr.GEN_AI_OPERATION_NAME: "execute_tool"}
    failed = why() | what(7) | execute | {attr.ERROR_TYPE: "TimeoutError"}
    records.add("failed execution", failed, parent=AGENTS[0], error=True)
    # The same call once more, as after a pause: the same tool, the same arguments, the same id.
    again = why() | what(7, ATTRIBUTION_ACTION_ID="action-8") | execute
    records.add("repeated execution", again, parent=AGENTS[0])
    split = why(ATTRIBUTION_TASK_ID="task-2", ATTRIBUTION_TASK_PARENT_ID="task-1") | what(9) | execute
    records.add("execution of a part", split | credential(), parent=AGENTS[0])
    cached = why(ATTRIBUTION_TASK_PARENT_ID="task-0") | what(6) | execute | origin
    records.add("cached execution", cached, parent=AGENTS[0])
    chat = {attr.GEN_AI_OPERATION_NAME: "chat", attr.GEN_AI_REQUEST_MODEL: "m"}
    records.add("chat", why() | chat | credential(), parent=AGENTS[0], kind=CLIENT)
    records.add("plan", why() | {attr.GEN_AI_OPERATION_NAME: "plan"}, parent=AGENTS[0])
    attested = why() | {attr.GEN_AI_OPERATION_NAME: "plan"}
    records.add("attested plan", attested)
    records.resources["attested plan"] = {attr.ATTRIBUTION_AGENT_ATTESTED_ID: SPIFFE_ID}
    records.add("view", _view())


def _view() -> dict[str, Value]:
    """Bob looks at what was said: what the service itself records."""
    return {
        attr.GEN_AI_OPERATION_NAME: "view_content",
        attr.ATTRIBUTION_INITIATOR_ID: BOB,
        attr.ATTRIBUTION_INITIATOR_TYPE: "human",
        attr.ATTRIBUTION_PRINCIPAL_ID: BOB,
        attr.ATTRIBUTION_PRINCIPAL_TYPE: "human",
        attr.ATTRIBUTION_ACTION_ID: "action-view-1",
        attr.ATTRIBUTION_ACTION_MODE: "human_initiated",
        attr.ATTRIBUTION_ACTION_EFFECT: "read",
        attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH: f"sha256:{'7' * 64}",
        attr.ATTRIBUTION_VIEW_QUESTION: "span",
    }


def _without_agent() -> dict[str, Value]:
    agents = (
        attr.GEN_AI_AGENT_NAME,
        attr.ATTRIBUTION_AGENT_INSTANCE_ID,
        attr.ATTRIBUTION_AGENT_IDENTITY_ID,
        attr.ATTRIBUTION_AGENT_IDENTITY_TYPE,
        attr.ATTRIBUTION_DELEGATION_CHAIN,
    )
    return {name: value for name, value in why().items() if name not in agents}


def _named(more: Mapping[str, Value]) -> dict[str, Value]:
    return {str(getattr(attr, constant)): value for constant, value in more.items()}
