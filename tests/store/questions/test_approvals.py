"""The question approvals: asked for by whom, answered how, and what ran under it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.approvals import QUESTION, Approvals, ApprovalsParameters, ApprovalState
from whodid.store.questions.cursor import CursorError

Put = Callable[..., None]
NOON = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0) - datetime.timedelta(
    hours=12
)
SEEN, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def ask(store: Store, **parameters: Any) -> Approvals:
    return QUESTION.ask(store.reader(), ApprovalsParameters.model_validate(parameters))


def at(minutes: float) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minutes)


def text(minutes: float) -> str:
    return at(minutes).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ns(minutes: float) -> int:
    return int(at(minutes).timestamp() * 1_000_000) * 1_000


def answer(id_: str, minutes: float = 0, status: str = "granted", **more: Any) -> Sent:
    said: dict[str, Any] = {
        "GEN_AI_TOOL_NAME": "refund",
        "ATTRIBUTION_APPROVAL_ID": id_,
        "ATTRIBUTION_APPROVAL_STATUS": status,
        "ATTRIBUTION_APPROVAL_APPROVER_ID": "bob@acme.example",
        "ATTRIBUTION_APPROVAL_CONTEXT_HASH": SEEN,
        "ATTRIBUTION_APPROVAL_NOT_AFTER": text(minutes + 60),
        **more,
    }
    return Sent(attributes=attribution("resolve_approval", **said), start_ns=ns(minutes))


def run(id_: str, minutes: float = 1, action: str = "one", **more: Any) -> Sent:
    said: dict[str, Any] = {
        "GEN_AI_TOOL_NAME": "refund",
        "ATTRIBUTION_ACTION_ID": action,
        "ATTRIBUTION_APPROVAL_ID": id_,
        "ATTRIBUTION_ACTION_ARGUMENTS_HASH": SEEN,
        **more,
    }
    return Sent(attributes=attribution("execute_tool", **said), start_ns=ns(minutes))


def requested(id_: str, minutes: float = 0) -> Sent:
    """A call that stopped to ask."""
    return run(id_, minutes, "asked", ATTRIBUTION_APPROVAL_STATUS="requested")


def test_asked_for_granted_and_used(store: Store, put: Put) -> None:
    agent, granted = Sent(attributes=attribution("invoke_agent"), start_ns=ns(-1)), answer("a-1")
    granted.trace_id, granted.parent_id = agent.trace_id, agent.span_id
    granted.events = {"attribution.approval.requested": {attr.ATTRIBUTION_APPROVAL_ID: "a-1"}}
    done = run("a-1")
    put(agent, granted, done)
    (item,) = ask(store).items
    assert (item.approval_id, item.status) == ("a-1", "granted")
    assert (item.requested_at, item.not_after) == (text(0), text(60))
    assert item.resolved_at == text(1 / 60_000)  # when its span ended
    assert (item.agent.value, item.agent.evidence) == ("support-agent", EvidenceLevel.PROPAGATED)
    assert (item.approver.value, item.approver.evidence) == ("bob@acme.example", EvidenceLevel.SELF_ASSERTED)
    assert (item.tool, item.arguments_hash, item.covers_action) == ("refund", SEEN, True)
    (use,) = item.uses
    assert (use.action_id, use.outcome, use.covered, use.in_time) == ("one", "succeeded", True, True)
    assert use.span_ids == [done.span_id.hex()]
    assert (item.use_count, item.gaps) == (1, [])


def test_what_nobody_has_answered(store: Store, put: Put) -> None:
    put(requested("a-1"))
    (item,) = ask(store).items
    assert (item.status, item.resolved_at, item.requested_at) == ("pending", None, text(0))
    assert (item.approver.evidence, item.uses, item.covers_action) == (EvidenceLevel.MISSING, [], None)
    assert item.gaps == ["nobody has answered it"]
    put(answer("a-1", 30, "refused"))  # late
    (item,) = ask(store).items
    assert (item.status, item.requested_at) == ("refused", text(0))
    assert ask(store).counts == {"granted": 0, "refused": 1, "expired": 0, "pending": 0}


def test_a_request_without_an_id(store: Store, put: Put) -> None:
    put(requested(""))
    (item,) = ask(store).items
    assert (item.approval_id, item.status) == (None, "pending")
    assert "it has no id, so what ran under it cannot be known" in item.gaps


@pytest.mark.parametrize(
    ("use", "gap"),
    [
        (
            run("a-1", ATTRIBUTION_ACTION_ARGUMENTS_HASH=OTHER),
            "an action under it had other arguments",
        ),
        (run("a-1", -5), "an action under it ran before it was granted, or after it had expired"),
        (run("a-1", 90), "an action under it ran before it was granted, or after it had expired"),
    ],
)
def test_what_it_does_not_cover(store: Store, put: Put, use: Sent, gap: str) -> None:
    put(answer("a-1"), use)
    (item,) = ask(store).items
    assert gap in item.gaps
    assert len(item.uses) == 1


def test_what_ran_although_it_was_refused(store: Store, put: Put) -> None:
    put(answer("a-1", 0, "refused"), run("a-1"), run("a-1", 2, "two"))
    (item,) = ask(store).items
    assert [use.in_time for use in item.uses] == [None, None]
    assert item.gaps[-2:] == ["2 actions name it", "an action ran under it although it is refused"]


def test_answers_that_disagree(store: Store, put: Put) -> None:
    put(answer("a-1"), answer("a-1", 1, "refused", ATTRIBUTION_APPROVAL_APPROVER_ID="eve@acme.example"))
    (item,) = ask(store).items
    assert item.status == "granted"  # the first
    assert "it was answered in different ways: granted, refused" in item.gaps
    assert "several have answered it: bob@acme.example, eve@acme.example" in item.gaps


def test_who_answered_is_not_recorded(store: Store, put: Put) -> None:
    put(answer("a-1", ATTRIBUTION_APPROVAL_APPROVER_ID=""))
    (item,) = ask(store).items
    assert "who answered is not recorded" in item.gaps
    assert "when it was asked for is not recorded" in item.gaps


def test_filters(store: Store, put: Put) -> None:
    put(
        answer("a-1"),
        answer("a-2", 1, "refused", ATTRIBUTION_APPROVAL_APPROVER_ID="eve@acme.example"),
        answer("a-3", 2, GEN_AI_AGENT_NAME="billing-agent"),
        requested("a-4", 3),
    )

    def ids(**parameters: Any) -> list[str | None]:
        return [item.approval_id for item in ask(store, **parameters).items]

    assert ids() == ["a-4", "a-3", "a-2", "a-1"]
    assert ids(status=["pending", "refused"]) == ["a-4", "a-2"]
    assert ask(store, status=["pending"]).counts == {"granted": 2, "refused": 1, "expired": 0, "pending": 1}
    assert ids(approver=["eve@acme.example"]) == ["a-2"]
    assert ids(agent=["billing-agent"]) == ["a-3"]
    assert ids(id=["a-2", "a-1"]) == ["a-2", "a-1"]
    assert ids(id=["nothing"]) == []
    assert ids(since=at(1), until=at(3)) == ["a-3", "a-2"]


def test_an_answer_in_the_period_to_a_request_before_it(store: Store, put: Put) -> None:
    put(requested("a-1", -60), answer("a-1"))
    (item,) = ask(store, since=at(-1)).items
    assert (item.status, item.requested_at) == ("granted", text(-60))
    (item,) = ask(store, until=at(-30)).items
    assert item.status == "granted"


def test_pages_hold_every_approval_once(store: Store, put: Put) -> None:
    put(*(answer(f"a-{number}", number % 2) for number in range(7)))
    found: list[str | None] = []
    cursor = ""
    while True:
        page = ask(store, limit=2, cursor=cursor)
        assert page.counts[ApprovalState.GRANTED] == 7
        found += [item.approval_id for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(map(str, found)) == [f"a-{number}" for number in range(7)]


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    put(answer("a-1"))
    parameters = ApprovalsParameters.model_validate({"id": ["a-1"]})
    assert QUESTION.ask(store.reader("another"), parameters).items == []
