"""Attribution over a hop: it comes back as it was, bounded, beside what others put there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage as otel_baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator

from whodid.instrumentation import Attribution, Credential, baggage

FULL = Attribution(
    principal_type="human",
    principal_id="alice@acme.example",
    initiator_type="workflow",
    initiator_id="ticket 17, urgent; really=yes",
    chain=("alice@acme.example", "support", 'the "research" agent, ü'),
    task_id="t+1 %",
    task_parent_id="t0",
    objective_hash="sha256:00",
    objective_text="refund Alice",
    correlation_id="c1",
    session_id="s1",
    conversation_id="conv",
    agent_name="support",
    agent_version="1",
    agent_instance_id="support:1",
    identity_id="spiffe://acme.example/support",
    identity_type="spiffe",
    identity_issuer="acme.example",
    credential=Credential(
        id="sha256:01", type="bearer", scopes=("orders:read", "a,b"), not_after="2026-11-24T15:00:00Z"
    ),
    action_id="a1",
    action_mode="human_approved",
    tool_name="refund",
    call_id="call-1",
    arguments_hash="sha256:02",
    decision_id="d1",
    decision_outcome="allow",
    enforcement="allowed",
    approval_id="p1",
    approval_status="granted",
    approver_id="bob",
)


def test_it_comes_back_as_it_was_but_for_the_objective_in_words() -> None:
    header = baggage.encode(FULL)
    assert "refund%20Alice" not in header
    assert baggage.decode(header) == replace(FULL, objective_text=None, remote=True)


def test_opentelemetrys_own_propagator_reads_it() -> None:
    context = W3CBaggagePropagator().extract({"baggage": baggage.encode(FULL)})
    assert otel_baggage.get_baggage("attribution.initiator.id", context) == FULL.initiator_id
    assert otel_baggage.get_baggage("attribution.task.id", context) == "t+1 %"


texts = st.text(min_size=1, max_size=40).filter(lambda text: "\x00" not in text and text.isprintable())


@given(principal=texts, task=texts, chain=st.lists(texts, max_size=5))
def test_any_text_survives(principal: str, task: str, chain: list[str]) -> None:
    said = Attribution(principal_id=principal, task_id=task, chain=tuple(chain))
    assert baggage.decode(baggage.encode(said)) == replace(said, remote=True)


@given(st.text(max_size=300))
def test_garbage_is_never_a_crash(header: str) -> None:
    found = baggage.decode(header)
    assert found is None or found.remote


def test_others_entries_stay_and_older_ones_of_ours_go() -> None:
    existing = "userId=a%20b;ttl=3, attribution.principal.id=mallory ,vendor=1"
    header = baggage.encode(Attribution(principal_id="alice"), existing)
    assert header == "userId=a%20b;ttl=3,vendor=1,attribution.principal.id=alice"


def test_what_does_not_fit_is_left_out_whole() -> None:
    long = replace(FULL, chain=tuple(f"agent-{number:04}" for number in range(250)), session_id="s" * 1000)
    long = replace(long, identity_id="i" * 1000, tool_name="t" * 1000, call_id="c" * 1000)
    header = baggage.encode(long, "other=" + "x" * 3000)
    assert len(header) <= baggage.MAX_BYTES
    said = baggage.decode(header)
    assert said is not None
    assert (said.principal_id, said.task_id, said.session_id) == (FULL.principal_id, FULL.task_id, None)
    assert said.chain in ((), long.chain)


def test_what_is_too_long_or_malformed_is_not_said() -> None:
    assert baggage.decode(None) is None
    assert baggage.decode("other=1") is None
    assert baggage.decode("attribution.principal.id=" + "x" * 9000) is None
    assert baggage.decode("attribution.principal.id=" + "x" * 2000 + ",attribution.task.id=t") == Attribution(
        task_id="t", remote=True
    )
    for chain in ("1", "[1]", "%5B", '["' + "x" * 2000 + '"]'):
        assert baggage.decode(f"attribution.delegation.chain={chain},session.id=s") == Attribution(
            session_id="s", remote=True
        )


def test_the_carrier_of_a_hop() -> None:
    meta: dict[str, object] = {"progressToken": 1, "baggage": "a=1"}
    baggage.inject(meta, Attribution(principal_id="alice"))
    assert meta == {"progressToken": 1, "baggage": "a=1,attribution.principal.id=alice"}
    assert baggage.extract(meta) == Attribution(principal_id="alice", remote=True)
    empty: dict[str, object] = {}
    baggage.inject(empty, Attribution())
    assert empty == {}
    assert baggage.extract({"baggage": 5}) is None
    assert baggage.extract(None) is None


@pytest.mark.parametrize("value", [" ", "%", "%zz", ";", "=", "a;b=c"])
def test_odd_values_are_text_or_nothing(value: str) -> None:
    baggage.decode(f"attribution.principal.id={value}")
