"""The controls of the frameworks, and which facts about an action are a control's evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from whodid.semconv import attributes as attr


class Framework(StrEnum):
    """A control framework."""

    OWASP_ASI = "owasp-asi"
    """OWASP Top 10 for Agentic Applications."""
    AIMS = "aims"
    """The seven minimum fields of an audit record in draft-ietf-wimse-aims."""
    EU_AI_ACT = "eu-ai-act"
    """Regulation (EU) 2024/1689, as far as it asks for records."""


FACTS = {
    "agent": attr.GEN_AI_AGENT_NAME,
    "instance": attr.ATTRIBUTION_AGENT_INSTANCE_ID,
    "identity": attr.ATTRIBUTION_AGENT_IDENTITY_ID,
    "attested": attr.ATTRIBUTION_AGENT_ATTESTED_ID,
    "principal": attr.ATTRIBUTION_PRINCIPAL_ID,
    "initiator": attr.ATTRIBUTION_INITIATOR_ID,
    "chain": attr.ATTRIBUTION_DELEGATION_CHAIN,
    "task": attr.ATTRIBUTION_TASK_ID,
    "objective": attr.ATTRIBUTION_TASK_OBJECTIVE_HASH,
    "tool": attr.GEN_AI_TOOL_NAME,
    "resource": attr.ATTRIBUTION_RESOURCE_ID,
    "arguments": attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH,
    "effect": attr.ATTRIBUTION_ACTION_EFFECT,
    "mode": attr.ATTRIBUTION_ACTION_MODE,
    "decision": attr.ATTRIBUTION_POLICY_DECISION_OUTCOME,
    "enforcement": attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION,
    "policy": attr.ATTRIBUTION_POLICY_VERSION,
    "context": attr.ATTRIBUTION_POLICY_CONTEXT_HASH,
    "reason": attr.ATTRIBUTION_POLICY_DECISION_REASON,
    "approval": attr.ATTRIBUTION_APPROVAL_ID,
    "approver": attr.ATTRIBUTION_APPROVAL_APPROVER_ID,
    "credential": attr.ATTRIBUTION_CREDENTIAL_ID,
    "correlation": attr.ATTRIBUTION_CORRELATION_ID,
    "source": attr.ATTRIBUTION_RESULT_SOURCE,
}
"""What an action may say, and by which attribute; the names are those in the query."""


@dataclass(frozen=True, slots=True)
class Control:
    """One control."""

    framework: Framework
    id: str
    title: str
    facts: tuple[str, ...] = ()
    """What each action has to say for it; none where no span says anything about it."""
    bears: str = ""
    """Its name among the controls that the validator's rules bear on."""


def _asi(number: int, title: str, *facts: str) -> Control:
    return Control(Framework.OWASP_ASI, f"ASI{number:02}", title, facts, f"OWASP-ASI{number:02}")


def _aims(number: int, title: str, *facts: str) -> Control:
    return Control(Framework.AIMS, f"field {number}", title, facts)


def _article(id_: str, title: str, *facts: str) -> Control:
    return Control(Framework.EU_AI_ACT, f"Art. {id_}", title, facts, f"EU-AI-Act-{id_}")


CONTROLS = (
    _asi(1, "Agent goal hijack", "task", "objective", "initiator"),
    _asi(2, "Tool misuse and exploitation", "tool", "arguments", "effect", "decision", "enforcement"),
    _asi(3, "Identity and privilege abuse", "identity", "principal", "chain", "credential"),
    _asi(4, "Agentic supply chain vulnerabilities"),
    _asi(5, "Unexpected code execution", "tool", "effect", "decision"),
    _asi(6, "Memory and context poisoning", "source"),
    _asi(7, "Insecure inter-agent communication", "chain", "attested"),
    _asi(8, "Cascading failures", "task", "correlation"),
    _asi(9, "Human-agent trust exploitation", "mode", "approval", "approver"),
    _asi(10, "Rogue agents", "agent", "instance", "enforcement"),
    _aims(1, "Authenticated agent identifier", "identity"),
    _aims(2, "Delegated subject", "principal", "chain"),
    _aims(3, "Resource or tool", "tool", "resource"),
    _aims(4, "Action and decision", "mode", "effect", "decision"),
    _aims(5, "Time and correlation id", "correlation"),
    _aims(6, "Attestation or risk state that influenced the decision", "attested"),
    _aims(7, "Remediation or revocation, and its cause", "enforcement", "reason"),
    _article("12(1)", "Automatic recording of events", "agent", "task", "tool", "mode"),
    _article("14(5)", "Confirmation by natural persons", "mode", "approval", "approver"),
)
