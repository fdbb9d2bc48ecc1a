"""Who may say what was attested."""

from __future__ import annotations

from tests.processor.rules.records import valid, violations


def test_an_identity_that_nobody_attested_is_only_claimed() -> None:
    records = valid()
    records.say("plan", ATTRIBUTION_AGENT_ATTESTED_ID="spiffe://acme.example/agent/other")
    assert violations(records) == set()
