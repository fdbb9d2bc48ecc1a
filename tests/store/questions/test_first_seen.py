"""The question first-seen (first_seen): what no span before a period names."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.first_seen import QUESTION, FirstSeen, FirstSeenParameters, Kind

Put = Callable[..., None]
NOON = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0) - datetime.timedelta(
    hours=12
)


def ask(store: Store, **parameters: Any) -> FirstSeen:
    return QUESTION.ask(store.reader(), FirstSeenParameters.model_validate(parameters))


def values(answer: FirstSeen) -> list[str]:
    return [item.value for item in answer.items]


def at(minutes: float) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minutes)


def span(minutes: float, **more: Any) -> Sent:
    return Sent(
        attributes=attribution("execute_tool", **more),
        start_ns=int(at(minutes).timestamp() * 1_000_000) * 1_000,
    )


EACH = pytest.mark.parametrize(
    ("kind", "constant"),
    [
        (Kind.AGENT, "GEN_AI_AGENT_NAME"),
        (Kind.TOOL, "GEN_AI_TOOL_NAME"),
        (Kind.CREDENTIAL, "ATTRIBUTION_CREDENTIAL_ID"),
        (Kind.PRINCIPAL, "ATTRIBUTION_PRINCIPAL_ID"),
        (Kind.IDENTITY, "ATTRIBUTION_AGENT_IDENTITY_ID"),
    ],
)


@EACH
def test_what_was_not_there_before(store: Store, put: Put, kind: Kind, constant: str) -> None:
    def named(minutes: float, value: str) -> Sent:
        return span(minutes, **{constant: value})

    first = named(10, "new")
    put(named(-300, "old"), named(-1, "just before"), named(5, "old"), named(6, "just before"))
    put(named(20, "new"), first, named(30, "newer"), named(90, "too late"), span(7, **{constant: ""}))
    answer = ask(store, kind=[kind], since=at(0), until=at(60))
    assert values(answer) == ["newer", "new"]
    new = answer.items[1]
    assert (new.kind, new.span_id, new.trace_id) == (kind, first.span_id.hex(), first.trace_id.hex())
    assert (new.first_at, new.span_count) == (at(10).strftime("%Y-%m-%dT%H:%M:%S.000000Z"), 2)
    assert (new.service, new.evidence, new.gaps) == ("tests", EvidenceLevel.SELF_ASSERTED, [])
    assert answer.gaps == []
    # Within the hour, to the second.
    assert values(ask(store, kind=[kind], since=at(15), until=at(60))) == ["newer"]
    assert values(ask(store, kind=[kind], since=at(10), until=at(30))) == ["new"]


@EACH
def test_pages_hold_each_once(store: Store, put: Put, kind: Kind, constant: str) -> None:
    put(span(-300))
    put(*(span(number // 3 * 25, **{constant: f"value {number}"}) for number in range(9)))
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(store, kind=[kind], since=at(-60), limit=2, cursor=cursor)
        found += values(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert found == [f"value {number}" for number in reversed(range(9))]


def test_all_kinds_in_the_order_of_time(store: Store, put: Put) -> None:
    put(span(-300))
    put(span(1, GEN_AI_TOOL_NAME="refund"), span(3, ATTRIBUTION_CREDENTIAL_ID="key-1"))
    put(span(2, ATTRIBUTION_PRINCIPAL_ID="eve@acme.example", GEN_AI_AGENT_NAME="rogue"))
    told = [(item.kind.value, item.value) for item in ask(store, since=at(0)).items]
    assert told == [
        ("credential", "key-1"),
        ("principal", "eve@acme.example"),
        ("agent", "rogue"),
        ("tool", "refund"),
    ]
    pages: list[tuple[str, str]] = []
    cursor = ""
    while True:
        page = ask(store, since=at(0), limit=1, cursor=cursor)
        pages += [(item.kind.value, item.value) for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert pages == told


def test_whom_it_came_from(store: Store, put: Put) -> None:
    agent = span(-300)
    new = span(1, ATTRIBUTION_CREDENTIAL_ID="key-1")
    new.trace_id, new.parent_id = agent.trace_id, agent.span_id
    orphan = span(2, ATTRIBUTION_CREDENTIAL_ID="key-2")
    orphan.parent_id = b"12345678"
    put(agent, new, orphan)
    second, first = ask(store, kind=["credential"], since=at(0)).items
    assert first.principal.evidence is EvidenceLevel.PROPAGATED
    assert second.gaps == [
        f"span {second.span_id} has a parent, {b'12345678'.hex()}, that is not in the store"
    ]


def test_before_what_is_stored_nothing_is_known(store: Store, put: Put) -> None:
    put(span(0))
    assert ask(store).gaps == ["without since everything that is stored was seen first in it"]
    answer = ask(store, since=at(-60))
    assert answer.gaps == [
        "nothing before the period is in the store, so all that it has was seen first in it"
    ]
    assert answer.stored_since == NOON.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert {item.kind for item in answer.items} == {Kind.AGENT, Kind.TOOL, Kind.PRINCIPAL}


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    put(span(0))
    parameters = FirstSeenParameters.model_validate({"since": at(-60)})
    assert QUESTION.ask(store.reader("another"), parameters).items == []
