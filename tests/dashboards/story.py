"""What the pages' tests look at: one afternoon of two agents, with an incident in it, as OTLP requests.

Alice asks her support agent for help. It reads an order, is denied a deletion, sends a mail that Bob
approved, pays a refund by itself with a credential that had run out, and hands on to a research agent in
another trace, one of whose spans is lost. Later the same conversation goes on in a third trace, and a night
job acts for nobody.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.trace.v1 import trace_pb2

from tests.spans import Sent, attribution, request
from whodid.semconv import attributes as attr

ALICE, BOB = "alice@acme.example", "bob@acme.example"
SESSION = "chat-4711"
CREDENTIAL = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
BIG_SESSION = "chat-busy"
CORRELATION = "req-77"
"""Means several actions."""

SUPPORT_TRACE, RESEARCH_TRACE, LATER_TRACE, NIGHT_TRACE = (digit * 32 for digit in "abcd")
HOSTILE_TRACE, BIG_TRACE = "e" * 32, "f" * 32

READ, DELETE, MAIL, REFUND, SEARCH, FETCH, CLOSE, NIGHT = (
    f"action-{name}" for name in ("read", "delete", "mail", "refund", "search", "fetch", "close", "night")
)
HANDOFF = "action-handoff"
APPROVAL = "approval-1"

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>'\"\u202e\u2066.exe"
)
"""Markup, script, and what turns the writing round."""
HUGE_CHARACTERS = 1_000_000
BIG_SPANS = 4_000

_MS = 1_000_000

Said = dict[str, Any]


def _arguments_hash(tool: str) -> str:
    return f"sha256:{hashlib.sha256(tool.encode()).hexdigest()}"


class _Trace:
    """Builds a trace's spans; times are in ms after its beginning."""

    def __init__(self, trace_id: str, begin_ns: int, **common: Any) -> None:
        self._trace_id = bytes.fromhex(trace_id)
        self._begin_ns = begin_ns
        self._common = common
        self._count = 0

    def span(
        self,
        operation: str,
        what: str,
        at_ms: int,
        for_ms: int,
        parent: Sent | bytes = b"",
        *,
        kind: trace_pb2.Span.SpanKind.ValueType = trace_pb2.Span.SPAN_KIND_INTERNAL,
        error: bool = False,
        links: Sequence[Sent] = (),
        **said: Any,
    ) -> Sent:
        self._count += 1
        return Sent(
            name=f"{operation} {what}",
            attributes=attribution(operation, **{**self._common, **said}),
            trace_id=self._trace_id,
            # Told by the trace and a number, so that tests can name them.
            span_id=self._trace_id[:4] + self._count.to_bytes(4, "big"),
            parent_id=parent.span_id if isinstance(parent, Sent) else parent,
            start_ns=self._begin_ns + at_ms * _MS,
            duration_ns=for_ms * _MS,
            kind=kind,
            error=error,
            links=[(link.trace_id, link.span_id) for link in links],
        )

    def acted(
        self,
        tool: str,
        action: str,
        at_ms: int,
        for_ms: int,
        parent: Sent,
        *,
        error: str = "",
        **said: Any,
    ) -> list[Sent]:
        """A decision that allows, and the action after it, which fails with `error` if there is one."""
        failed: Said = {"ERROR_TYPE": error} if error else {}
        both: Said = {
            "GEN_AI_TOOL_NAME": tool,
            "GEN_AI_TOOL_CALL_ID": f"call-{action}",
            "ATTRIBUTION_ACTION_ID": action,
            "ATTRIBUTION_ACTION_ARGUMENTS_HASH": _arguments_hash(tool),
            **said,
        }
        return [
            self.span("evaluate_policy", tool, at_ms - 8, 6, parent, **both, **_decided(action, tool)),
            self.span("execute_tool", tool, at_ms, for_ms, parent, error=bool(error), **both, **failed),
        ]


def _decided(action: str, tool: str, *, deny: str = "") -> Said:
    context = json.dumps(
        {"tool": tool, "principal": ALICE, "amount": 120, "region": "eu"}, separators=(",", ":")
    )
    said: Said = {
        "ATTRIBUTION_POLICY_DECISION_ID": f"decision-{action}",
        "ATTRIBUTION_POLICY_ID": "support-tools",
        "ATTRIBUTION_POLICY_VERSION": "7",
        "ATTRIBUTION_POLICY_RULE_ID": "allow-support",
        "ATTRIBUTION_POLICY_CONTEXT_VALUE": context,
        "ATTRIBUTION_POLICY_CONTEXT_HASH": f"sha256:{hashlib.sha256(context.encode()).hexdigest()}",
    }
    if deny:
        said |= {
            "ATTRIBUTION_POLICY_DECISION_OUTCOME": "deny",
            "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION": "blocked",
            "ATTRIBUTION_POLICY_RULE_ID": "forbid-deletion",
            "ATTRIBUTION_POLICY_DECISION_REASON": deny,
        }
    return said


def requests(now_ns: int | None = None) -> list[bytes]:
    """All of it, a request a service; it was over some minutes before `now_ns`."""
    begin_ns = (now_ns or time.time_ns()) - 20 * 60_000 * _MS
    support, handoff = _support(begin_ns)
    return [
        request(*support, service="support"),
        request(*_tool_server(begin_ns, support), service="orders-mcp"),
        request(*_research(begin_ns, handoff), service="research"),
        request(*_later(begin_ns), service="support"),
        request(*_night(begin_ns), service="night-job"),
    ]


def _support(begin_ns: int) -> tuple[list[Sent], Sent]:
    trace = _Trace(SUPPORT_TRACE, begin_ns, SESSION_ID=SESSION)
    root = trace.span("invoke_agent", "support-agent", 0, 9_000)
    credential: Said = {
        "ATTRIBUTION_CREDENTIAL_ID": CREDENTIAL,
        "ATTRIBUTION_CREDENTIAL_TYPE": "api_key",
        "ATTRIBUTION_CREDENTIAL_ISSUER": "vault.acme.example",
        "ATTRIBUTION_CREDENTIAL_SCOPES": ["mail.send", "refunds.write"],
        "ATTRIBUTION_CREDENTIAL_NOT_AFTER": "2020-01-01T00:00:00Z",
    }
    approved: Said = {
        "ATTRIBUTION_APPROVAL_ID": APPROVAL,
        "ATTRIBUTION_ACTION_MODE": "human_approved",
        "ATTRIBUTION_ACTION_EFFECT": "communicate",
        "ATTRIBUTION_RESOURCE_TYPE": "mailbox",
        "ATTRIBUTION_RESOURCE_ID": "customer-17@shop.example",
    }
    delete: Said = {
        "GEN_AI_TOOL_NAME": "delete_customer",
        "GEN_AI_TOOL_CALL_ID": f"call-{DELETE}",
        "ATTRIBUTION_ACTION_ID": DELETE,
        "ATTRIBUTION_ACTION_EFFECT": "delete",
    }
    handoff = trace.span(
        "execute_tool",
        "ask_research",
        6_000,
        2_800,
        root,
        kind=trace_pb2.Span.SPAN_KIND_CLIENT,
        GEN_AI_TOOL_NAME="ask_research",
        GEN_AI_TOOL_CALL_ID=f"call-{HANDOFF}",
        ATTRIBUTION_ACTION_ID=HANDOFF,
        ATTRIBUTION_CORRELATION_ID=CORRELATION,
    )
    spans = [
        root,
        trace.span("chat", "gpt-5", 40, 860, root),
        *trace.acted(
            "lookup_order",
            READ,
            930,
            250,
            root,
            ATTRIBUTION_ACTION_EFFECT="read",
            ATTRIBUTION_RESOURCE_TYPE="order",
            ATTRIBUTION_RESOURCE_ID="order/1001",
        ),
        trace.span("chat", "gpt-5", 1_220, 880, root),
        trace.span(
            "evaluate_policy",
            "delete_customer",
            2_120,
            12,
            root,
            **delete,
            **_decided(DELETE, "delete_customer", deny="a customer is deleted by a human alone"),
        ),
        trace.span(
            "resolve_approval",
            "send_mail",
            2_400,
            2_500,
            root,
            GEN_AI_TOOL_NAME="send_mail",
            ATTRIBUTION_APPROVAL_ID=APPROVAL,
            ATTRIBUTION_APPROVAL_STATUS="granted",
            ATTRIBUTION_APPROVAL_APPROVER_ID=BOB,
            ATTRIBUTION_APPROVAL_CONTEXT_HASH=_arguments_hash("send_mail"),
            ATTRIBUTION_APPROVAL_NOT_AFTER="2199-01-01T00:00:00Z",
        ),
        *trace.acted("send_mail", MAIL, 5_010, 290, root, **approved, **credential),
        *trace.acted(
            "issue_refund",
            REFUND,
            5_400,
            310,
            root,
            ATTRIBUTION_ACTION_MODE="autonomous_after_approval",
            ATTRIBUTION_ACTION_EFFECT="write",
            ATTRIBUTION_RESOURCE_TYPE="account",
            ATTRIBUTION_RESOURCE_ID="account/17",
            **credential,
        ),
        handoff,
    ]
    return spans, handoff


def _tool_server(begin_ns: int, support: list[Sent]) -> list[Sent]:
    """What the tool's own process says of the read, below the agent's span of it."""
    called = next(span for span in support if span.name == "execute_tool lookup_order")
    served = Sent(
        name="tools/call lookup_order",
        attributes={**called.attributes, attr.MCP_METHOD_NAME: "tools/call"},
        trace_id=called.trace_id,
        span_id=b"\xaa\xaa\xaa\xaa\x00\x00\x01\x01",
        parent_id=called.span_id,
        start_ns=begin_ns + 960 * _MS,
        duration_ns=180 * _MS,
        kind=trace_pb2.Span.SPAN_KIND_SERVER,
    )
    return [served]


def _research(begin_ns: int, handoff: Sent) -> list[Sent]:
    trace = _Trace(
        RESEARCH_TRACE,
        begin_ns,
        SESSION_ID=SESSION,
        GEN_AI_AGENT_NAME="research-agent",
        ATTRIBUTION_AGENT_INSTANCE_ID="research-agent:9",
        ATTRIBUTION_DELEGATION_CHAIN=[ALICE, "support-agent", "research-agent"],
        ATTRIBUTION_TASK_ID="task-2",
        ATTRIBUTION_TASK_PARENT_ID="task-1",
        ATTRIBUTION_CORRELATION_ID=CORRELATION,
    )
    root = trace.span("invoke_agent", "research-agent", 6_100, 2_600, links=[handoff])
    lost = trace.span("invoke_agent", "never sent", 0, 0)
    found = trace.acted(
        "web_search",
        SEARCH,
        6_400,
        900,
        root,
        ATTRIBUTION_ACTION_EFFECT="read",
        ATTRIBUTION_RESULT_SOURCE="cache",
    )
    fetched = trace.acted("fetch_page", FETCH, 7_500, 600, lost, ATTRIBUTION_ACTION_EFFECT="read")
    return [root, *found, trace.span("chat", "gpt-5", 8_200, 450, root), *fetched]


def _later(begin_ns: int) -> list[Sent]:
    trace = _Trace(LATER_TRACE, begin_ns + 180_000 * _MS, SESSION_ID=SESSION)
    root = trace.span("invoke_agent", "support-agent", 0, 1_500)
    closed = trace.acted(
        "close_ticket",
        CLOSE,
        600,
        700,
        root,
        error="TimeoutError",
        ATTRIBUTION_ACTION_EFFECT="write",
        ATTRIBUTION_RESOURCE_TYPE="ticket",
        ATTRIBUTION_RESOURCE_ID="ticket/88",
    )
    return [root, trace.span("chat", "gpt-5", 30, 500, root), *closed]


def _night(begin_ns: int) -> list[Sent]:
    """An action that nobody answers for: no principal, no initiator, no decision, no parent."""
    said: Said = {
        attr.GEN_AI_OPERATION_NAME: "execute_tool",
        attr.GEN_AI_AGENT_NAME: "night-agent",
        attr.GEN_AI_TOOL_NAME: "export_table",
        attr.ATTRIBUTION_ACTION_ID: NIGHT,
        attr.ATTRIBUTION_ACTION_EFFECT: "read",
    }
    return [
        Sent(
            name="execute_tool export_table",
            attributes=said,
            trace_id=bytes.fromhex(NIGHT_TRACE),
            start_ns=begin_ns + 240_000 * _MS,
            duration_ns=4_000 * _MS,
        )
    ]


def hostile(now_ns: int | None = None) -> list[bytes]:
    """A trace in which every text is markup, or a megabyte long."""
    begin_ns = (now_ns or time.time_ns()) - 10 * 60_000 * _MS
    huge = "<b>" + "ab c" * (HUGE_CHARACTERS // 4)
    names = [name for name, value in attribution("evaluate_policy").items() if isinstance(value, str)]
    fixed = {attr.GEN_AI_OPERATION_NAME, attr.ATTRIBUTION_ACTION_ID}
    texts: Said = {name: HOSTILE for name in names if name not in fixed} | {
        attr.ATTRIBUTION_DELEGATION_CHAIN: [HOSTILE, HOSTILE],
        attr.SESSION_ID: HOSTILE,
        attr.ATTRIBUTION_CREDENTIAL_ID: HOSTILE,
        attr.ATTRIBUTION_RESOURCE_ID: HOSTILE,
        attr.ATTRIBUTION_APPROVAL_ID: HOSTILE,
        attr.ATTRIBUTION_POLICY_DECISION_REASON: HOSTILE,
        attr.ERROR_TYPE: HOSTILE,
        HOSTILE: HOSTILE,
    }
    trace_id = bytes.fromhex(HOSTILE_TRACE)
    root = Sent(
        name=HOSTILE,
        attributes={**texts, attr.GEN_AI_OPERATION_NAME: "invoke_agent"},
        trace_id=trace_id,
        span_id=b"\xee" * 7 + b"\x01",
        start_ns=begin_ns,
        duration_ns=900 * _MS,
    )
    acts = [
        Sent(
            name=HOSTILE,
            attributes={
                **texts,
                attr.GEN_AI_OPERATION_NAME: operation,
                attr.ATTRIBUTION_ACTION_ID: "action-hostile",
                attr.GEN_AI_TOOL_CALL_ARGUMENTS: huge,
                "note": huge,
            },
            trace_id=trace_id,
            span_id=b"\xee" * 7 + bytes([2 + number]),
            parent_id=root.span_id,
            start_ns=begin_ns + (number + 1) * 100 * _MS,
            duration_ns=80 * _MS,
            error=True,
            events={HOSTILE: {HOSTILE: HOSTILE}},
        )
        for number, operation in enumerate(("evaluate_policy", "execute_tool"))
    ]
    return [request(root, *acts, service=HOSTILE)]


def big(now_ns: int | None = None) -> list[bytes]:
    """A trace of thousands of spans, some of them deep."""
    begin_ns = (now_ns or time.time_ns()) - 5 * 60_000 * _MS
    trace = _Trace(
        BIG_TRACE,
        begin_ns,
        GEN_AI_AGENT_NAME="busy-agent",
        ATTRIBUTION_DELEGATION_CHAIN=[ALICE, "busy-agent"],
        SESSION_ID=BIG_SESSION,
    )
    root = trace.span("invoke_agent", "busy-agent", 0, BIG_SPANS * 10)
    spans = [root]
    for number in range(1, BIG_SPANS):
        is_deep = number < 60
        above = spans[-1] if is_deep else root
        spans.append(trace.span("chat", "gpt-5", number * 10, 8 if not is_deep else 700, above))
    return [request(*spans, service="busy")]
