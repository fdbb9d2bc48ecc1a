"""The question coverage: which controls of a framework are evidenced by what the store holds."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.registry import ATTRIBUTES, RULES
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.controls import CONTROLS, FACTS, Framework
from whodid.store.questions.coverage import QUESTION, Coverage, CoverageParameters, Covered, Fact, Status

Put = Callable[..., None]
DIGEST = f"sha256:{'0' * 63}1"


def ask(store: Store, tenant: str = "", **parameters: Any) -> Coverage:
    return QUESTION.ask(store.reader(tenant), CoverageParameters.model_validate(parameters))


def control(answer: Coverage, id_: str) -> Covered:
    (found,) = [item for item in answer.items if item.control == id_]
    return found


def fact(answer: Coverage, id_: str, name: str) -> Fact:
    (found,) = [each for each in control(answer, id_).facts if each.name == name]
    return found


def act(action: str, operation: str = "execute_tool", **more: Any) -> Sent:
    return Sent(attributes=attribution(operation, ATTRIBUTION_ACTION_ID=action, **more))


def test_the_controls_ask_for_what_there_is() -> None:
    bears = {each for rule in RULES.values() for each in rule.controls}
    for each in CONTROLS:
        assert set(each.facts) <= FACTS.keys()
    assert set(FACTS.values()) <= ATTRIBUTES.keys()
    # Each control of these frameworks that a rule names is one of them.
    named = {each for each in bears if each.startswith(("OWASP-ASI", "EU-AI-Act-"))}
    assert named <= {each.bears for each in CONTROLS}
    assert {each.framework for each in CONTROLS} == set(Framework)


def test_a_store_with_nothing_in_it(store: Store) -> None:
    answer = ask(store)
    assert {item.status for item in answer.items} == {Status.NO_ACTIONS, Status.NOT_RECORDED}
    assert answer.action_count == 0
    assert answer.gaps == ["nothing that is recorded bears on owasp-asi ASI04"]


def test_how_far_each_control_is_evidenced(store: Store, put: Put) -> None:
    # What one span of an action lacks, another says.
    ran = act("one", ATTRIBUTION_RESOURCE_TYPE="order", ATTRIBUTION_RESOURCE_ID="order/1")
    decided = act("one", "evaluate_policy", ATTRIBUTION_ACTION_EFFECT="read")
    decided.trace_id = ran.trace_id
    other = act("two", ATTRIBUTION_ACTION_EFFECT="delete")
    put(decided, ran, other)
    put(ran)
    answer = ask(store)
    assert answer.action_count == 2
    assert control(answer, "field 2").status is Status.EVIDENCED
    assert control(answer, "field 2").words == "every action says all that it asks for"
    assert control(answer, "field 3").status is Status.PARTLY
    assert control(answer, "field 3").words == "1 of 2 actions do not say attribution.resource.id"
    assert fact(answer, "field 3", "resource").span_ids_without == [other.span_id.hex()]
    assert fact(answer, "field 4", "effect").said_count == 2
    assert fact(answer, "field 4", "decision").said_count == 1
    assert control(answer, "field 5").status is Status.NOT_EVIDENCED
    assert fact(answer, "field 5", "correlation").evidence is EvidenceLevel.MISSING
    assert fact(answer, "field 2", "chain").evidence is EvidenceLevel.SELF_ASSERTED
    assert control(answer, "ASI04").status is Status.NOT_RECORDED
    # Only some of them, another time, another tenant.
    assert {item.framework for item in ask(store, frameworks=("aims",)).items} == {Framework.AIMS}
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    assert ask(store, since=later).action_count == 0
    assert ask(store, "another").action_count == 0


def test_approvals_are_asked_of_what_was_approved(store: Store, put: Put) -> None:
    resolved = Sent(
        attributes=attribution(
            "resolve_approval",
            ATTRIBUTION_APPROVAL_ID="known",
            ATTRIBUTION_APPROVAL_STATUS="granted",
            ATTRIBUTION_APPROVAL_APPROVER_ID="bob@acme.example",
        )
    )
    put(resolved)
    put(
        act("one"),
        act("two", ATTRIBUTION_ACTION_MODE="human_approved", ATTRIBUTION_APPROVAL_ID="known"),
        act("three", ATTRIBUTION_ACTION_MODE="human_approved", ATTRIBUTION_APPROVAL_ID="unknown"),
        act("four", ATTRIBUTION_ACTION_MODE="human_approved"),
    )
    answer = ask(store)
    approval, approver = fact(answer, "ASI09", "approval"), fact(answer, "ASI09", "approver")
    assert (approval.action_count, approval.said_count) == (3, 2)
    assert (approver.action_count, approver.said_count) == (3, 1)
    # The approval came before the period: it counts all the same.
    since = datetime.datetime.fromtimestamp(resolved.start_ns / 1e9 + 0.001, datetime.UTC)
    assert fact(ask(store, since=since), "ASI09", "approver").said_count == 1


def test_a_broken_rule_speaks_against_it(store: Store, put: Put) -> None:
    span = act(
        "one",
        ATTRIBUTION_CREDENTIAL_ID=DIGEST,
        ATTRIBUTION_CREDENTIAL_NOT_AFTER="2020-01-01T00:00:00Z",
    )
    put(span)
    put(span)
    abuse = control(ask(store), "ASI03")
    assert abuse.status is Status.CONTRADICTED
    (broken,) = [each for each in abuse.broken if each.rule == "credential_not_valid"]
    assert (broken.span_count, broken.span_ids) == (1, [span.span_id.hex()])
    assert "credential_not_valid in 1 spans" in abuse.words
    assert control(ask(store), "ASI06").broken == []


def test_what_the_agent_says_was_attested_is_no_attestation(store: Store, put: Put) -> None:
    attested = attr.ATTRIBUTION_AGENT_ATTESTED_ID
    put(act("one", ATTRIBUTION_AGENT_ATTESTED_ID="spiffe://acme.example/agent"))
    assert fact(ask(store), "field 6", "attested").said_count == 0
    put(act("two"), resource={attested: "spiffe://acme.example/agent"})
    assert fact(ask(store), "field 6", "attested").said_count == 1
