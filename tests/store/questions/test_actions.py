"""The question actions: the actions with some properties, newest first, and what they have in common."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2
from pydantic import ValidationError

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.action_filters import ActionsParameters, Became
from whodid.store.questions.action_search import MARGIN
from whodid.store.questions.actions import QUESTION, Actions
from whodid.store.questions.cursor import CursorError

Put = Callable[..., None]
NOON = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0) - datetime.timedelta(
    hours=12
)


def ask(store: Store, **parameters: Any) -> Actions:
    return QUESTION.ask(store.reader(), ActionsParameters.model_validate(parameters))


def found(answer: Actions) -> list[str | None]:
    return [item.action_id for item in answer.items]


def act(action: str, minutes: float = 0, operation: str = "execute_tool", **more: Any) -> Sent:
    """Something that happened so long after noon."""
    return Sent(
        attributes=attribution(operation, ATTRIBUTION_ACTION_ID=action, **more),
        start_ns=int((NOON + datetime.timedelta(minutes=minutes)).timestamp() * 1_000_000) * 1_000,
    )


def decided(execution: Sent, before_s: float = 1, **more: Any) -> Sent:
    """The decision about an action, in its trace."""
    said = {**attribution("evaluate_policy"), **execution.attributes}
    said |= {attr.GEN_AI_OPERATION_NAME: "evaluate_policy"}
    said |= {str(getattr(attr, name)): value for name, value in more.items()}
    said.pop(attr.ERROR_TYPE, None)
    return Sent(
        attributes=said,
        trace_id=execution.trace_id,
        start_ns=execution.start_ns - int(before_s * 1_000_000_000),
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


class TestItems:
    def test_the_newest_first(self, store: Store, put: Put) -> None:
        put(act("one", 1), act("three", 3), act("two", 2))
        assert found(ask(store)) == ["three", "two", "one"]

    def test_an_action_is_one_item_however_many_spans_it_has(self, store: Store, put: Put) -> None:
        run = act("one")
        served = Sent(
            attributes={attr.MCP_METHOD_NAME: "tools/call", attr.ATTRIBUTION_ACTION_ID: "one"},
            trace_id=run.trace_id,
            parent_id=run.span_id,
            start_ns=run.start_ns + 1_000_000,
            kind=trace_pb2.Span.SPAN_KIND_SERVER,
        )
        decision = decided(run)
        put(decision, run)
        put(served, service="orders")
        (item,) = ask(store).items
        assert item.at == NOON.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        assert item.span_ids == [run.span_id.hex(), decision.span_id.hex(), served.span_id.hex()]
        assert item.services == ["orders", "tests"]
        assert (item.status, item.decision, item.tool, item.mode) == (
            Became.SUCCEEDED,
            "allow",
            "lookup_order",
            "autonomous",
        )
        assert item.gaps == []

    def test_what_became_of_each(self, store: Store, put: Put) -> None:
        failed = act("failed", 2, ERROR_TYPE="TimeoutError")
        failed.error = True
        put(act("ran", 1), failed, denied("denied", 3), act("open", 4, "evaluate_policy"))
        answer = ask(store)
        assert {item.action_id: str(item.status) for item in answer.items} == {
            "ran": "succeeded",
            "failed": "failed",
            "denied": "denied",
            "open": "not_recorded",
        }
        assert answer.items[0].gaps == ["no span shows that the action ran, nor that it was held back"]
        assert answer.items[2].error_type == "TimeoutError"

    def test_the_level_of_evidence(self, store: Store, put: Put) -> None:
        agent = Sent(attributes=attribution("invoke_agent"))
        child, orphan = act("child"), act("orphan", ATTRIBUTION_PRINCIPAL_ID="")
        child.trace_id, child.parent_id = agent.trace_id, agent.span_id
        agent.start_ns = child.start_ns - 1_000_000
        put(agent, child, orphan)
        items = {item.action_id: item for item in ask(store).items}
        assert items["child"].principal.evidence is EvidenceLevel.PROPAGATED
        assert items["child"].principal.spans == [child.span_id.hex(), agent.span_id.hex()]
        assert items["orphan"].principal.evidence is EvidenceLevel.MISSING
        assert items["orphan"].agent.evidence is EvidenceLevel.SELF_ASSERTED

    def test_what_another_of_its_spans_says_is_told_as_that_one_s(self, store: Store, put: Put) -> None:
        run = act("one", ATTRIBUTION_PRINCIPAL_ID="")
        decision = decided(run, ATTRIBUTION_PRINCIPAL_ID="alice@acme.example")
        put(run, decision)
        (item,) = ask(store).items
        assert (item.principal.value, item.principal.spans) == (
            "alice@acme.example",
            [decision.span_id.hex()],
        )
        assert item.principal.evidence is EvidenceLevel.SELF_ASSERTED

    def test_spans_that_disagree(self, store: Store, put: Put) -> None:
        run = act("one")
        put(run, decided(run, GEN_AI_AGENT_NAME="mallory"))
        (item,) = ask(store).items
        assert item.gaps == ["the action's spans name several agents: mallory, support-agent"]
        assert found(ask(store, agent=["mallory"])) == ["one"]

    def test_a_span_that_was_sent_again(self, store: Store, put: Put) -> None:
        run = act("one")
        put(run)
        put(run)
        assert [item.gaps for item in ask(store).items] == [[]]
        again = Sent(**vars(run))
        again.attributes = {**run.attributes, attr.GEN_AI_TOOL_NAME: "other"}
        put(again)
        (item,) = ask(store).items
        assert item.gaps == ["a span was sent twice with different content; the action is told once"]

    def test_an_action_id_in_another_trace_is_another_action(self, store: Store, put: Put) -> None:
        put(act("one", 1), act("one", 2))
        assert len(ask(store).items) == 2

    def test_its_findings(self, store: Store, put: Put) -> None:
        put(act("one", ATTRIBUTION_ACTION_MODE="guessed"), act("two", 1))
        items = {item.action_id: item.rules for item in ask(store).items}
        assert "undefined_value" in items["one"]
        assert "undefined_value" not in items["two"]

    def test_other_operations(self, store: Store, put: Put) -> None:
        agent = act("one", 0, "invoke_agent")
        put(agent, act("one", 1))
        (item,) = ask(store, operations=["invoke_agent"]).items
        assert (item.operation, item.span_ids) == ("invoke_agent", [agent.span_id.hex()])


class TestFilters:
    @pytest.mark.parametrize(
        ("name", "constant", "value"),
        [
            ("agent", "GEN_AI_AGENT_NAME", "billing-agent"),
            ("agent", "ATTRIBUTION_AGENT_IDENTITY_ID", "spiffe://acme.example/agent/x"),
            ("agent", "ATTRIBUTION_AGENT_INSTANCE_ID", "x:1"),
            ("principal", "ATTRIBUTION_PRINCIPAL_ID", "bob@acme.example"),
            ("initiator", "ATTRIBUTION_INITIATOR_ID", "nightly"),
            ("tool", "GEN_AI_TOOL_NAME", "refund"),
            ("credential", "ATTRIBUTION_CREDENTIAL_ID", "key-1"),
            ("resource_type", "ATTRIBUTION_RESOURCE_TYPE", "order"),
            ("resource", "ATTRIBUTION_RESOURCE_ID", "order/1"),
            ("session", "SESSION_ID", "s-1"),
            ("session", "GEN_AI_CONVERSATION_ID", "c-1"),
            ("task", "ATTRIBUTION_TASK_ID", "task-9"),
            ("mode", "ATTRIBUTION_ACTION_MODE", "human_initiated"),
            ("decision", "ATTRIBUTION_POLICY_DECISION_OUTCOME", "error"),
            ("enforcement", "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION", "monitored"),
            ("effect", "ATTRIBUTION_ACTION_EFFECT", "delete"),
            ("error", "ERROR_TYPE", "TimeoutError"),
        ],
    )
    def test_each_by_itself_and_with_another(
        self, store: Store, put: Put, name: str, constant: str, value: str
    ) -> None:
        said: dict[str, Any] = {constant: value}
        put(act("other"), act("wanted", 1, **said), act("wanted too", 2, **said))
        assert found(ask(store, **{name: [value]})) == ["wanted too", "wanted"]
        assert found(ask(store, **{name: [value, "nobody"]})) == ["wanted too", "wanted"]
        assert found(ask(store, **{name: [value]}, service=["nowhere"])) == []
        assert found(ask(store, **{name: ["nobody"]})) == []

    def test_of_several_filters_each_counts(self, store: Store, put: Put) -> None:
        put(act("one", GEN_AI_TOOL_NAME="refund"), act("two", 1, ATTRIBUTION_ACTION_EFFECT="delete"))
        assert found(ask(store, tool=["refund"], effect=["delete"])) == []

    def test_what_one_span_lacks_another_may_say(self, store: Store, put: Put) -> None:
        run = act("one")
        served = Sent(
            attributes={attr.MCP_METHOD_NAME: "tools/call", attr.ATTRIBUTION_ACTION_ID: "one"},
            trace_id=run.trace_id,
            parent_id=run.span_id,
            start_ns=run.start_ns + 1_000_000,
        )
        put(run)
        put(served, service="orders")
        assert found(ask(store, agent=["support-agent"], service=["orders"])) == ["one"]
        assert found(ask(store, service=["orders"], without=["agent"])) == []

    @pytest.mark.parametrize("which", ["trace", "span", "call", "action", "correlation", "decision", "task"])
    def test_any_id(self, store: Store, put: Put, which: str) -> None:
        run = act(
            "one",
            ATTRIBUTION_CORRELATION_ID="req-1",
            ATTRIBUTION_POLICY_DECISION_ID="d-1",
            GEN_AI_TOOL_CALL_ID="call-9",
            ATTRIBUTION_TASK_ID="task-9",
        )
        put(run, act("two", GEN_AI_TOOL_CALL_ID="call-8"))
        ids = {
            "trace": run.trace_id.hex().upper(),
            "span": run.span_id.hex(),
            "call": "call-9",
            "action": "one",
            "correlation": "req-1",
            "decision": "d-1",
            "task": "task-9",
        }
        period = {"since": NOON - datetime.timedelta(hours=1), "until": NOON + datetime.timedelta(hours=1)}
        for asked in ({"id": [ids[which]]}, {"id": ["nothing", ids[which]]}, {"id": [ids[which]], **period}):
            assert found(ask(store, **asked)) == ["one"]

    @pytest.mark.parametrize("id_", ["nothing", "' OR 1=1 --", "{tenant:String}", "\x00", "0" * 32, "f" * 16])
    def test_an_id_that_nothing_has(self, store: Store, put: Put, id_: str) -> None:
        put(act("one"))
        assert ask(store, id=[id_]).items == []

    def test_what_became_of_it(self, store: Store, put: Put) -> None:
        failed = act("failed", 1)
        failed.error = True
        put(act("ran"), failed, denied("denied", 2))
        assert found(ask(store, status=["failed"])) == ["failed"]
        assert found(ask(store, status=["denied", "succeeded"])) == ["denied", "ran"]
        assert found(ask(store, status=["not_recorded"])) == []

    def test_a_rule(self, store: Store, put: Put) -> None:
        put(act("one", ATTRIBUTION_ACTION_MODE="guessed"), act("two"))
        assert found(ask(store, rule=["undefined_value"])) == ["one"]
        assert found(ask(store, rule=["undefined_value"], agent=["nobody"])) == []

    @pytest.mark.parametrize(
        ("name", "constant"), [("principal", "ATTRIBUTION_PRINCIPAL_ID"), ("agent", "GEN_AI_AGENT_NAME")]
    )
    def test_without(self, store: Store, put: Put, name: str, constant: str) -> None:
        silent: dict[str, Any] = {constant: ""}
        said: dict[str, Any] = {constant: "somebody"}
        run = act("said by the decision", **silent)
        put(act("one", **silent), act("two"), run, decided(run, **said))
        assert found(ask(store, without=[name])) == ["one"]
        assert found(ask(store, without=[name, "credential"])) == ["one"]

    def test_an_empty_text_is_no_value(self) -> None:
        with pytest.raises(ValidationError):
            ActionsParameters.model_validate({"agent": [""]})

    def test_a_period_is_about_when_it_ran(self, store: Store, put: Put) -> None:
        waited = act("waited", 1)
        put(act("before", -1), waited, decided(waited, before_s=120), act("after", 10))
        period = {"since": NOON, "until": NOON + datetime.timedelta(minutes=10)}
        assert found(ask(store, **period)) == ["waited"]
        assert found(ask(store, until=NOON)) == ["before"]

    def test_a_decision_long_before_is_no_action_of_its_own(self, store: Store, put: Put) -> None:
        run = act("one", 600)
        decision = decided(run, before_s=2 * MARGIN.total_seconds() + 3_600)
        put(decision, run, *(act(f"other {number}", 580) for number in range(20)))
        answer = ask(store, limit=1)
        assert [item.span_ids for item in answer.items] == [[run.span_id.hex(), decision.span_id.hex()]]
        everything = [item.action_id for item in every_page(store, limit=3)]
        assert everything.count("one") == 1
        assert len(everything) == 21


def every_page(store: Store, **parameters: Any) -> list[Any]:
    items: list[Any] = []
    cursor = ""
    while True:
        page = ask(store, cursor=cursor, **parameters)
        items += page.items
        if page.next_cursor is None:
            return items
        cursor = page.next_cursor


class TestPages:
    @pytest.mark.parametrize(
        "filters", [{}, {"status": ["succeeded"]}, {"session": ["s-1"]}, {"tool": ["lookup_order"]}]
    )
    def test_they_hold_every_action_once(self, store: Store, put: Put, filters: dict[str, Any]) -> None:
        # Some at one time, some hours apart: in different pieces of time.
        spans = [act(f"action {number}", 60 * (number % 4), SESSION_ID="s-1") for number in range(11)]
        put(*spans)
        items = every_page(store, limit=2, **filters)
        assert sorted(item.action_id for item in items) == sorted(f"action {number}" for number in range(11))
        assert [item.at for item in items] == sorted((item.at for item in items), reverse=True)

    def test_an_id_that_occurs_at_many_times(self, store: Store, put: Put) -> None:
        put(*(act(f"action {number}", -6 * number, SESSION_ID="s-1") for number in range(150)))
        assert found(ask(store, session=["s-1"], limit=3)) == ["action 0", "action 1", "action 2"]
        assert len(every_page(store, session=["s-1"], limit=100)) == 150

    @pytest.mark.parametrize("cursor", ["x", "bnVsbA", "W10", "é"])
    def test_a_cursor_that_is_none(self, store: Store, cursor: str) -> None:
        with pytest.raises(CursorError):
            ask(store, cursor=cursor)

    def test_another_tenant_sees_nothing(self, store: Store, put: Put) -> None:
        put(act("one"))
        for asked in ({}, {"id": ["one"], "facets": True}):
            answer = QUESTION.ask(store.reader("another"), ActionsParameters.model_validate(asked))
            assert (answer.items, answer.facets) == ([], [])


class TestFacets:
    def test_how_often_each_value_is_said(self, store: Store, put: Put) -> None:
        run = act("one")
        put(
            run,
            decided(run),
            act("two", 1, GEN_AI_TOOL_NAME="refund"),
            act("three", 2, GEN_AI_AGENT_NAME=None),
        )
        answer = ask(store, facets=True)
        told = {(each.property, each.value): each.action_count for each in answer.facets}
        assert told["tool", "lookup_order"] == 2
        assert told["tool", "refund"] == 1
        assert told["agent", None] == 1
        assert told["agent", "support-agent"] == 2
        assert told["status", "succeeded"] == 3
        assert (answer.facets_since, answer.gaps) == (None, [])

    def test_under_the_same_filters(self, store: Store, put: Put) -> None:
        put(act("one"), act("two", GEN_AI_TOOL_NAME="refund", GEN_AI_AGENT_NAME="billing-agent"))
        answer = ask(store, facets=True, tool=["refund"])
        assert [(each.value, each.action_count) for each in answer.facets if each.property == "agent"] == [
            ("billing-agent", 1)
        ]

    def test_at_most_ten_values(self, store: Store, put: Put) -> None:
        put(*(act(f"action {number}", GEN_AI_TOOL_NAME=f"tool {number}") for number in range(12)))
        assert len([each for each in ask(store, facets=True).facets if each.property == "tool"]) == 10

    def test_none_unless_they_are_asked_for(self, store: Store, put: Put) -> None:
        put(act("one"))
        assert ask(store).facets == []
