"""An action in a few lines: what humans began and approved, what policies said, what the agent did alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whodid.semconv.values import (
    ActionMode,
    ApprovalStatus,
    EvidenceLevel,
    FindingRule,
    InitiatorType,
    PolicyEnforcementAction,
    PrincipalType,
)

if TYPE_CHECKING:
    from whodid.store.records import Answer, Party, WhoRecord

NOBODY = "nobody"
"""By whom a line is, where no span says it."""

_KINDS = frozenset((*InitiatorType, *PrincipalType))

_OUTCOMES = {
    "succeeded": "it succeeded",
    "failed": "it failed",
    "denied": "it did not run: it was held back",
    "not_recorded": "no span shows that it ran",
}
_MODES: dict[str, str] = {
    ActionMode.HUMAN_INITIATED: "did what a human took in hand",
    ActionMode.HUMAN_APPROVED: "did what was approved",
    ActionMode.AUTONOMOUS_AFTER_APPROVAL: "did it by itself, after something else had been approved",
    ActionMode.AUTONOMOUS: "did it by itself",
}
_TRIED: dict[str, str] = {mode: text.replace("did ", "tried ", 1) for mode, text in _MODES.items()} | {
    ActionMode.HUMAN_INITIATED: "tried what a human took in hand",
    ActionMode.HUMAN_APPROVED: "tried what was approved",
}
_APPROVALS: dict[str, str] = {
    ApprovalStatus.REQUESTED: "was asked to approve it, and no answer is recorded",
    ApprovalStatus.REFUSED: "refused to approve it",
    ApprovalStatus.EXPIRED: "did not answer in time",
}
_ENFORCED: dict[str, str] = {
    PolicyEnforcementAction.ALLOWED: "let it through",
    PolicyEnforcementAction.BLOCKED: "held it back",
    PolicyEnforcementAction.MONITORED: "was asked, and its answer was not enforced",
}
_COVERS = {
    True: "approved exactly this",
    False: "approved something, but with other arguments than these",
    None: "approved it; whether with these arguments is not recorded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One of the lines: who, and what they did; `name` is a span's text, the others are ours."""

    by: str
    """`human`, `agent`, `policy`, `approver`, another kind of initiator or principal, or NOBODY."""
    text: str
    evidence: EvidenceLevel
    name: str = ""
    kind: str = ""
    """What kind of entity the name is, where it has a page."""
    reason: str = ""
    """A span's text behind ours."""
    is_doubtful: bool = False
    """Whether it contradicts the rest."""


def account(record: WhoRecord) -> list[Line]:
    """The lines, in the order of what they tell."""
    lines = [*_started(record), *_handed_on(record), *_decided(record), *_approved(record)]
    return [*lines, _acted(record)]


def _started(record: WhoRecord) -> list[Line]:
    initiator, principal = record.initiator, record.principal
    if initiator.id.value is not None and initiator.id.value == principal.id.value:
        return [_party(initiator, "began it, and lent the agent the authority for it")]
    return [
        _party(initiator, "began it")
        if initiator.id.value
        else _missing("No span says who or what began it."),
        _party(principal, "lent the agent the authority for it")
        if principal.id.value
        else _missing("No span says for whom it was done."),
    ]


def _handed_on(record: WhoRecord) -> list[Line]:
    chain = record.delegation_chain.value
    if not isinstance(chain, list) or len(chain) <= 2:
        return []
    between = " → ".join(chain[1:-1])
    text = "handed it on to the agent that acted"
    return [Line(by="agent", name=between, text=text, evidence=record.delegation_chain.evidence)]


def _decided(record: WhoRecord) -> list[Line]:
    decision = record.decision
    if decision.outcome.value is None:
        return [_missing("No decision of a policy about it is recorded.")]
    enforced = decision.enforcement.value
    text = _ENFORCED.get(str(enforced), "was asked, and what was done about its answer is not recorded")
    return [
        Line(
            by="policy",
            name=_one(decision.rule) or _one(decision.policy),
            text=text,
            reason=_one(decision.reason) or _unless(decision.outcome, "allow", "deny"),
            evidence=decision.outcome.evidence,
            is_doubtful=enforced == PolicyEnforcementAction.BLOCKED
            and record.outcome.status in ("succeeded", "failed"),
        )
    ]


def _approved(record: WhoRecord) -> list[Line]:
    approval = record.approval
    if approval.id.value is None:
        if record.mode.value != ActionMode.HUMAN_APPROVED:
            return []
        return [_missing("It says that it was approved, and names no approval.")]
    if approval.status.value is None:
        return [_missing("It names an approval that is not in the store.")]
    granted = approval.status.value == ApprovalStatus.GRANTED
    by_agent = any(each.rule == FindingRule.APPROVAL_BY_AGENT for each in record.findings)
    text = _COVERS[approval.covers_action] if granted else _APPROVALS.get(str(approval.status.value), "")
    if approval.approver.value is None:
        return [
            Line(by=NOBODY, text="It was approved; no span says by whom.", evidence=EvidenceLevel.MISSING)
            if granted
            else _missing("An approval was asked for; no span says of whom.")
        ]
    return [
        Line(
            by="agent" if by_agent else "approver",
            name=_one(approval.approver),
            kind="principal",
            text=text or "answered something else than yes or no",
            evidence=approval.approver.evidence,
            is_doubtful=by_agent or (granted and approval.covers_action is False),
        )
    ]


def _acted(record: WhoRecord) -> Line:
    outcome = record.outcome.status
    ran = outcome in ("succeeded", "failed")
    texts = _MODES if ran else _TRIED
    unsaid = "acted; whether by itself is not recorded"
    mode = texts.get(str(record.mode.value), unsaid)
    text = f"{mode}; {_OUTCOMES.get(outcome, outcome)}"
    actor = record.actor.name
    if actor.value is None:
        return Line(by=NOBODY, text=f"An agent without a name {text}.", evidence=EvidenceLevel.MISSING)
    return Line(
        by="agent",
        name=_one(actor),
        kind="agent",
        text=text,
        reason=record.outcome.error_type or "",
        evidence=actor.evidence,
    )


def _party(party: Party, text: str) -> Line:
    return Line(
        by=_one(party.type) if party.type.value in _KINDS else "unknown kind",
        name=_one(party.id),
        kind="principal",
        text=text,
        evidence=party.id.evidence,
    )


def _missing(text: str) -> Line:
    return Line(by=NOBODY, text=text, evidence=EvidenceLevel.MISSING)


def _unless(answer: Answer, *expected: str) -> str:
    """The value, unless it goes without saying."""
    value = _one(answer)
    return "" if value in expected else value


def _one(answer: Answer) -> str:
    value = answer.value
    return " → ".join(value) if isinstance(value, list) else value or ""
