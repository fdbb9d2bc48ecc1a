"""The question unattributed: the actions for which nobody can be named."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.unattributed import (
    QUESTION,
    Missing,
    UnattributedActions,
    UnattributedParameters,
)

Put = Callable[..., None]


def ask(store: Store, **parameters: Any) -> UnattributedActions:
    return QUESTION.ask(store.reader(), UnattributedParameters.model_validate(parameters))


def tool(action: str = "", **more: Any) -> Sent:
    return Sent(name="tool", attributes=attribution("execute_tool", ATTRIBUTION_ACTION_ID=action, **more))


def of_a_stranger(above: Sent | None = None) -> Sent:
    """A tool call that another instrumentation recorded."""
    span = Sent(attributes={"openinference.span.kind": "TOOL", "tool.name": "search"})
    if above is not None:
        span.trace_id, span.parent_id = above.trace_id, above.span_id
    return span


def test_what_is_attributed_is_not_listed(store: Store, put: Put) -> None:
    put(Sent(attributes=attribution("invoke_agent")), tool("one"), tool("two"))
    answer = ask(store)
    assert (answer.items, answer.action_count, answer.next_cursor) == ([], 0, None)


def test_what_another_instrumentation_recorded(store: Store, put: Put) -> None:
    span = of_a_stranger()
    put(tool("one"), span, service="crawler")
    (item,) = ask(store).items
    assert (item.tool, item.services, item.span_ids) == ("search", ["crawler"], [span.span_id.hex()])
    assert item.missing == list(Missing)
    assert item.principal.evidence is EvidenceLevel.MISSING
    assert (item.action_id, item.above) == (None, None)


@pytest.mark.parametrize(
    ("constant", "missing"),
    [
        ("GEN_AI_AGENT_NAME", Missing.AGENT),
        ("ATTRIBUTION_PRINCIPAL_ID", Missing.PRINCIPAL),
        ("ATTRIBUTION_INITIATOR_ID", Missing.INITIATOR),
        ("ATTRIBUTION_TASK_ID", Missing.TASK),
    ],
)
def test_each_thing_that_may_lack(store: Store, put: Put, constant: str, missing: Missing) -> None:
    put(tool("one", **{constant: ""}), tool("two"), tool("three", ATTRIBUTION_AGENT_INSTANCE_ID=""))
    answer = ask(store)
    assert [(item.action_id, item.missing) for item in answer.items] == [("one", [missing])]
    assert answer.without[missing] == 1
    others = tuple(each for each in Missing if each not in (missing, Missing.INSTANCE))
    assert ask(store, missing=others).items == []


def test_the_running_copy_only_if_asked_for(store: Store, put: Put) -> None:
    put(tool("one", ATTRIBUTION_AGENT_INSTANCE_ID=""))
    assert ask(store).items == []
    assert [item.action_id for item in ask(store, missing=("instance",)).items] == ["one"]


def test_what_one_span_of_an_action_lacks_another_may_say(store: Store, put: Put) -> None:
    client = tool("one")
    server = Sent(
        attributes={attr.MCP_METHOD_NAME: "tools/call", attr.ATTRIBUTION_ACTION_ID: "one"},
        trace_id=client.trace_id,
        parent_id=client.span_id,
    )
    put(server, service="orders")
    before = ask(store)
    assert [item.services for item in before.items] == [["orders"]]
    put(client)  # late
    assert ask(store).items == []


def test_an_action_id_borrowed_from_another_trace_does_not_help(store: Store, put: Put) -> None:
    thief = of_a_stranger()
    thief.attributes[attr.ATTRIBUTION_ACTION_ID] = "one"
    put(tool("one"), thief)
    (item,) = ask(store).items
    assert item.trace_id == thief.trace_id.hex()


def test_two_spans_of_one_unattributed_action_are_one_item(store: Store, put: Put) -> None:
    execution = tool("one", ATTRIBUTION_PRINCIPAL_ID="")
    decision = Sent(
        attributes=attribution("evaluate_policy", ATTRIBUTION_ACTION_ID="one", ATTRIBUTION_PRINCIPAL_ID=""),
        trace_id=execution.trace_id,
    )
    put(execution, decision)
    put(execution)
    (item,) = ask(store).items
    assert sorted(item.span_ids) == sorted((execution.span_id.hex(), decision.span_id.hex()))
    assert item.span_ids[0] == execution.span_id.hex()


def test_nobody_is_put_into_an_action_afterwards(store: Store, put: Put) -> None:
    execution = tool("one", ATTRIBUTION_PRINCIPAL_ID="")
    again = Sent(**vars(execution))
    again.attributes = {**execution.attributes, attr.ATTRIBUTION_PRINCIPAL_ID: "mallory@acme.example"}
    put(execution)
    put(again)
    (item,) = ask(store).items
    assert item.principal.value is None
    assert item.gaps == ["a span was sent twice with different content; the one that says less counts"]


def test_the_parent_is_a_trail_and_no_answer(store: Store, put: Put) -> None:
    agent = Sent(attributes=attribution("invoke_agent"))
    put(of_a_stranger(agent))
    put(agent)
    (item,) = ask(store).items
    assert item.above == f"support-agent for alice@acme.example (span {agent.span_id.hex()})"
    assert item.principal.value is None


def test_filters(store: Store, put: Put) -> None:
    put(of_a_stranger(), service="one")
    put(of_a_stranger(), service="two")
    model = Sent(attributes={"openinference.span.kind": "LLM"})
    put(model, service="three")
    assert [item.services for item in ask(store, service="two").items] == [["two"]]
    assert [item.services for item in ask(store, operations=("chat",)).items] == [["three"]]
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    assert ask(store, since=later).items == []


def test_pages_hold_every_action_once(store: Store, put: Put) -> None:
    spans = [of_a_stranger() for _ in range(7)]
    for span in spans:
        span.start_ns = spans[0].start_ns
    put(*spans)
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(store, limit=2, cursor=cursor)
        assert page.action_count == 7
        found += [item.span_ids[0] for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(found) == sorted(span.span_id.hex() for span in spans)


def test_how_many_in_each_hour_whatever_the_page(store: Store, put: Put) -> None:
    noon = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    spans = [of_a_stranger() for _ in range(3)]
    for span, minutes in zip(spans, (-119, -61, -1), strict=True):
        moment = noon + datetime.timedelta(minutes=minutes)
        span.start_ns = int(moment.timestamp()) * 1_000_000_000
    put(*spans, tool("one"))
    first = ask(store, limit=1)
    for page in (first, ask(store, limit=1, cursor=first.next_cursor)):
        assert [(hour.since, hour.action_count) for hour in page.by_hour] == [
            ((noon - datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:00:00.000000Z"), count)
            for hours, count in ((2, 2), (1, 1))
        ]


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    put(of_a_stranger())
    assert QUESTION.ask(store.reader("another"), UnattributedParameters.model_validate({})).items == []
