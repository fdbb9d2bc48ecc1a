"""The question new-credential-on-retry: what failed with one credential and was tried again with another."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.new_credential_on_retry import (
    QUESTION,
    NewCredentialOnRetryParameters,
    Retries,
    Same,
)

Put = Callable[..., None]
NOW_NS = time.time_ns()


def ask(store: Store, **parameters: Any) -> Retries:
    return QUESTION.ask(store.reader(), NewCredentialOnRetryParameters.model_validate(parameters))


def attempt(action: str, second: float, credential: str, *, error: bool = False, **more: Any) -> Sent:
    said: dict[str, Any] = {
        "ATTRIBUTION_ACTION_ID": action,
        "ATTRIBUTION_CREDENTIAL_ID": credential,
        "ATTRIBUTION_ACTION_ARGUMENTS_HASH": f"sha256:{'1' * 64}",
        **more,
    }
    if error:
        said.setdefault("ERROR_TYPE", "403")
    span = Sent(attributes=attribution("execute_tool", **said), error=error)
    span.start_ns = NOW_NS - 3_600_000_000_000 + int(second * 1e9)
    return span


def denied(action: str, second: float, credential: str, **more: Any) -> Sent:
    span = attempt(action, second, credential, **more)
    span.attributes |= {
        attr.GEN_AI_OPERATION_NAME: "evaluate_policy",
        attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION: "blocked",
    }
    return span


def pairs(answer: Retries) -> list[tuple[str, str]]:
    return [(item.failed.action_id, item.retried.action_id) for item in answer.items]


class TestRetries:
    def test_failed_with_one_and_done_with_another(self, store: Store, put: Put) -> None:
        narrow: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_SCOPES": ["orders:read"]}
        broad: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_SCOPES": ["orders:read", "orders:delete"]}
        one, two = attempt("one", 0, "key-1", error=True, **narrow), attempt("two", 5, "key-2", **broad)
        put(one, two)
        (item,) = ask(store).items
        assert (item.failed.credential_id, item.retried.credential_id) == ("key-1", "key-2")
        assert (item.failed.outcome, item.failed.error_type) == ("failed", "403")
        assert (item.retried.outcome, item.retried.error_type) == ("succeeded", None)
        assert item.failed.span_ids == [one.span_id.hex()]
        assert item.retried.span_ids == [two.span_id.hex()]
        assert item.gained_scopes == ["orders:delete"]
        assert (item.same, item.new_to_task, item.declared, item.gaps) == (Same.ARGUMENTS, True, False, [])
        assert item.principal.value == "alice@acme.example"

    def test_what_is_none(self, store: Store, put: Put) -> None:
        put(attempt("a1", 0, "key-1", error=True), attempt("a2", 1, "key-1"))  # the same credential
        put(
            attempt("b1", 0, "key-1", ATTRIBUTION_TASK_ID="b"),  # it did not fail
            attempt("b2", 1, "key-2", ATTRIBUTION_TASK_ID="b"),
        )
        put(
            attempt("c1", 0, "key-1", error=True, ATTRIBUTION_TASK_ID="c"),  # another tool
            attempt("c2", 1, "key-2", ATTRIBUTION_TASK_ID="c", GEN_AI_TOOL_NAME="other"),
        )
        put(
            attempt("d1", 0, "key-1", error=True, ATTRIBUTION_TASK_ID="d"),  # other arguments
            attempt("d2", 1, "key-2", ATTRIBUTION_TASK_ID="d", ATTRIBUTION_ACTION_ARGUMENTS_HASH="sha256:2"),
        )
        put(
            attempt("e1", 0, "key-1", error=True, ATTRIBUTION_TASK_ID="e"),  # another task
            attempt("e2", 1, "key-2", ATTRIBUTION_TASK_ID="f"),
        )
        put(
            attempt("g1", 1, "key-1", error=True, ATTRIBUTION_TASK_ID="g"),  # it came before
            attempt("g2", 0, "key-2", ATTRIBUTION_TASK_ID="g"),
        )
        put(
            attempt("h1", 0, "key-1", error=True, ATTRIBUTION_TASK_ID="h"),  # no credential is known
            attempt("h2", 1, "", ATTRIBUTION_TASK_ID="h"),
        )
        assert pairs(ask(store)) == []

    def test_held_back_and_tried_with_another_in_another_trace_by_another_agent(
        self, store: Store, put: Put
    ) -> None:
        put(denied("one", 0, "key-1"), service="desk")
        put(attempt("two", 5, "key-2", GEN_AI_AGENT_NAME="helper"), service="bank")
        (item,) = ask(store).items
        assert item.failed.outcome == "denied"
        assert (item.failed.agent, item.retried.agent) == ("support-agent", "helper")
        assert (item.failed.service, item.retried.service) == ("desk", "bank")

    def test_each_change_is_one(self, store: Store, put: Put) -> None:
        put(
            attempt("one", 0, "key-1", error=True),
            attempt("two", 1, "key-1", error=True),
            attempt("three", 2, "key-2", error=True),
            attempt("four", 3, "key-3"),
            attempt("five", 4, "key-1"),
        )
        assert pairs(ask(store)) == [("two", "three"), ("three", "four")]

    def test_one_that_the_task_had_used_before_is_not_new(self, store: Store, put: Put) -> None:
        put(
            attempt("zero", -5, "key-2", GEN_AI_TOOL_NAME="other"),
            attempt("one", 0, "key-1", error=True),
            attempt("two", 5, "key-2"),
        )
        assert [item.new_to_task for item in ask(store).items] == [False]

    def test_a_rotation_that_is_declared(self, store: Store, put: Put) -> None:
        put(
            attempt("one", 0, "key-1", error=True),
            attempt("two", 5, "key-2", ATTRIBUTION_CREDENTIAL_REPLACES_ID="key-1"),
        )
        assert [item.declared for item in ask(store).items] == [True]

    @pytest.mark.parametrize(
        ("first", "second", "same"),
        [
            (("sha256:1", "order/1"), ("sha256:2", "order/1"), Same.RESOURCE),
            (("sha256:1", "order/1"), ("sha256:1", "order/2"), Same.ARGUMENTS),
            (("", "order/1"), ("", "order/1"), Same.RESOURCE),
            (("", "order/1"), ("", "order/2"), None),
            (("", ""), ("", ""), Same.TOOL),
        ],
    )
    def test_what_makes_it_the_same_thing(
        self, store: Store, put: Put, first: tuple[str, str], second: tuple[str, str], same: Same | None
    ) -> None:
        names = ("ATTRIBUTION_ACTION_ARGUMENTS_HASH", "ATTRIBUTION_RESOURCE_ID")
        put(
            attempt("one", 0, "key-1", error=True, **dict(zip(names, first, strict=True))),
            attempt("two", 5, "key-2", **dict(zip(names, second, strict=True))),
        )
        assert [item.same for item in ask(store).items] == ([same] if same else [])

    def test_no_task_is_named(self, store: Store, put: Put) -> None:
        one = attempt("one", 0, "key-1", error=True, ATTRIBUTION_TASK_ID="")
        two = attempt("two", 5, "key-2", ATTRIBUTION_TASK_ID="")
        put(one, two)
        assert pairs(ask(store)) == []
        two.trace_id, two.span_id = one.trace_id, b"\x07" * 8
        put(two)
        (item,) = ask(store).items
        assert item.task.evidence is EvidenceLevel.MISSING
        assert "no task is named; the attempts are of one trace" in item.gaps

    def test_an_attempt_of_several_spans_that_came_twice_and_late(self, store: Store, put: Put) -> None:
        one, two = attempt("one", 0, "key-1", error=True), attempt("two", 5, "key-2")
        decision = Sent(
            attributes={**two.attributes, attr.GEN_AI_OPERATION_NAME: "evaluate_policy"},
            trace_id=two.trace_id,
            start_ns=two.start_ns - 1_000_000,
        )
        put(two)
        put(decision, two)
        put(one)
        (item,) = ask(store).items
        assert item.retried.span_ids == sorted((two.span_id.hex(), decision.span_id.hex()))
        assert item.gaps == ["what the credentials are good for is not said of both"]
        again = Sent(**vars(two))
        again.error = True
        put(again)
        (item,) = ask(store).items
        assert any("sent twice with different content" in gap for gap in item.gaps)

    def test_another_credential_within_one_action(self, store: Store, put: Put) -> None:
        first, second = attempt("one", 0, "key-1", error=True), attempt("one", 5, "key-2")
        second.trace_id = first.trace_id
        put(first, second)
        (item,) = ask(store).items
        assert (item.failed.credential_id, item.retried.credential_id) == ("key-1", "key-2")

    def test_only_the_tools_server_says_that_it_failed(self, store: Store, put: Put) -> None:
        first = attempt("one", 0, "key-1")
        server = attempt("one", 1, "", error=True, GEN_AI_OPERATION_NAME="", MCP_METHOD_NAME="tools/call")
        server.trace_id, server.parent_id = first.trace_id, first.span_id
        put(first, attempt("two", 5, "key-2"))
        assert pairs(ask(store)) == []
        put(server, service="orders")
        assert pairs(ask(store)) == [("one", "two")]

    def test_evidence_comes_from_the_parent(self, store: Store, put: Put) -> None:
        agent = Sent(attributes=attribution("invoke_agent"), start_ns=NOW_NS - 3_700_000_000_000)
        two = attempt("two", 5, "key-2")
        two.trace_id, two.parent_id = agent.trace_id, agent.span_id
        put(attempt("one", 0, "key-1", error=True), two, agent)
        assert ask(store).items[0].principal.evidence is EvidenceLevel.PROPAGATED


class TestAsking:
    def test_filters(self, store: Store, put: Put) -> None:
        put(attempt("one", 0, "key-1", error=True), attempt("two", 100, "key-2", GEN_AI_AGENT_NAME="helper"))
        assert pairs(ask(store, within_s=99)) == []
        assert len(pairs(ask(store, within_s=100))) == 1
        assert len(pairs(ask(store, agent="helper"))) == 1
        assert len(pairs(ask(store, agent="support-agent"))) == 1
        assert pairs(ask(store, agent="another")) == []
        assert pairs(ask(store, since=datetime.datetime.now(datetime.UTC))) == []

    def test_pages_hold_every_retry_once(self, store: Store, put: Put) -> None:
        for number in range(7):
            task: dict[str, Any] = {"ATTRIBUTION_TASK_ID": f"task-{number}"}
            put(
                attempt(f"a{number}", 0, "key-1", error=True, **task),
                attempt(f"b{number}", 1, "key-2", **task),
            )
        found: list[tuple[str, str]] = []
        cursor = ""
        while True:
            page = ask(store, limit=3, cursor=cursor)
            found += pairs(page)
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        assert sorted(found) == [(f"a{number}", f"b{number}") for number in range(7)]

    def test_a_cursor_that_is_none(self, store: Store) -> None:
        with pytest.raises(CursorError):
            ask(store, cursor="nonsense")

    def test_another_tenant_sees_nothing(self, store: Store, put: Put) -> None:
        put(attempt("one", 0, "key-1", error=True), attempt("two", 5, "key-2"))
        parameters = NewCredentialOnRetryParameters.model_validate({})
        assert QUESTION.ask(store.reader("another"), parameters).items == []
