"""Action: one action's record, each answer with its level of evidence, and what came before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whodid.dashboards.pages.account import account
from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.links import Links
    from whodid.dashboards.pages.look import Look
    from whodid.store.records import Answer, WhoRecord

BEFORE_LIMIT = "50"


@dataclass(frozen=True, slots=True)
class Fact:
    """One answer of a record, for people."""

    name: str
    answer: Answer
    column: str = ""
    """By which the value's page is found."""
    kind: Answer | None = None
    """What the value is, as in "alice, a human"."""
    joined: bool = False
    """Whether several values are a set, and not a way from one to the next."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some answers that belong together."""

    title: str
    facts: list[Fact]


def parts(record: WhoRecord) -> list[Part]:
    """The record's answers in the order in which an investigator asks."""
    actor, task, tool, credential = record.actor, record.task, record.tool, record.credential
    return [
        Part(
            "Who",
            [
                Fact("agent", actor.name, "agent"),
                Fact("running copy", actor.instance),
                Fact("workload identity", actor.identity),
            ],
        ),
        Part(
            "For whom, and why",
            [
                Fact("begun by", record.initiator.id, "initiator", record.initiator.type),
                Fact("authority of", record.principal.id, "principal", record.principal.type),
                Fact("delegation", record.delegation_chain),
                Fact("task", task.id),
                Fact("part of task", task.parent_id),
                Fact("objective's digest", task.objective_hash),
                Fact("session", record.session, "session"),
            ],
        ),
        Part(
            "What, on what",
            [
                Fact("tool", tool.name, "tool"),
                Fact("effect", tool.effect),
                Fact("resource", record.resource.id, "resource", record.resource.type),
                Fact("call id", tool.call_id),
                Fact("arguments' digest", tool.arguments_hash),
                Fact("correlation id", record.correlation_id),
            ],
        ),
        Part(
            "With which credential",
            [
                Fact("credential", credential.id, "credential"),
                Fact("type", credential.type),
                Fact("issuer", credential.issuer),
                Fact("scopes", credential.scopes, joined=True),
                Fact("valid until", credential.not_after, "not_after"),
                Fact("issued for task", credential.task_id),
            ],
        ),
    ]


def decision_facts(record: WhoRecord) -> list[Fact]:
    """What the policy said."""
    decision = record.decision
    return [
        Fact("outcome", decision.outcome),
        Fact("enforcement", decision.enforcement),
        Fact("rule", decision.rule),
        Fact("reason", decision.reason),
        Fact("policy", decision.policy),
        Fact("version", decision.policy_version),
        Fact("engine", decision.engine),
        Fact("decision's id", decision.id),
    ]


def approval_facts(record: WhoRecord) -> list[Fact]:
    """Who approved it."""
    approval = record.approval
    return [
        Fact("mode", record.mode),
        Fact("approval", approval.id),
        Fact("status", approval.status),
        Fact("approver", approval.approver, "approver"),
        Fact("valid until", approval.not_after, "not_after"),
    ]


def leads(record: WhoRecord, links: Links) -> list[tuple[str, str]]:
    """Where an investigator goes on from here: a text and an address each."""
    id_ = record.action_id or record.id
    found = [
        *((f"Trace {trace[:8]}…", links.trace(trace)) for trace in record.trace_ids[:5]),
        ("Delegation", links.delegation(id_, "action")),
    ]
    for text, kind, answer in (
        ("What else the credential reached", "credential", record.credential.id),
        ("What else the agent reached", "agent", record.actor.name),
    ):
        if isinstance(answer.value, str):
            found.append((text, links.blast_radius(kind, answer.value)))
    if isinstance(record.session.value, str):
        found.append(("Replay of the session", links.replay(record.session.value)))
    return found


def _of_id(look: Look) -> Given:
    return [("id", look.get("id"))]


def _before(look: Look) -> Given:
    return [("id", look.get("id")), ("limit", BEFORE_LIMIT)]


ACTION = Page(
    name="action",
    path="/action/{id}",
    title=lambda look: f"Action {look.get('id')}",
    about="Who did it, for whom, by what right, and what became of it.",
    template="action.html",
    more=lambda _look: {
        "account": account,
        "parts": parts,
        "decision_facts": decision_facts,
        "approval_facts": approval_facts,
        "leads": leads,
    },
    panels=(
        Panel(
            name="record",
            title="What is on record",
            question=QUESTIONS["who"],
            parameters=_of_id,
            template="panels/record.html",
        ),
        Panel(
            name="before",
            title="What came before it",
            question=QUESTIONS["before"],
            parameters=_before,
            template="panels/before.html",
            lazy=True,
        ),
    ),
)
