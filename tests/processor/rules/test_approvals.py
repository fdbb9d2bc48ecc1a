"""When an approval covers its action, though it may not look so."""

from __future__ import annotations

from tests.processor.rules.records import AGENTS, ALICE, SECOND_NS, valid, violations
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule as Id


def test_the_event_tells_the_time_of_the_answer() -> None:
    records = valid()
    # The answer's span was ended late; its event was in time.
    records["answer"].duration_ns = 3600 * SECOND_NS
    assert violations(records) == set()


def test_the_principal_may_approve_what_its_agent_does() -> None:
    records = valid()
    for name in ("answer", "approved decision", "approved execution"):
        records.say(name, ATTRIBUTION_APPROVAL_APPROVER_ID=ALICE)
    assert violations(records) == set()


def test_one_action_in_two_processes_uses_it_once() -> None:
    records = valid()
    said = records["approved execution"].attributes
    records.add("tool server", said, parent="mcp server")
    records.resources["tool server"] = {"service.name": "orders"}
    assert violations(records) == set()


def test_the_first_in_time_may_have_it() -> None:
    records = valid()
    said = dict(records["approved execution"].attributes) | {attr.ATTRIBUTION_ACTION_ID: "action-44"}
    records.add("earlier", said, parent=AGENTS[0])
    records["earlier"].start_ns = records["approved execution"].start_ns - SECOND_NS
    records.say(
        "earlier",
        ATTRIBUTION_POLICY_DECISION_ID=None,
        ATTRIBUTION_POLICY_DECISION_OUTCOME=None,
        ATTRIBUTION_POLICY_ENFORCEMENT_ACTION=None,
    )
    reused = [each for each in violations(records) if each.rule is Id.APPROVAL_REUSED]
    assert {each.record for each in reused} == {"approved execution"}
    assert "'approval-4' was used before by action 'action-44'" in reused[0].message


def test_a_request_that_is_recorded_too_is_no_answer() -> None:
    records = valid()
    said = dict(records["answer"].attributes) | {attr.ATTRIBUTION_APPROVAL_STATUS: "requested"}
    records.add("request", said, parent=AGENTS[0])
    records["request"].start_ns = records["answer"].start_ns - SECOND_NS
    assert violations(records) == set()
