"""The question traces: which are the newest, and what is in them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from tests.spans import Sent, attribution
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.traces import QUESTION, Traces, TracesParameters

Put = Callable[..., None]
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


def ask(store: Store, **parameters: Any) -> Traces:
    given = {"since": NOON, "until": NOON + datetime.timedelta(days=1), **parameters}
    return QUESTION.ask(store.reader(), TracesParameters.model_validate(given))


def at(minutes: float, operation: str = "invoke_agent", **more: Any) -> Sent:
    said = {name: value for name, value in more.items() if name.isupper()}
    kept = {name: value for name, value in more.items() if not name.isupper()}
    start_ns = int((NOON + datetime.timedelta(minutes=minutes)).timestamp()) * 1_000_000_000
    return Sent(name=operation, attributes=attribution(operation, **said), start_ns=start_ns, **kept)


def test_the_one_with_the_newest_span_is_first_with_what_is_in_it(store: Store, put: Put) -> None:
    old = at(1)
    late_in_old = at(30, "execute_tool", trace_id=old.trace_id, parent_id=old.span_id)
    new = at(10)
    denied = at(
        11,
        "evaluate_policy",
        trace_id=new.trace_id,
        parent_id=new.span_id,
        ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked",
        GEN_AI_AGENT_NAME="other-agent",
    )
    put(old, late_in_old, new, denied, at(20, trace_id=new.trace_id, parent_id=new.span_id, error=True))
    answer = ask(store)
    told = [(each.trace_id, each.span_count, each.ran_count, each.blocked_count) for each in answer.items]
    assert told == [(old.trace_id.hex(), 2, 1, 0), (new.trace_id.hex(), 3, 0, 1)]
    first, second = answer.items
    assert (first.first_span_id, first.first_span_name) == (old.span_id.hex(), "invoke_agent")
    assert first.started_at == "2026-11-20T12:01:00.000000Z"
    assert first.duration_ms >= 29 * 60_000
    assert second.error_count == 1
    assert second.agents.value == ["other-agent", "support-agent"]
    assert second.agents.evidence is EvidenceLevel.SELF_ASSERTED
    assert answer.gaps == []


def test_what_begins_elsewhere_says_so(store: Store, put: Put) -> None:
    put(orphan := at(2, parent_id=bytes(range(8))), at(3))
    told = {each.trace_id: each.begins_elsewhere for each in ask(store).items}
    assert told.pop(orphan.trace_id.hex()) is True
    assert list(told.values()) == [False]


def test_more_than_are_told_is_a_gap(store: Store, put: Put) -> None:
    put(*(at(minute) for minute in range(4)))
    answer = ask(store, limit=3)
    assert len(answer.items) == 3
    assert answer.gaps == ["there are older ones: ask with until, or with a higher limit"]
    assert ask(store, limit=4).gaps == []


def test_a_long_trace_hides_no_older_one_silently(store: Store, put: Put) -> None:
    old, long = at(1), at(2)
    put(old, long, *(at(3, trace_id=long.trace_id, parent_id=long.span_id) for _ in range(60)))
    answer = ask(store, limit=1)
    assert [each.trace_id for each in answer.items] == [long.trace_id.hex()]
    assert answer.gaps


def test_only_the_period_and_the_tenant(store: Store, put: Put) -> None:
    put(at(-5), inside := at(5))
    assert [each.trace_id for each in ask(store).items] == [inside.trace_id.hex()]
    reader = store.reader("somebody-else")
    assert QUESTION.ask(reader, TracesParameters(since=None, until=None)).items == []


def test_a_span_that_was_sent_twice_counts_once(store: Store, put: Put) -> None:
    span = at(5)
    put(span)
    put(span, at(6, trace_id=span.trace_id, parent_id=span.span_id))
    (only,) = ask(store).items
    assert only.span_count == 2


def protocol(minutes: float, method: str = "tools/list", **kept: Any) -> Sent:
    start_ns = int((NOON + datetime.timedelta(minutes=minutes)).timestamp()) * 1_000_000_000
    return Sent(name=method, attributes={"mcp.method.name": method}, start_ns=start_ns, **kept)


def test_traces_of_nothing_but_mcps_protocol_are_left_out_and_that_is_said(store: Store, put: Put) -> None:
    work, alone = at(1), [protocol(10 + nth) for nth in range(5)]
    put(work, *alone, protocol(20, "initialize", trace_id=alone[0].trace_id))
    left_out = "traces of nothing but MCP's protocol are left out: ask with protocol"
    for limit in (1, 20):
        answer = ask(store, limit=limit)
        assert [each.trace_id for each in answer.items] == [work.trace_id.hex()]
        assert answer.gaps == [left_out]
    everything = ask(store, protocol=True)
    assert len(everything.items) == 6
    assert everything.gaps == []
    assert len(ask(store, protocol=True, limit=2).items) == 2


def test_protocol_in_a_trace_with_work_belongs_to_it(store: Store, put: Put) -> None:
    work = at(1)
    put(work, protocol(50, trace_id=work.trace_id, parent_id=work.span_id))
    called = protocol(2, "tools/call")
    put(called)
    answer = ask(store)
    assert [each.trace_id for each in answer.items] == [work.trace_id.hex(), called.trace_id.hex()]
    assert answer.gaps == []


def test_newer_work_behind_much_protocol_is_found(store: Store, put: Put) -> None:
    put(at(1), at(2), at(3), *(protocol(30 + nth / 100) for nth in range(60)))
    answer = ask(store, limit=2)
    assert len(answer.items) == 2
    assert "there are older ones" in answer.gaps[0]
