"""When an action fits its decision, though only just; and how many findings are told one by one."""

from __future__ import annotations

import pytest

from tests.processor.rules.records import AGENTS, SECOND_NS, begin, valid, violations
from whodid.processor.rules import telling
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule as Id


def test_at_once_is_after() -> None:
    records = valid()
    begin(records, "execution", 0, after="decision")
    assert violations(records) == set()


def test_another_process_has_another_clock() -> None:
    records = valid()
    records.resources["execution"] = {"service.name": "tools"}
    begin(records, "execution", -SECOND_NS // 2, after="decision")
    assert violations(records) == set()


def test_of_two_decisions_the_one_that_let_it_go_ahead_counts() -> None:
    records = valid()
    for name, value in (
        ("ATTRIBUTION_POLICY_DECISION_ID", None),
        ("ATTRIBUTION_POLICY_DECISION_OUTCOME", None),
        ("ATTRIBUTION_POLICY_ENFORCEMENT_ACTION", None),
    ):
        records.say("execution", **{name: value})
    again = dict(records["decision"].attributes)
    records.add("a later no", again, parent=AGENTS[-1])
    records.say(
        "a later no",
        ATTRIBUTION_POLICY_DECISION_ID="decision-99",
        ATTRIBUTION_POLICY_DECISION_OUTCOME="deny",
        ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked",
    )
    assert violations(records) == set()


def test_many_are_all_found_and_not_all_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "MAX_MESSAGES", 2)
    records = valid()
    said = records["execution"].attributes | {attr.GEN_AI_TOOL_NAME: "other"}
    for number in range(5):
        records.add(f"more {number}", said, parent=AGENTS[-1])
    found = [each for each in violations(records) if each.rule is Id.DECISION_MISMATCH]
    assert len(found) == 5
    assert len({each.message for each in found}) == 2  # the two that are told are alike


def test_a_tool_servers_own_name_for_its_tool_is_no_other_tool() -> None:
    """`mcp__crm__lookup` of the agent is `lookup` to its server, in whose span the method says so."""
    records = valid()
    server = records["execution"].attributes | {
        attr.GEN_AI_TOOL_NAME: "lookup",
        attr.MCP_METHOD_NAME: "tools/call",
    }
    records.add("tool server", server, parent="execution")
    records.resources["tool server"] = {"service.name": "tools"}
    assert violations(records) == set()
    records.say("tool server", MCP_METHOD_NAME=None)
    assert {each.rule for each in violations(records)} == {Id.DECISION_MISMATCH}
