"""What a human did by hand."""

from __future__ import annotations

from tests.processor.rules.records import ALICE, valid, violations
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule as Id


def test_what_a_human_did_by_hand_has_no_agent() -> None:
    records = valid()
    records["denied decision"].parent_id = b""
    records.say(
        "denied decision",
        ATTRIBUTION_ACTION_MODE="human_initiated",
        ATTRIBUTION_DELEGATION_CHAIN=[ALICE],
        GEN_AI_AGENT_NAME=None,
        ATTRIBUTION_AGENT_INSTANCE_ID=None,
    )
    found = violations(records)
    assert {each.rule for each in found} == {Id.MISSING_REQUIRED}
    assert {each.attribute for each in found} == {attr.GEN_AI_AGENT_NAME, attr.ATTRIBUTION_AGENT_INSTANCE_ID}
