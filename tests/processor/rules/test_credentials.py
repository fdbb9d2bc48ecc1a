"""When the use of a credential is in order, though only just."""

from __future__ import annotations

import time

import pytest

from tests.processor.rules.records import SECOND_NS, at, valid, violations


@pytest.mark.parametrize("name", ["ATTRIBUTION_CREDENTIAL_NOT_AFTER", "ATTRIBUTION_CREDENTIAL_NOT_BEFORE"])
def test_within_a_second_clocks_agree(name: str) -> None:
    records = valid()
    second_ns = records["chat"].start_ns // SECOND_NS * SECOND_NS
    ahead = name.endswith("BEFORE")
    records["chat"].start_ns = second_ns + (0 if ahead else 999_999_999)
    moment = at((second_ns / SECOND_NS) - time.time() + (1 if ahead else 0))
    records.say("chat", **{name: moment})
    assert violations(records) == set()


def test_an_agent_at_work_may_hold_one_that_runs_out() -> None:
    records = valid()
    records.say("support-agent", ATTRIBUTION_CREDENTIAL_NOT_AFTER=at(-7200))
    assert violations(records) == set()


def test_never_to_expire_is_a_time() -> None:
    records = valid()
    records.say("chat", ATTRIBUTION_CREDENTIAL_NOT_AFTER="9999-12-31T23:59:59Z")
    assert violations(records) == set()


def test_the_message_says_when() -> None:
    records = valid()
    records.say("chat", ATTRIBUTION_CREDENTIAL_NOT_AFTER="2020-01-01T00:00:00Z")
    (found,) = violations(records)
    assert found.message.startswith("the credential was used at 20")
    assert found.message.endswith("Z; expected before '2020-01-01T00:00:00Z'")
