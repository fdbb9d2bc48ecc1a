"""The question autonomy: what was approved, and what the agent did by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.autonomy import QUESTION, Autonomy, AutonomyParameters, Basis
from whodid.store.questions.cursor import CursorError

Put = Callable[..., None]
NOW_NS = time.time_ns() - 3_600_000_000_000
DIGESTS = [f"sha256:{str(number) * 64}" for number in range(3)]


def ask(store: Store, **parameters: Any) -> Autonomy:
    return QUESTION.ask(store.reader(), AutonomyParameters.model_validate(parameters))


def approval(second: float, id_: str = "apr-1", **more: Any) -> Sent:
    said: dict[str, Any] = {
        "GEN_AI_TOOL_NAME": "refund",
        "ATTRIBUTION_APPROVAL_ID": id_,
        "ATTRIBUTION_APPROVAL_STATUS": "granted",
        "ATTRIBUTION_APPROVAL_APPROVER_ID": "bob@acme.example",
        "ATTRIBUTION_APPROVAL_CONTEXT_HASH": DIGESTS[0],
        **more,
    }
    return _at(second, attribution("resolve_approval", **said))


def action(second: float, id_: str, mode: str = "autonomous", approved: str = "", **more: Any) -> Sent:
    said: dict[str, Any] = {
        "ATTRIBUTION_ACTION_ID": id_,
        "ATTRIBUTION_ACTION_MODE": mode,
        "ATTRIBUTION_ACTION_ARGUMENTS_HASH": DIGESTS[0],
        "ATTRIBUTION_APPROVAL_ID": approved,
        **more,
    }
    return _at(second, attribution("execute_tool", **said))


def _at(second: float, attributes: dict[str, Any]) -> Sent:
    return Sent(attributes=attributes, start_ns=NOW_NS + int(second * 1e9))


def test_what_was_approved_and_what_came_of_it(store: Store, put: Put) -> None:
    granted = approval(2)
    put(
        action(4, "after", "autonomous_after_approval", GEN_AI_TOOL_NAME="mail"),
        action(3, "approved", "human_approved", "apr-1"),
        action(1, "alone"),
    )
    put(granted)  # in another trace, and late
    answer = ask(store, task="task-1")
    assert [(item.action_id, item.basis, item.gaps) for item in answer.items] == [
        ("alone", Basis.ALONE, []),
        ("approved", Basis.APPROVED, []),
        ("after", Basis.AFTER_APPROVAL, []),
    ]
    assert answer.counts == {
        "approved": 1,
        "claimed": 0,
        "after_approval": 1,
        "alone": 1,
        "human_initiated": 0,
    }
    alone, approved, after = answer.items
    assert approved.approval is not None
    assert approved.approval.approver.value == "bob@acme.example"
    assert approved.approval.approver.evidence is EvidenceLevel.SELF_ASSERTED
    assert after.after is not None
    assert (after.after.tool, after.after.span_id) == ("refund", granted.span_id.hex())
    assert (after.approval, alone.after) == (None, None)


@pytest.mark.parametrize(
    ("changed", "second", "gap"),
    [
        ({"ATTRIBUTION_APPROVAL_CONTEXT_HASH": DIGESTS[1]}, 2, "for other arguments"),
        ({"ATTRIBUTION_APPROVAL_CONTEXT_HASH": ""}, 2, "is not recorded"),
        ({"ATTRIBUTION_APPROVAL_STATUS": "refused"}, 2, "refused, not granted"),
        ({"ATTRIBUTION_APPROVAL_STATUS": "requested"}, 2, "requested, not granted"),
        ({"ATTRIBUTION_APPROVAL_NOT_AFTER": "2020-01-01T00:00:00Z"}, 2, "had expired"),
        ({}, 60, "before it was approved"),
        ({"ATTRIBUTION_APPROVAL_ID": "apr-2"}, 2, "not in the store"),
    ],
)
def test_an_approval_that_covers_nothing(
    store: Store, put: Put, changed: dict[str, Any], second: float, gap: str
) -> None:
    put(approval(second, **changed), action(3, "one", "human_approved", "apr-1"))
    (item,) = ask(store).items
    assert item.basis is Basis.CLAIMED
    assert any(gap in each for each in item.gaps)


def test_what_it_says_of_itself_is_no_proof(store: Store, put: Put) -> None:
    put(
        action(1, "one", "human_approved"),
        action(2, "two", "human_initiated"),
        action(3, "three", "", ATTRIBUTION_TASK_ID=""),
        approval(4, ATTRIBUTION_APPROVAL_APPROVER_ID=""),
        action(5, "four", "autonomous", "apr-1"),
        action(6, "five"),
    )
    answer = {item.action_id: item for item in ask(store).items}
    assert [answer[each].basis for each in ("one", "two", "three", "four", "five")] == [
        Basis.CLAIMED,
        Basis.HUMAN_INITIATED,
        Basis.ALONE,
        Basis.APPROVED,
        Basis.AFTER_APPROVAL,
    ]
    assert answer["one"].gaps == ["it says that it was approved and names no approval"]
    assert answer["three"].mode.evidence is EvidenceLevel.MISSING
    assert answer["four"].gaps == [
        "who approved is not recorded",
        "it says autonomous, and its spans show approved",
    ]
    assert answer["five"].gaps == ["it says autonomous, and its spans show after_approval"]


def test_one_approval_for_two_actions(store: Store, put: Put) -> None:
    put(approval(1), *(action(second, str(second), "human_approved", "apr-1") for second in (2, 3)))
    assert [item.gaps for item in ask(store).items] == [["the approval is named by 2 actions"]] * 2


def test_spans_of_one_action_and_those_sent_twice_are_one(store: Store, put: Put) -> None:
    client, granted = action(2, "one", "human_approved", "apr-1"), approval(1)
    server = Sent(
        attributes={
            attr.MCP_METHOD_NAME: "tools/call",
            attr.ATTRIBUTION_ACTION_ID: "one",
            attr.ATTRIBUTION_ACTION_MODE: "autonomous",
        },
        trace_id=client.trace_id,
        parent_id=client.span_id,
        start_ns=client.start_ns - 1_000_000,
    )
    put(client, granted)
    put(client, server)
    put(granted)
    (item,) = ask(store).items
    assert (item.basis, item.span_ids) == (Basis.APPROVED, [client.span_id.hex(), server.span_id.hex()])
    assert item.gaps == ["its spans say different modes: autonomous, human_approved"]
    granted.attributes[attr.ATTRIBUTION_APPROVAL_STATUS] = "refused"
    put(granted)
    assert any("different ways" in gap for gap in ask(store).items[0].gaps)


def test_filters(store: Store, put: Put) -> None:
    put(
        action(1, "one", ATTRIBUTION_TASK_ID="other"),
        action(2, "two", GEN_AI_AGENT_NAME="other"),
        action(3, "three", user="carol@acme.example"),
    )
    for asked, found in (
        ({"task": "other"}, ["one"]),
        ({"agent": "other"}, ["two"]),
        ({"principal": "carol@acme.example"}, ["three"]),
        ({"basis": ["approved"]}, []),
        ({"until": "2020-01-01T00:00:00Z"}, []),
    ):
        assert [item.action_id for item in ask(store, **asked).items] == found
    assert ask(store, basis=["approved"]).counts["alone"] == 3
    assert QUESTION.ask(store.reader("another"), AutonomyParameters.model_validate({})).items == []


def test_pages_hold_every_action_once(store: Store, put: Put) -> None:
    put(*(action(1, str(number)) for number in range(7)))
    found: list[str | None] = []
    cursor = ""
    while True:
        page = ask(store, limit=2, cursor=cursor)
        assert page.action_count == 7
        found += [item.action_id for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(found, key=str) == [str(number) for number in range(7)]
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


@pytest.mark.parametrize("asked", [{"agent": "helper"}, {"principal": "carol@acme.example"}])
def test_an_action_is_somebody_s_with_all_its_spans(store: Store, put: Put, asked: dict[str, str]) -> None:
    """A server's span of the call names neither agent nor principal; others' actions are in its trace."""
    mine = action(1, "mine", GEN_AI_AGENT_NAME="helper", ATTRIBUTION_PRINCIPAL_ID="carol@acme.example")
    served, other = action(1.1, "mine"), action(2, "other")
    for span in (served, other):
        span.trace_id = mine.trace_id
    for name in (attr.GEN_AI_AGENT_NAME, attr.ATTRIBUTION_PRINCIPAL_ID):
        del served.attributes[name]
    put(mine, other)
    put(served, service="tools")
    put(action(3, "elsewhere"))
    (item,) = ask(store, **asked).items
    assert item.action_id == "mine"
    assert sorted(item.span_ids) == sorted([mine.span_id.hex(), served.span_id.hex()])
