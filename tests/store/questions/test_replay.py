"""The question replay: a session in the order of time, across its traces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.lookup import UnknownIdError
from whodid.store.questions.replay import QUESTION, Replay, ReplayParameters

Put = Callable[..., None]
NOW_NS = time.time_ns() - 60_000_000_000
TRACES = (b"a" * 16, b"b" * 16)


def ask(store: Store, session: str = "s-1", **parameters: Any) -> Replay:
    return QUESTION.ask(store.reader(), ReplayParameters.model_validate({"session": session, **parameters}))


def step(
    second: float,
    operation: str = "execute_tool",
    session: str = "s-1",
    *,
    trace: int = 0,
    parent: Sent | None = None,
    **more: Any,
) -> Sent:
    said = attribution(operation, **more)
    if session:
        said[attr.SESSION_ID] = session
    span = Sent(name=operation, attributes=said, trace_id=TRACES[trace], start_ns=NOW_NS + int(second * 1e9))
    span.parent_id = parent.span_id if parent else b""
    return span


def ids(answer: Replay) -> list[str]:
    return [item.span_id for item in answer.items]


def test_across_traces_and_services_whatever_arrives_first(store: Store, put: Put) -> None:
    agent, tool, other = step(0, "invoke_agent"), step(1), step(2, "invoke_agent", trace=1)
    tool.parent_id = agent.span_id
    put(other, service="later")
    put(tool)
    put(agent)
    answer = ask(store)
    assert ids(answer) == [span.span_id.hex() for span in (agent, tool, other)]
    assert (answer.trace_count, answer.span_count, answer.next_cursor) == (2, 3, None)
    assert [item.after_ms for item in answer.items] == [0, 1_000, 2_000]
    assert answer.items[1].principal.evidence is EvidenceLevel.PROPAGATED
    assert answer.items[2].principal.evidence is EvidenceLevel.SELF_ASSERTED
    assert (answer.gaps, answer.principals) == ([], ["alice@acme.example"])


def test_by_conversation_and_not_another_session(store: Store, put: Put) -> None:
    mine = step(0, session="", GEN_AI_CONVERSATION_ID="s-1")
    put(mine, step(1, session="s-2", trace=1), step(2, session="s-2"))
    (item,) = ask(store).items
    assert (item.span_id, item.belongs_by) == (mine.span_id.hex(), "conversation")


def test_a_span_that_names_no_session_belongs_by_its_trace(store: Store, put: Put) -> None:
    agent = step(0, "invoke_agent")
    put(agent, step(1, "chat", session="", parent=agent))
    answer = ask(store)
    assert [item.belongs_by for item in answer.items] == ["session", "trace"]
    assert answer.gaps == ["1 span(s) that name no session and are told because of their trace"]


def test_a_parent_that_is_missing_and_one_whose_clock_is_ahead(store: Store, put: Put) -> None:
    agent = step(120, "invoke_agent")
    child, orphan = step(0, parent=agent), step(1)
    orphan.parent_id = b"12345678"
    put(agent, child, orphan)
    first, second, third = ask(store).items
    assert "begins before its parent" in first.gaps[0]
    assert second.gaps == ["its parent is not in the store"]
    assert third.gaps == []
    assert first.principal.evidence is EvidenceLevel.PROPAGATED


def test_sent_twice_is_told_once(store: Store, put: Put) -> None:
    same, changed = step(0), step(1)
    put(same, changed)
    put(same)
    changed.attributes[attr.ATTRIBUTION_PRINCIPAL_ID] = "mallory@acme.example"
    put(changed)
    answer = ask(store)
    assert ids(answer) == [same.span_id.hex(), changed.span_id.hex()]
    assert [bool(item.gaps) for item in answer.items] == [False, True]
    assert "1 span(s) sent again with different content" in answer.gaps


def test_several_principals_are_said(store: Store, put: Put) -> None:
    put(step(0), step(1, user="bob@acme.example", trace=1))
    assert "several principals" in ask(store).gaps[0]


def test_only_actions(store: Store, put: Put) -> None:
    decision = step(1, "evaluate_policy")
    put(step(0, "invoke_agent"), decision, step(2, "chat"))
    answer = ask(store, only_actions=True)
    assert (ids(answer), answer.span_count) == ([decision.span_id.hex()], 3)


@pytest.mark.parametrize("only_actions", [False, True])
def test_pages_hold_every_span_once(store: Store, put: Put, *, only_actions: bool) -> None:
    spans = [step(0, trace=number % 2) for number in range(7)]
    put(*spans)
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(store, limit=2, cursor=cursor, only_actions=only_actions)
        assert page.span_count == 7
        found += ids(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert len(found) == 7
    assert set(found) == {span.span_id.hex() for span in spans}


def test_what_is_not_there(store: Store, put: Put) -> None:
    put(step(0))
    with pytest.raises(UnknownIdError):
        ask(store, "s-2")
    with pytest.raises(UnknownIdError):
        QUESTION.ask(store.reader("another"), ReplayParameters.model_validate({"session": "s-1"}))
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")
