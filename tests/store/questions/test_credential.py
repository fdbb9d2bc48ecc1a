"""The question credential: every use of one, and which of them were not right."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, Value, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions import UnknownIdError
from whodid.store.questions.credential import (
    MAX_PARENTS,
    QUESTION,
    CredentialParameters,
    CredentialUses,
    Wrong,
)
from whodid.store.questions.cursor import CursorError

Put = Callable[..., None]
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def ask(store: Store, **parameters: Any) -> CredentialUses:
    return QUESTION.ask(store.reader(), CredentialParameters.model_validate({"id": "key-1", **parameters}))


def at(minutes: float) -> int:
    return int((NOW + datetime.timedelta(minutes=minutes)).timestamp() * 1_000_000_000)


def rfc3339(minutes: float) -> str:
    return (NOW + datetime.timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def use(minute: float, action: str, *, agent: Sent | None = None, **more: Any) -> Sent:
    said: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_ID": "key-1", "ATTRIBUTION_ACTION_ID": action, **more}
    span = Sent(name="execute_tool", attributes=attribution("execute_tool", **said), start_ns=at(minute))
    if agent:
        span.trace_id, span.parent_id = agent.trace_id, agent.span_id
    return span


def stranger(minute: float, **attributes: Value) -> Sent:
    """Somebody who has the key, and none of our instrumentation."""
    return Sent(
        name="POST /v1/messages",
        attributes={attr.ATTRIBUTION_CREDENTIAL_ID: "key-1", **attributes},
        start_ns=at(minute),
    )


class TestUses:
    def test_every_use_oldest_first(self, store: Store, put: Put) -> None:
        agent = Sent(attributes=attribution("invoke_agent"), start_ns=at(-9))
        put(agent, use(-2, "third", agent=agent), use(-8, "first", agent=agent), use(-5, "second"))
        put(use(-4, "another", ATTRIBUTION_CREDENTIAL_ID="key-2"))
        answer = ask(store)
        assert [item.action_id for item in answer.items] == ["first", "second", "third"]
        assert (answer.use_count, answer.unenrolled_count, answer.first_unenrolled_use) == (3, 0, None)
        assert answer.first_use_at == answer.items[0].at
        assert answer.agents == ["support-agent"]
        assert answer.principals == ["alice@acme.example"]

    def test_evidence_is_propagated_only_from_a_parent_that_says_the_same(
        self, store: Store, put: Put
    ) -> None:
        agent = Sent(attributes=attribution("invoke_agent"), start_ns=at(-9))
        put(agent, use(-8, "first", agent=agent), use(-7, "second"))
        with_parent, alone = ask(store).items
        assert with_parent.principal.evidence is EvidenceLevel.PROPAGATED
        assert agent.span_id.hex() in with_parent.principal.spans
        assert alone.principal.evidence is EvidenceLevel.SELF_ASSERTED
        assert alone.identity.evidence is EvidenceLevel.MISSING

    def test_parents_beyond_those_that_are_looked_up_at_once(self, store: Store, put: Put) -> None:
        agents = [
            Sent(attributes=attribution("invoke_agent"), start_ns=at(-9)) for _ in range(MAX_PARENTS + 1)
        ]
        put(*agents, *(use(-8, f"use-{number}", agent=agent) for number, agent in enumerate(agents)))
        answer = ask(store, limit=20)
        assert answer.use_count == MAX_PARENTS + 1
        assert {item.principal.evidence for item in answer.items} == {EvidenceLevel.PROPAGATED}
        assert "is not in the store" not in str([item.gaps for item in answer.items])

    def test_an_action_of_several_spans_in_two_services_is_one_use(self, store: Store, put: Put) -> None:
        decision = use(-5.1, "one", GEN_AI_OPERATION_NAME="evaluate_policy")
        execution = use(-5, "one", agent=decision)
        client = use(-4.9, "one", agent=execution, GEN_AI_OPERATION_NAME="", MCP_METHOD_NAME="tools/call")
        server = Sent(
            attributes={
                attr.ATTRIBUTION_CREDENTIAL_ID: "key-1",
                attr.ATTRIBUTION_ACTION_ID: "one",
                attr.MCP_METHOD_NAME: "tools/call",
            },
            trace_id=client.trace_id,
            parent_id=client.span_id,
            start_ns=at(-4.8),
        )
        put(decision, execution, client)
        put(server, service="orders")
        (item,) = ask(store).items
        assert item.enrolled
        assert item.services == ["orders", "tests"]
        assert item.operation == "execute_tool"
        assert len(item.span_ids) == 4
        assert item.at == f"{NOW - datetime.timedelta(minutes=5):%Y-%m-%dT%H:%M:%S.%f}Z"

    def test_a_denied_action_and_an_agent_that_merely_has_it_use_nothing(
        self, store: Store, put: Put
    ) -> None:
        put(
            use(-5, "denied", GEN_AI_OPERATION_NAME="evaluate_policy"),
            Sent(attributes=attribution("invoke_agent", ATTRIBUTION_CREDENTIAL_ID="key-1")),
        )
        answer = ask(store)
        assert (answer.items, answer.use_count, answer.first_use_at) == ([], 0, None)
        assert "spans carry it, and none shows that it was used" in answer.gaps

    def test_a_span_sent_twice_with_other_content_is_one_use_and_a_gap(self, store: Store, put: Put) -> None:
        first = use(-5, "one")
        again = Sent(**vars(first))
        again.attributes = {**first.attributes, attr.ATTRIBUTION_PRINCIPAL_ID: "mallory@acme.example"}
        put(first)
        put(first)
        (item,) = ask(store).items
        assert item.gaps == []
        put(again)
        (item,) = ask(store).items
        assert any("sent twice with different content" in gap for gap in item.gaps)
        assert ask(store).use_count == 1

    def test_a_parent_that_is_not_there_is_a_gap(self, store: Store, put: Put) -> None:
        span = use(-5, "one")
        span.parent_id = b"\x01" * 8
        put(span)
        assert any("that is not in the store" in gap for gap in ask(store).items[0].gaps)

    def test_a_parent_whose_clock_is_behind_is_still_found(self, store: Store, put: Put) -> None:
        agent = Sent(attributes=attribution("invoke_agent"), start_ns=at(-5) + 900_000_000)
        put(use(-5, "one", agent=agent))
        put(agent)
        assert ask(store).items[0].principal.evidence is EvidenceLevel.PROPAGATED


class TestUnenrolled:
    def test_the_first_use_by_no_agent_of_ours(self, store: Store, put: Put) -> None:
        put(use(-9, "one"), use(-3, "two"))
        thief = stranger(-7)
        put(stranger(-6), thief, service="proxy")
        answer = ask(store)
        assert (answer.use_count, answer.unenrolled_count) == (4, 2)
        assert answer.first_unenrolled_use is not None
        assert answer.first_unenrolled_use.trace_id == thief.trace_id.hex()
        assert answer.first_unenrolled_use.service == "proxy"
        assert answer.first_unenrolled_use.at == ask(store, only=Wrong.UNENROLLED).items[0].at
        assert [item.enrolled for item in answer.items] == [True, False, False, True]

    def test_a_name_alone_enrols_nobody(self, store: Store, put: Put) -> None:
        put(stranger(-5, **{attr.GEN_AI_AGENT_NAME: "support-agent"}))
        (item,) = ask(store).items
        assert not item.enrolled
        assert item.gaps == ["an agent is named, and not which running copy or identity of it"]

    def test_a_thief_who_copies_the_id_of_an_action_does_not_hide_behind_it(
        self, store: Store, put: Put
    ) -> None:
        mine = use(-5, "one")
        elsewhere = stranger(-4, **{attr.ATTRIBUTION_ACTION_ID: "one"})
        put(mine, elsewhere)
        assert ask(store).unenrolled_count == 1
        in_the_trace = stranger(-4, **{attr.ATTRIBUTION_ACTION_ID: "one"})
        in_the_trace.trace_id = mine.trace_id
        put(in_the_trace)
        answer = ask(store)
        assert (answer.use_count, answer.unenrolled_count) == (2, 2)

    def test_only_the_agents_that_may(self, store: Store, put: Put) -> None:
        spiffe = "spiffe://acme.example/agent/billing"
        put(
            use(-9, "one"),
            use(-8, "two", GEN_AI_AGENT_NAME="other-agent"),
            use(-7, "three", GEN_AI_AGENT_NAME="billing", ATTRIBUTION_AGENT_IDENTITY_ID=spiffe),
        )
        answer = ask(store, agents=("support-agent", spiffe), only=Wrong.UNENROLLED)
        assert [item.action_id for item in answer.items] == ["two"]
        assert (answer.use_count, answer.unenrolled_count) == (3, 1)


class TestLifetimeAndTask:
    def test_outside_of_its_lifetime(self, store: Store, put: Put) -> None:
        life: dict[str, Any] = {
            "ATTRIBUTION_CREDENTIAL_NOT_BEFORE": rfc3339(-10),
            "ATTRIBUTION_CREDENTIAL_NOT_AFTER": rfc3339(-5),
        }
        put(
            use(-11, "early", **life),
            use(-7, "good", **life),
            use(-5 + 0.9 / 60, "skewed", **life),
            use(-5 + 1.1 / 60, "late", **life),
        )
        answer = ask(store)
        wrong = {item.action_id: item.outside_lifetime for item in answer.items}
        assert wrong == {"early": True, "good": False, "skewed": False, "late": True}
        assert answer.outside_lifetime_count == 2
        assert [item.action_id for item in ask(store, only=Wrong.OUTSIDE_LIFETIME).items] == ["early", "late"]
        assert answer.not_after.value == rfc3339(-5)
        assert answer.not_after.evidence is EvidenceLevel.SELF_ASSERTED

    def test_a_use_that_says_nothing_is_judged_by_what_all_others_say(self, store: Store, put: Put) -> None:
        put(stranger(-1))
        assert ask(store).items[0].outside_lifetime is None
        assert "no span says how long the credential is good" in ask(store).gaps
        put(use(-7, "good", ATTRIBUTION_CREDENTIAL_NOT_AFTER=rfc3339(-5)))
        assert [item.outside_lifetime for item in ask(store).items] == [False, True]

    def test_where_the_others_disagree_nothing_is_guessed(self, store: Store, put: Put) -> None:
        put(
            use(-9, "one", ATTRIBUTION_CREDENTIAL_NOT_AFTER=rfc3339(-5)),
            use(-8, "two", ATTRIBUTION_CREDENTIAL_NOT_AFTER=rfc3339(5)),
            stranger(-1),
        )
        answer = ask(store)
        assert [item.outside_lifetime for item in answer.items] == [False, False, None]
        assert any("disagree about until when" in gap for gap in answer.gaps)
        assert answer.not_after.value == sorted((rfc3339(-5), rfc3339(5)))

    def test_for_another_task(self, store: Store, put: Put) -> None:
        issued: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_TASK_ID": "task-1"}
        split: dict[str, Any] = {"ATTRIBUTION_TASK_ID": "task-3", "ATTRIBUTION_TASK_PARENT_ID": "task-1"}
        put(
            use(-9, "own", **issued),
            use(-8, "other", ATTRIBUTION_TASK_ID="task-2", **issued),
            use(-7, "split off", **issued, **split),
            use(-6, "no task", ATTRIBUTION_TASK_ID="", **issued),
        )
        answer = ask(store)
        assert [item.other_task for item in answer.items] == [False, True, False, None]
        assert answer.other_task_count == 1
        assert [item.action_id for item in ask(store, only=Wrong.OTHER_TASK).items] == ["other"]

    def test_a_time_that_is_none_is_not_known(self, store: Store, put: Put) -> None:
        put(use(-9, "one", ATTRIBUTION_CREDENTIAL_NOT_AFTER="tomorrow"))
        assert ask(store).items[0].outside_lifetime is None


class TestAsking:
    def test_pages_hold_every_use_once_and_count_the_same(self, store: Store, put: Put) -> None:
        put(*(use(-9, f"action {number}") for number in range(7)))  # all at one time
        found: list[str | None] = []
        cursor = ""
        while True:
            page = ask(store, limit=3, cursor=cursor)
            assert page.use_count == 7
            found += [item.action_id for item in page.items]
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        assert sorted(found, key=str) == [f"action {number}" for number in range(7)]

    def test_counts_stand_where_a_filter_leaves_nothing(self, store: Store, put: Put) -> None:
        put(use(-9, "one"))
        answer = ask(store, only=Wrong.UNENROLLED)
        assert (answer.items, answer.use_count, answer.next_cursor) == ([], 1, None)

    def test_a_period(self, store: Store, put: Put) -> None:
        put(use(-9, "before"), use(-6, "within"), use(-3, "after"))
        period = {"since": NOW - datetime.timedelta(minutes=6), "until": NOW - datetime.timedelta(minutes=3)}
        assert [item.action_id for item in ask(store, **period).items] == ["within"]

    @pytest.mark.parametrize("id_", ["nothing", "' OR 1=1 --", "{tenant:String}", "\x00", "ä" * 900])
    def test_a_credential_that_nobody_has(self, store: Store, put: Put, id_: str) -> None:
        put(use(-9, "one"), Sent(attributes=attribution("execute_tool")))
        with pytest.raises(UnknownIdError):
            ask(store, id=id_)

    @pytest.mark.parametrize("cursor", ["x", "bnVsbA", "W10", "WzEsMiwzXQ", "é"])
    def test_a_cursor_that_is_none(self, store: Store, put: Put, cursor: str) -> None:
        put(use(-9, "one"))
        with pytest.raises(CursorError):
            ask(store, cursor=cursor)

    def test_another_tenant_sees_nothing(self, store: Store, put: Put) -> None:
        put(use(-9, "one"))
        with pytest.raises(UnknownIdError):
            QUESTION.ask(store.reader("another"), CredentialParameters.model_validate({"id": "key-1"}))
