"""When a chain is whole, and how a broken one is told."""

from __future__ import annotations

from tests.processor.rules.records import AGENTS, ALICE, BOB, valid, violations
from whodid.semconv.values import FindingRule as Id


def test_a_chain_may_grow_by_more_than_one() -> None:
    records = valid()
    records["search-agent"].parent_id = records["support-agent"].span_id
    assert violations(records) == set()


def test_another_principal_has_a_chain_of_its_own() -> None:
    records = valid()
    records.say(
        "plan",
        ATTRIBUTION_PRINCIPAL_ID=BOB,
        ATTRIBUTION_DELEGATION_CHAIN=[BOB, AGENTS[0]],
    )
    assert violations(records) == set()


def test_a_parent_that_says_nothing_is_no_parent_to_go_on_from() -> None:
    records = valid()
    records.say("research-agent", ATTRIBUTION_DELEGATION_CHAIN=None)
    assert {each.rule for each in violations(records)} == {Id.MISSING_REQUIRED}


def test_a_span_id_of_another_trace_is_another_span() -> None:
    records = valid()
    records.add("elsewhere", records["plan"].attributes)
    records["elsewhere"].trace_id = bytes(range(16))
    # It comes first, and has the id of the decision's parent.
    records.spans = {"elsewhere": records["elsewhere"], **records.spans}
    records["elsewhere"].span_id = records["search-agent"].span_id
    assert {each for each in violations(records) if each.rule is Id.CHAIN_BROKEN} == set()
    records.say("denied decision", ATTRIBUTION_DELEGATION_CHAIN=[ALICE, AGENTS[0], AGENTS[-1]])
    assert {each.rule for each in violations(records)} == {Id.CHAIN_BROKEN}


def test_the_message_shows_both_chains() -> None:
    records = valid()
    records.say("denied decision", ATTRIBUTION_DELEGATION_CHAIN=[ALICE, AGENTS[-1]])
    (found,) = violations(records)
    assert found.message == (
        "the chain is 'alice@acme.example → search-agent'; expected 'alice@acme.example → "
        "support-agent → research-agent → search-agent' as its parent's is, or that and more"
    )
