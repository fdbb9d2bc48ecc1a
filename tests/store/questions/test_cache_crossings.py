"""The question cache-crossings: results from a cache that were made for somebody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cache_crossings import (
    QUESTION,
    CacheCrossings,
    CacheCrossingsParameters,
    Crossing,
)
from whodid.store.questions.cursor import CursorError

Put = Callable[..., None]
ALICE, BOB = "alice@acme.example", "bob@acme.example"
EVERYTHING = ("principal", "initiator", "unknown")


def ask(store: Store, **parameters: Any) -> CacheCrossings:
    return QUESTION.ask(store.reader(), CacheCrossingsParameters.model_validate(parameters))


def made(user: str = ALICE, **more: Any) -> Sent:
    return Sent(attributes=attribution("execute_tool", user=user, ATTRIBUTION_RESULT_SOURCE="live", **more))


def read(origin: Sent | None, user: str = BOB, action: str = "read", **more: Any) -> Sent:
    said: dict[str, Any] = {"ATTRIBUTION_RESULT_SOURCE": "cache", "ATTRIBUTION_ACTION_ID": action, **more}
    if origin is not None:
        said.setdefault("ATTRIBUTION_RESULT_ORIGIN_TRACE_ID", origin.trace_id.hex())
        said.setdefault("ATTRIBUTION_RESULT_ORIGIN_SPAN_ID", origin.span_id.hex())
        said.setdefault(
            "ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID", origin.attributes[attr.ATTRIBUTION_INITIATOR_ID]
        )
    return Sent(attributes=attribution("execute_tool", user=user, **said))


def test_made_for_another_principal(store: Store, put: Put) -> None:
    origin, agent = made(), Sent(attributes=attribution("invoke_agent", user=BOB))
    crossing, own = read(origin), read(origin, ALICE, "own")
    crossing.trace_id, crossing.parent_id = agent.trace_id, agent.span_id
    put(crossing, agent, own)
    assert (ask(store).items[0].kind, ask(store).counts["initiator"]) == (Crossing.INITIATOR, 1)
    put(origin)  # late
    answer = ask(store)
    (item,) = answer.items
    assert (item.kind, item.made_for.value, item.principal.value) == (Crossing.PRINCIPAL, ALICE, BOB)
    assert (item.principal.evidence, item.made_for.evidence) == (
        EvidenceLevel.PROPAGATED,
        EvidenceLevel.SELF_ASSERTED,
    )
    assert (item.made_for.spans, item.span_ids) == ([origin.span_id.hex()], [crossing.span_id.hex()])
    assert (item.gaps, answer.read_count, answer.gaps) == ([], 2, [])


def test_the_same_principal_by_another_starter_is_none(store: Store, put: Put) -> None:
    origin = made()
    put(origin, read(origin, ALICE, ATTRIBUTION_INITIATOR_ID="timer"))
    assert ask(store, kinds=EVERYTHING).items == []


def test_what_nobody_can_say(store: Store, put: Put) -> None:
    nameless = made(ATTRIBUTION_PRINCIPAL_ID="", ATTRIBUTION_INITIATOR_ID="")
    put(
        nameless,
        read(None, action="no origin"),
        read(nameless, action="nameless"),
        read(made(), action="gone", ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID=""),
        read(None, action="nonsense", ATTRIBUTION_RESULT_ORIGIN_TRACE_ID="x" * 99),
    )
    answer = ask(store)
    assert (answer.items, answer.counts["unknown"]) == ([], 4)
    assert "4 cached result(s)" in answer.gaps[0]
    gaps = {item.action_id: item.gaps for item in ask(store, kinds=("unknown",)).items}
    assert "does not name" in gaps["no origin"][0]
    assert "does not say for whom" in gaps["nameless"][0]
    assert "not in the store" in gaps["gone"][0]
    assert "does not name" in gaps["nonsense"][0]


def test_what_does_not_fit_together(store: Store, put: Put) -> None:
    first = made()
    second = read(first, ALICE, "second", GEN_AI_TOOL_NAME="other")
    third = read(second, BOB, "third", ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID="mallory")
    second.start_ns = third.start_ns + 60_000_000_000
    put(first, second, third)
    (item,) = ask(store).items
    assert item.made_for_initiator.value == ALICE
    text = "\n".join(item.gaps)
    for part in ("mallory", "from a cache itself", "after it was read", "another tool"):
        assert part in text


def test_sent_twice_is_one_crossing(store: Store, put: Put) -> None:
    origin = made()
    reader = read(origin)
    put(origin, reader)
    put(reader)
    origin.attributes[attr.ATTRIBUTION_PRINCIPAL_ID] = "carol@acme.example"
    put(origin)
    answer = ask(store)
    (item,) = answer.items
    assert answer.read_count == 1
    assert "sent again" in item.gaps[0]


def test_two_spans_of_one_read_are_one_crossing(store: Store, put: Put) -> None:
    origin = made()
    client = read(origin)
    server = read(origin)
    server.trace_id, server.parent_id = client.trace_id, client.span_id
    put(origin, client, server)
    (item,) = ask(store).items
    assert item.span_ids == [client.span_id.hex(), server.span_id.hex()]


def test_filters(store: Store, put: Put) -> None:
    origin = made(GEN_AI_AGENT_NAME="maker")
    put(origin, read(origin), read(origin, "carol@acme.example", "two", GEN_AI_TOOL_NAME="mail"))
    for asked, found in (
        ({"agent": "maker"}, 2),
        ({"agent": "nobody"}, 0),
        ({"tool": "mail"}, 1),
        ({"principal": BOB}, 1),
        ({"principal": ALICE}, 2),
        ({"kinds": ["initiator"]}, 0),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
    ):
        assert len(ask(store, **asked).items) == found, asked


def test_pages_hold_every_crossing_once(store: Store, put: Put) -> None:
    origin = made()
    readers = [read(origin, action=str(number)) for number in range(7)]
    for reader in readers:
        reader.start_ns = readers[0].start_ns
    put(origin, *readers)
    found: list[str | None] = []
    cursor = ""
    while True:
        page = ask(store, limit=2, cursor=cursor)
        assert page.read_count == 7
        found += [item.action_id for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(found, key=str) == [str(number) for number in range(7)]
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    origin = made()
    put(origin, read(origin))
    asked = CacheCrossingsParameters.model_validate({"kinds": EVERYTHING})
    assert QUESTION.ask(store.reader("another"), asked).items == []
