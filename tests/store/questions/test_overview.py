"""The question overview: how many actions there were, by agent, mode and decision, over time."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.spans import Sent, attribution
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.overview import QUESTION, Overview, OverviewParameters

Put = Callable[..., None]
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
NOON = YESTERDAY.replace(hour=12, minute=0, second=0, microsecond=0)
BOTH = pytest.mark.parametrize("exact", [False, True])


def ask(store: Store, **parameters: Any) -> Overview:
    return QUESTION.ask(store.reader(), OverviewParameters.model_validate(parameters))


def act(action: str, minutes: float = 0, operation: str = "execute_tool", **more: Any) -> Sent:
    """Something that happened so long after noon."""
    said: dict[str, Any] = {"ATTRIBUTION_POLICY_DECISION_OUTCOME": "allow", **more}
    return Sent(
        attributes=attribution(operation, ATTRIBUTION_ACTION_ID=action, **said),
        start_ns=int((NOON + datetime.timedelta(minutes=minutes)).timestamp() * 1_000_000) * 1_000,
    )


def denied(action: str, minutes: float = 0, **more: Any) -> Sent:
    return act(
        action,
        minutes,
        "evaluate_policy",
        ATTRIBUTION_POLICY_DECISION_OUTCOME="deny",
        ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked",
        **more,
    )


class TestCounts:
    @BOTH
    def test_what_ran_failed_and_was_held_back(self, store: Store, put: Put, exact: bool) -> None:
        failed = act("three")
        failed.error = True
        put(act("one"), act("two", ATTRIBUTION_ACTION_MODE="human_approved"), failed, denied("four"))
        answer = ask(store, exact=exact)
        told = [
            (item.agent, item.mode, item.decision, item.ran_count, item.blocked_count, item.error_count)
            for item in answer.items
        ]
        assert told == [
            ("support-agent", "autonomous", "allow", 2, 0, 1),
            ("support-agent", "autonomous", "deny", 0, 1, 0),
            ("support-agent", "human_approved", "allow", 1, 0, 0),
        ]
        assert (answer.action_count, answer.ran_count, answer.blocked_count, answer.error_count) == (
            4,
            3,
            1,
            1,
        )
        assert answer.gaps == []
        assert {item.evidence for item in answer.items} == {EvidenceLevel.SELF_ASSERTED}

    @BOTH
    def test_a_decision_that_let_it_run_is_not_another_action(
        self, store: Store, put: Put, exact: bool
    ) -> None:
        put(act("one", 0, "evaluate_policy"), act("one"))
        assert ask(store, exact=exact).action_count == 1

    @BOTH
    def test_a_tool_s_server_tells_of_the_same_action(self, store: Store, put: Put, exact: bool) -> None:
        call = act("one")
        served = act("one")
        served.kind = trace_pb2.Span.SPAN_KIND_SERVER
        served.trace_id, served.parent_id = call.trace_id, call.span_id
        put(call, served)
        assert ask(store, exact=exact).action_count == 1

    @BOTH
    def test_an_agent_that_nobody_names(self, store: Store, put: Put, exact: bool) -> None:
        put(act("one"), act("two", GEN_AI_AGENT_NAME=None))
        answer = ask(store, exact=exact)
        assert {item.agent: item.evidence for item in answer.items} == {
            "support-agent": EvidenceLevel.SELF_ASSERTED,
            None: EvidenceLevel.MISSING,
        }
        assert answer.gaps == ["1 of them name no agent"]

    @BOTH
    def test_another_operation(self, store: Store, put: Put, exact: bool) -> None:
        put(act("one"), denied("two"), Sent(attributes=attribution("invoke_agent")))
        answer = ask(store, operation="invoke_agent", exact=exact)
        assert (answer.ran_count, answer.blocked_count) == (1, 0)

    def test_what_only_an_exact_count_knows(self, store: Store, put: Put) -> None:
        span = act("one")
        put(span)
        put(span, act("elsewhere"))
        client = act("one")
        client.trace_id, client.kind = span.trace_id, trace_pb2.Span.SPAN_KIND_CLIENT
        client.start_ns = span.start_ns + 1  # the first of an action's spans stands for it
        put(client)
        assert ask(store).action_count == 4
        (item,) = ask(store, exact=True).items
        assert item.action_count == 2
        assert span.span_id.hex() in item.span_ids

    def test_an_action_that_ran_although_it_was_held_back_ran(self, store: Store, put: Put) -> None:
        blocked, ran = denied("one"), act("one", 1)
        blocked.trace_id = ran.trace_id
        put(blocked, ran)
        answer = ask(store, exact=True)
        assert (answer.ran_count, answer.blocked_count) == (1, 0)

    def test_a_store_with_nothing_in_it(self, store: Store) -> None:
        assert ask(store) == Overview(
            items=[], action_count=0, ran_count=0, blocked_count=0, error_count=0, next_cursor=None
        )


class TestTimes:
    @BOTH
    @pytest.mark.parametrize(("step", "starts"), [("hour", [11, 12, 13]), ("day", [0])])
    def test_steps(self, store: Store, put: Put, exact: bool, step: str, starts: list[int]) -> None:
        # They arrive late, and out of order.
        put(act("three", 61), act("one", -1))
        put(act("two", 59.99))
        answer = ask(store, step=step, exact=exact)
        told = [item.since for item in answer.items]
        assert told == [f"{NOON:%Y-%m-%d}T{hour:02}:00:00.000000Z" for hour in starts]
        assert answer.action_count == 3

    def test_whole_hours_are_counted_unless_exactly(self, store: Store, put: Put) -> None:
        put(act("one", 1), act("two", 59))
        since = NOON + datetime.timedelta(minutes=30)
        answer = ask(store, since=since)
        assert answer.action_count == 2
        assert answer.gaps == [
            "counted by whole hours: those that the period begins and ends in are counted whole"
        ]
        exact = ask(store, since=since, exact=True)
        assert (exact.action_count, exact.gaps) == (1, [])

    def test_an_hour_in_another_zone(self, store: Store, put: Put) -> None:
        put(act("one", 1), act("two", 61))
        zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        answer = ask(store, until=(NOON + datetime.timedelta(hours=1)).astimezone(zone))
        assert (answer.action_count, answer.gaps) == (1, [])


class TestAsking:
    @BOTH
    def test_filters(self, store: Store, put: Put, exact: bool) -> None:
        put(act("one", GEN_AI_AGENT_NAME="helper", GEN_AI_TOOL_NAME="send_mail"))
        put(act("two"), act("three"), service="desk")
        for asked, count in (
            ({"agent": "helper"}, 1),
            ({"tool": "lookup_order"}, 2),
            ({"service": "desk"}, 2),
        ):
            assert ask(store, exact=exact, **asked).action_count == count, asked

    @BOTH
    def test_what_is_counted_apart(self, store: Store, put: Put, exact: bool) -> None:
        put(act("one", ATTRIBUTION_ACTION_MODE="human_approved"), act("two", GEN_AI_TOOL_NAME="send_mail"))
        put(act("three"), service="desk")
        assert [item.action_count for item in ask(store, by=(), exact=exact).items] == [3]
        (desk,) = [item for item in ask(store, by=("service",), exact=exact).items if item.service == "desk"]
        assert (desk.action_count, desk.agent, desk.tool) == (1, None, None)
        tools = ask(store, by=("tool",), exact=exact).items
        assert [(item.tool, item.action_count) for item in tools] == [("lookup_order", 2), ("send_mail", 1)]

    @BOTH
    def test_pages_hold_every_count_once_and_the_same_totals(
        self, store: Store, put: Put, exact: bool
    ) -> None:
        names = [f"agent-{number}" for number in range(7)]
        put(*(act(name, GEN_AI_AGENT_NAME=name) for name in names), act("more", GEN_AI_AGENT_NAME=names[3]))
        found: list[str | None] = []
        cursor: str | None = ""
        while cursor is not None:
            page = ask(store, limit=3, cursor=cursor, exact=exact)
            assert page.action_count == 8
            found += [item.agent for item in page.items]
            cursor = page.next_cursor
        assert found == [names[3], *names[:3], *names[4:]]

    def test_a_cursor_that_is_none(self, store: Store) -> None:
        with pytest.raises(CursorError):
            ask(store, cursor="nonsense")

    @BOTH
    def test_another_tenant_sees_nothing(self, store: Store, put: Put, exact: bool) -> None:
        put(act("one"))
        parameters = OverviewParameters.model_validate({"exact": exact})
        assert QUESTION.ask(store.reader("another"), parameters).action_count == 0
