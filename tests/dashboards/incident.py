"""What the pages are tried on: a mail that should not have been sent, ordinary days around it, hostile spans.

alice@acme.example asks support-agent for a refund. bob@acme.example approves it. support-agent hands on
to mail-agent, which mails a customer list to an address outside, with the mail credential. An hour later an
export job that nobody enrolled uses that credential too.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from tests.spans import Sent, Value, attribution, request
from whodid.semconv import attributes as attr

BEGAN_NS = time.time_ns() - 3 * 3_600_000_000_000
"""Three hours ago."""

ALICE, BOB = "alice@acme.example", "bob@acme.example"
SESSION = "session-refund-7"
TASK = "task-refund-7"
MAIL_KEY = "sha256:51c2e0b7f9aa4d33"
PAY_KEY = "sha256:9d04aa1177f3c2e5"
SENT_MAIL = "action-mail-1"
REFUNDED = "action-refund-1"
REFUND_APPROVAL = "approval-refund-1"
MAIL_DECISION = "decision-mail-1"
MAILBOX = "mailto:partner@rival.example"
TRACE = bytes.fromhex("5ec0de00000000000000000000000001")
MAIL_SPAN = bytes.fromhex("5ec0de0000000005")
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202egnp.exe\u202c \x1b[2J {{7*7}} "
    "=cmd|' /C calc'!A0"
)
"""What would run in a browser, turn the writing round, steer a terminal, calculate in a template or sheet."""
LONG = "A megabyte of text. " * 52_429
OLD_TOOL, NEW_TOOL = (f"sha256:{digit * 64}" for digit in "12")
ARGUMENTS = [f"sha256:{digit * 64}" for digit in "345"]

Said = dict[str, Any]


def requests() -> list[bytes]:
    """Everything, as OTLP requests."""
    return [
        *_by_service(_the_incident()),
        request(_old_approval(), service="mail"),
        request(*_export(), service="nightly-export"),
        request(*_more_approvals(), service="support"),
        request(*_contradictions(), service="support"),
        request(*_ordinary(), service="shop"),
        request(*_hostile(), service=HOSTILE, scope=HOSTILE),
    ]


def at(minute: float, operation: str, *, parent: Sent | None = None, **more: Any) -> Sent:
    """A span of an operation, so many minutes after the beginning; `more` by constants' names."""
    own = {
        name: more.pop(name)
        for name in ("error", "span_id", "trace_id", "name", "duration_ns")
        if name in more
    }
    said = attribution(operation, **more)
    shown = (
        said.get(attr.GEN_AI_TOOL_NAME) if operation == "execute_tool" else said.get(attr.GEN_AI_AGENT_NAME)
    )
    span = Sent(name=f"{operation} {shown}"[:200], attributes=said, start_ns=BEGAN_NS + int(minute * 60e9))
    if parent is not None:
        span.trace_id, span.parent_id = parent.trace_id, parent.span_id
    for name, value in own.items():
        setattr(span, name, value)
    return span


def context_of(**more: Value) -> Said:
    """A decision's context with its digest."""
    text = json.dumps(more, sort_keys=True, separators=(",", ":"))
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return {"ATTRIBUTION_POLICY_CONTEXT_VALUE": text, "ATTRIBUTION_POLICY_CONTEXT_HASH": digest}


def _in_session(**more: Any) -> Said:
    return {
        "user": ALICE,
        "SESSION_ID": SESSION,
        "ATTRIBUTION_TASK_ID": TASK,
        "ATTRIBUTION_AGENT_INSTANCE_ID": "support-agent:7f3a",
        "ATTRIBUTION_AGENT_IDENTITY_ID": "spiffe://acme.example/agent/support",
        "ATTRIBUTION_AGENT_IDENTITY_TYPE": "spiffe",
        **more,
    }


def _as_mailer(**more: Any) -> Said:
    return _in_session(
        GEN_AI_AGENT_NAME="mail-agent",
        ATTRIBUTION_AGENT_INSTANCE_ID="mail-agent:11b0",
        ATTRIBUTION_AGENT_IDENTITY_ID="spiffe://acme.example/agent/mail",
        ATTRIBUTION_DELEGATION_CHAIN=[ALICE, "support-agent", "mail-agent"],
        **more,
    )


def _of(action: str, tool: str, resource: str, effect: str, **more: Any) -> Said:
    return {
        "ATTRIBUTION_ACTION_ID": action,
        "GEN_AI_TOOL_NAME": tool,
        "GEN_AI_TOOL_CALL_ID": f"call-{action}",
        "ATTRIBUTION_RESOURCE_TYPE": resource.partition(":")[0],
        "ATTRIBUTION_RESOURCE_ID": resource,
        "ATTRIBUTION_ACTION_EFFECT": effect,
        **more,
    }


def _mail_key(**more: Any) -> Said:
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGAN_NS / 1e9 - 600))
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGAN_NS / 1e9 + 1800))
    return {
        "ATTRIBUTION_CREDENTIAL_ID": MAIL_KEY,
        "ATTRIBUTION_CREDENTIAL_TYPE": "oauth_access_token",
        "ATTRIBUTION_CREDENTIAL_ISSUER": "https://login.acme.example",
        "ATTRIBUTION_CREDENTIAL_SCOPES": ["mail.send"],
        "ATTRIBUTION_CREDENTIAL_NOT_BEFORE": begin,
        "ATTRIBUTION_CREDENTIAL_NOT_AFTER": end,
        "ATTRIBUTION_CREDENTIAL_TASK_ID": TASK,
        **more,
    }


def _decided(minute: float, parent: Sent, number: str, said: Said, **more: Any) -> Sent:
    return at(
        minute,
        "evaluate_policy",
        parent=parent,
        **{
            **said,
            "ATTRIBUTION_POLICY_DECISION_ID": f"decision-{number}",
            "ATTRIBUTION_POLICY_ID": "acme-agents",
            "ATTRIBUTION_POLICY_VERSION": "2026-11-20",
            "ATTRIBUTION_POLICY_RULE_ID": "tools-of-support",
            **context_of(
                agent={"name": said.get("GEN_AI_AGENT_NAME", "support-agent")},
                mode=said.get("ATTRIBUTION_ACTION_MODE", "autonomous"),
                effect=said.get("ATTRIBUTION_ACTION_EFFECT", ""),
                resource={"id": said.get("ATTRIBUTION_RESOURCE_ID", "")},
            ),
            **more,
        },
    )


def _the_incident() -> dict[str, list[Sent]]:
    agent = at(0, "invoke_agent", trace_id=TRACE, duration_ns=240_000_000_000, **_in_session())
    mailer = at(3, "invoke_agent", parent=agent, duration_ns=50_000_000_000, **_as_mailer())
    looked = _in_session(**_of("action-look-1", "lookup_order", "order:1041", "read"))
    refund = _in_session(
        **_of(REFUNDED, "refund", "order:1041", "write", ATTRIBUTION_ACTION_MODE="human_approved"),
        ATTRIBUTION_APPROVAL_ID=REFUND_APPROVAL,
        ATTRIBUTION_ACTION_ARGUMENTS_HASH=ARGUMENTS[0],
        ATTRIBUTION_CREDENTIAL_ID=PAY_KEY,
    )
    deleted = _in_session(**_of("action-delete-1", "delete_customer", "customer:77", "delete"))
    mail = _as_mailer(
        **_of(SENT_MAIL, "send_mail", MAILBOX, "communicate"),
        **_mail_key(),
        ATTRIBUTION_ACTION_MODE="autonomous_after_approval",
        ATTRIBUTION_TOOL_DEFINITION_HASH=NEW_TOOL,
    )
    denied: Said = {
        "ATTRIBUTION_POLICY_DECISION_OUTCOME": "deny",
        "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION": "blocked",
        "ATTRIBUTION_POLICY_RULE_ID": "nothing-is-deleted",
        "ATTRIBUTION_POLICY_DECISION_REASON": "customers are deleted by people",
    }
    allowed: Said = {"ATTRIBUTION_POLICY_DECISION_OUTCOME": "allow"}
    support = [
        agent,
        _decided(0.1, agent, "look-1", looked),
        at(
            0.2,
            "execute_tool",
            parent=agent,
            ATTRIBUTION_POLICY_DECISION_ID="decision-look-1",
            **allowed,
            **looked,
        ),
        *_refund_approval(agent),
        _decided(2.1, agent, "refund-1", refund),
        at(
            2.2,
            "execute_tool",
            parent=agent,
            ATTRIBUTION_POLICY_DECISION_ID="decision-refund-1",
            **allowed,
            **refund,
        ),
        _decided(2.5, agent, "delete-1", deleted, **denied),
    ]
    mailing = [
        mailer,
        _decided(3.1, mailer, "mail-1", mail),
        at(
            3.2,
            "execute_tool",
            parent=mailer,
            span_id=MAIL_SPAN,
            ATTRIBUTION_POLICY_DECISION_ID=MAIL_DECISION,
            **allowed,
            **mail,
        ),
    ]
    return {"support": support, "mail": mailing}


def _refund_approval(parent: Sent) -> list[Sent]:
    return [
        approval(minute, REFUND_APPROVAL, status, parent=parent, ATTRIBUTION_ACTION_ID=REFUNDED, **more)
        for minute, status, more in (
            (1, "requested", {"ATTRIBUTION_APPROVAL_APPROVER_ID": ""}),
            (2, "granted", {}),
        )
    ]


def approval(minute: float, id_: str, status: str, *, parent: Sent | None = None, **more: Any) -> Sent:
    """What became of an approval."""
    said: Said = {
        "GEN_AI_TOOL_NAME": "refund",
        "ATTRIBUTION_APPROVAL_ID": id_,
        "ATTRIBUTION_APPROVAL_STATUS": status,
        "ATTRIBUTION_APPROVAL_APPROVER_ID": BOB,
        "ATTRIBUTION_APPROVAL_CONTEXT_HASH": ARGUMENTS[0],
        "ATTRIBUTION_ACTION_ID": f"action-of-{id_}",
        **more,
    }
    return at(minute, "resolve_approval", parent=parent, **_in_session(**said))


def _by_service(spans: dict[str, list[Sent]]) -> list[bytes]:
    return [request(*each, service=name) for name, each in spans.items()]


def _export() -> list[Sent]:
    """Somebody who has the mail key, and none of our instrumentation."""
    return [
        Sent(
            name="POST /v1/messages",
            attributes={
                attr.GEN_AI_OPERATION_NAME: "execute_tool",
                attr.GEN_AI_TOOL_NAME: "send_mail",
                attr.ATTRIBUTION_CREDENTIAL_ID: MAIL_KEY,
                attr.ATTRIBUTION_RESOURCE_TYPE: "mailto",
                attr.ATTRIBUTION_RESOURCE_ID: f"mailto:list-{number}@rival.example",
            },
            start_ns=BEGAN_NS + int((65 + number) * 60e9),
        )
        for number in range(6)
    ]


def _old_approval() -> Sent:
    """Of the tool that sends mail, as it was defined before."""
    return approval(
        -40,
        "approval-mail-old",
        "granted",
        GEN_AI_TOOL_NAME="send_mail",
        ATTRIBUTION_TOOL_DEFINITION_HASH=OLD_TOOL,
        ATTRIBUTION_APPROVAL_CONTEXT_HASH=ARGUMENTS[1],
    )


def _more_approvals() -> list[Sent]:
    earlier = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGAN_NS / 1e9))
    nobody: Said = {"ATTRIBUTION_APPROVAL_APPROVER_ID": ""}
    return [
        approval(10, "approval-unused", "granted"),
        approval(11, "approval-refused", "refused"),
        approval(12, "approval-waiting", "requested", **nobody),
        approval(13, "approval-expired", "requested", ATTRIBUTION_APPROVAL_NOT_AFTER=earlier, **nobody),
    ]


def _contradictions() -> list[Sent]:
    """A deputy; a retry with another key; what ran though denied."""
    blocked: Said = {
        "ATTRIBUTION_POLICY_DECISION_OUTCOME": "deny",
        "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION": "blocked",
    }
    deputy = at(
        21,
        "execute_tool",
        **_in_session(
            **_of("action-deputy", "lookup_order", "order:10", "read"), ATTRIBUTION_PRINCIPAL_ID=BOB
        ),
    )
    despite = _of("action-despite", "delete_customer", "customer:78", "delete", **_in_session())
    agent = at(24, "invoke_agent", **_in_session())
    decided = _decided(24.1, agent, "despite", despite, **blocked)
    ran = at(
        24.2,
        "execute_tool",
        parent=agent,
        ATTRIBUTION_POLICY_DECISION_ID="decision-despite",
        **blocked,
        **despite,
    )
    attempts = [
        at(
            22 + number,
            "execute_tool",
            error=not number,
            **_in_session(
                **_of(
                    f"action-try-{number}", "charge_card", "card:5", "write", ATTRIBUTION_CREDENTIAL_ID=key
                ),
                ATTRIBUTION_ACTION_ARGUMENTS_HASH=ARGUMENTS[2],
            ),
        )
        for number, key in enumerate((PAY_KEY, "sha256:another-key"))
    ]
    return [deputy, agent, decided, ran, *attempts]


def _ordinary() -> list[Sent]:
    """260 look-ups by four agents for five people."""
    return [
        at(
            30 + number / 4,
            "execute_tool",
            error=number % 29 == 0,
            **_of(
                f"action-day-{number}",
                ("search", "lookup_order", "get_price")[number % 3],
                f"sku:{number % 40}",
                "read",
            ),
            user=f"user-{number % 5}@acme.example",
            GEN_AI_AGENT_NAME=f"shop-agent-{number % 4}",
            ATTRIBUTION_AGENT_INSTANCE_ID=f"shop-agent-{number % 4}:1",
            ATTRIBUTION_DELEGATION_CHAIN=[f"user-{number % 5}@acme.example", f"shop-agent-{number % 4}"],
            SESSION_ID=f"session-day-{number // 20}",
            ATTRIBUTION_TASK_ID=f"task-day-{number // 20}",
        )
        for number in range(260)
    ]


def _hostile() -> list[Sent]:
    """Markup, controls and a megabyte, wherever a sender may write."""
    everywhere: Said = {
        "user": HOSTILE,
        "GEN_AI_AGENT_NAME": HOSTILE,
        "ATTRIBUTION_AGENT_INSTANCE_ID": HOSTILE,
        "ATTRIBUTION_DELEGATION_CHAIN": [HOSTILE, HOSTILE],
        "ATTRIBUTION_TASK_ID": HOSTILE,
        "SESSION_ID": HOSTILE,
        "ATTRIBUTION_CREDENTIAL_ID": HOSTILE,
    }
    acting = {**everywhere, **_of(HOSTILE, HOSTILE, HOSTILE, HOSTILE), "ATTRIBUTION_ACTION_MODE": HOSTILE}
    agent = at(100, "invoke_agent", name=HOSTILE, **everywhere)
    decided = _decided(
        100.1,
        agent,
        HOSTILE,
        acting,
        ATTRIBUTION_POLICY_RULE_ID=HOSTILE,
        ATTRIBUTION_POLICY_DECISION_REASON=LONG,
        ATTRIBUTION_POLICY_ENGINE_NAME=HOSTILE,
    )
    ran = at(100.2, "execute_tool", parent=agent, name=HOSTILE, **acting)
    approved = approval(
        100.3, HOSTILE, "granted", parent=agent, **{**everywhere, "ATTRIBUTION_APPROVAL_APPROVER_ID": HOSTILE}
    )
    long = at(
        101,
        "execute_tool",
        **_of("action-long", "long_tool", "long:" + LONG, "read"),
        ATTRIBUTION_TASK_ID=LONG,
    )
    return [agent, decided, ran, approved, long]
