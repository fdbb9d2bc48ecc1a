"""The question confused-deputy: what was done with another authority than the one that it comes from."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.confused_deputy import (
    QUESTION,
    ConfusedActions,
    ConfusedDeputyParameters,
    Confusion,
)
from whodid.store.questions.cursor import CursorError

Put = Callable[..., None]
ALICE, BOB = "alice@acme.example", "bob@acme.example"


def ask(store: Store, **parameters: Any) -> ConfusedActions:
    return QUESTION.ask(store.reader(), ConfusedDeputyParameters.model_validate(parameters))


def agent(user: str = ALICE, *, above: Sent | None = None, **more: Any) -> Sent:
    span = Sent(attributes=attribution("invoke_agent", user=user, **more))
    if above is not None:
        span.trace_id, span.parent_id = above.trace_id, above.span_id
    return span


def act(action: str, user: str = ALICE, *, above: Sent | None = None, **more: Any) -> Sent:
    span = Sent(attributes=attribution("execute_tool", user=user, ATTRIBUTION_ACTION_ID=action, **more))
    if above is not None:
        span.trace_id, span.parent_id = above.trace_id, above.span_id
    return span


def decided(action: Sent, **more: Any) -> Sent:
    """The decision about an action."""
    attributes = {**attribution("evaluate_policy"), **action.attributes}
    attributes |= {attr.GEN_AI_OPERATION_NAME: "evaluate_policy"}
    attributes |= {str(getattr(attr, name)): value for name, value in more.items()}
    return Sent(
        attributes=attributes,
        trace_id=action.trace_id,
        parent_id=action.parent_id,
        start_ns=action.start_ns - 1_000_000,
    )


class TestKinds:
    def test_one_authority_all_the_way(self, store: Store, put: Put) -> None:
        root = agent()
        action = act("one", above=root, ATTRIBUTION_CREDENTIAL_ID="key-1")
        put(root, decided(action), action)
        put(act("other", BOB, ATTRIBUTION_CREDENTIAL_ID="key-2", ATTRIBUTION_TASK_ID="task-2"))
        assert ask(store, kinds=tuple(Confusion)).items == []

    def test_started_by_one_human_with_another_s_authority(self, store: Store, put: Put) -> None:
        action = act("one", ATTRIBUTION_INITIATOR_ID=BOB)
        put(action, decided(action), act("two"))
        (item,) = ask(store).items
        assert (item.kind, item.action_id, item.outcome) == (Confusion.INITIATOR, "one", "ran")
        assert (item.principal.value, item.other.value) == (ALICE, BOB)
        assert item.span_ids[0] == action.span_id.hex()
        assert item.words == f"{BOB} started it, and the authority of {ALICE} is exercised"

    @pytest.mark.parametrize("type_", ["workflow", "schedule", "agent"])
    def test_what_is_no_human_has_no_authority_of_its_own(self, store: Store, put: Put, type_: str) -> None:
        put(act("one", ATTRIBUTION_INITIATOR_ID="cron", ATTRIBUTION_INITIATOR_TYPE=type_))
        assert ask(store).items == []

    def test_a_principal_that_changes_below_however_deep(self, store: Store, put: Put) -> None:
        root = agent(ALICE)
        between = [agent(ALICE, above=root)]
        for _ in range(8):
            between.append(agent(BOB, above=between[-1]))
        action = act("one", BOB, above=between[-1])
        put(action, decided(action))
        put(*reversed(between), act("mine", above=root))
        put(root)
        (item,) = ask(store).items
        assert (item.kind, item.action_id) == (Confusion.PRINCIPAL_CHANGED, "one")
        assert (item.principal.value, item.principal.evidence) == (BOB, EvidenceLevel.PROPAGATED)
        assert (item.other.value, item.other.spans) == (ALICE, [root.span_id.hex()])

    def test_a_root_whose_clock_is_ahead_is_still_where_it_began(self, store: Store, put: Put) -> None:
        root = agent(ALICE)
        action = act("one", BOB, above=root)
        root.start_ns = action.start_ns + 5_000_000_000
        put(root, action)
        (item,) = ask(store).items
        assert (item.principal.value, item.other.value) == (BOB, ALICE)

    def test_a_task_that_goes_on_in_another_trace_for_another(self, store: Store, put: Put) -> None:
        put(agent(ALICE), act("one", BOB))
        (item,) = ask(store).items
        assert (item.kind, item.action_id, item.other.value) == (Confusion.PRINCIPAL_CHANGED, "one", ALICE)

    def test_the_policies_were_asked_about_another(self, store: Store, put: Put) -> None:
        action = act("one", BOB)
        about = f'{{"principal":{{"id":"{ALICE}","type":"human"}}}}'
        put(action, decided(action, ATTRIBUTION_POLICY_CONTEXT_VALUE=about))
        (item,) = ask(store).items
        assert (item.kind, item.other.value, item.principal.value) == (Confusion.DECISION, ALICE, BOB)
        assert item.words == f"the policies were asked about {ALICE}, and this is done for {BOB}"

    def test_the_decision_s_span_names_another(self, store: Store, put: Put) -> None:
        root = agent(BOB)
        action = act("one", BOB, above=root)
        put(root, action, decided(action, ATTRIBUTION_PRINCIPAL_ID=ALICE))
        kinds = {item.kind: item for item in ask(store).items}
        assert kinds[Confusion.DECISION].other.value == ALICE
        assert kinds[Confusion.DECISION].span_ids == [action.span_id.hex()]

    def test_a_context_that_is_no_json_says_nothing(self, store: Store, put: Put) -> None:
        action = act("one")
        put(action, decided(action, ATTRIBUTION_POLICY_CONTEXT_VALUE='{"principal":'))
        assert ask(store).items == []

    def test_a_credential_that_was_issued_for_a_task_of_another(self, store: Store, put: Put) -> None:
        owner = agent(ALICE, ATTRIBUTION_TASK_ID="task-1")
        key: dict[str, Any] = {
            "ATTRIBUTION_CREDENTIAL_ID": "key-1",
            "ATTRIBUTION_CREDENTIAL_TASK_ID": "task-1",
        }
        put(
            owner,
            act("mine", **key),
            act("of my other task", ATTRIBUTION_TASK_ID="task-3", **key),
            act("theirs", BOB, ATTRIBUTION_TASK_ID="task-2", **key),
        )
        (item,) = ask(store).items
        assert (item.kind, item.action_id) == (Confusion.CREDENTIAL, "theirs")
        assert (item.other.value, item.credential_id) == (ALICE, "key-1")

    def test_whose_task_it_is_nobody_knows(self, store: Store, put: Put) -> None:
        key: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_TASK_ID": "task-9"}
        put(act("one", BOB, **key))
        assert ask(store).items == []

    def test_a_shared_credential_only_if_asked_for(self, store: Store, put: Put) -> None:
        key: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_ID": "key-1"}
        put(act("one", **key), act("two", BOB, ATTRIBUTION_TASK_ID="task-2", **key))
        assert ask(store).items == []
        items = ask(store, kinds=("shared_credential",)).items
        assert [(item.action_id, item.other.value) for item in items] == [("one", BOB), ("two", ALICE)]


class TestActions:
    def test_a_denied_action(self, store: Store, put: Put) -> None:
        action = act("one", ATTRIBUTION_INITIATOR_ID=BOB)
        put(decided(action, ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked"))
        assert [item.outcome for item in ask(store).items] == ["denied"]

    def test_an_action_of_several_spans_that_came_twice_is_one(self, store: Store, put: Put) -> None:
        action = act("one", ATTRIBUTION_INITIATOR_ID=BOB)
        put(action, decided(action))
        put(action)
        (item,) = ask(store).items
        assert len(item.span_ids) == 2

    def test_a_parent_that_is_not_there_is_a_gap(self, store: Store, put: Put) -> None:
        put(act("one", above=agent(), ATTRIBUTION_INITIATOR_ID=BOB))
        (item,) = ask(store).items
        assert any("that is not in the store" in gap for gap in item.gaps)


class TestAsking:
    def test_filters(self, store: Store, put: Put) -> None:
        put(
            act("one", ATTRIBUTION_INITIATOR_ID=BOB),
            act("two", ATTRIBUTION_INITIATOR_ID="carol@acme.example", GEN_AI_AGENT_NAME="helper"),
        )
        assert [item.action_id for item in ask(store).items] == ["one", "two"]
        assert [item.action_id for item in ask(store, agent="helper").items] == ["two"]
        assert [item.action_id for item in ask(store, principal=BOB).items] == ["one"]
        assert ask(store, kinds=("decision",)).items == []
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        assert ask(store, since=later).items == []

    @pytest.mark.parametrize("who", [ALICE, BOB, "carol@acme.example", "nobody@acme.example"])
    def test_whoever_is_asked_about_finds_what_all_hold_of_them(
        self, store: Store, put: Put, who: str
    ) -> None:
        root = agent(ALICE)
        below = act("below", BOB, above=root, ATTRIBUTION_TASK_ID="task-2")
        about_carol = '{"principal":{"id":"carol@acme.example"}}'
        asked = act("asked", BOB, ATTRIBUTION_TASK_ID="task-3", GEN_AI_AGENT_NAME="helper")
        put(root, below, asked, act("started", ATTRIBUTION_INITIATOR_ID=BOB))
        put(decided(asked, ATTRIBUTION_POLICY_CONTEXT_VALUE=about_carol, GEN_AI_AGENT_NAME="gateway"))
        every = ask(store).items
        assert {item.action_id for item in every} == {"below", "asked", "started"}
        of_them = [item.action_id for item in every if who in (item.principal.value, item.other.value)]
        assert [item.action_id for item in ask(store, principal=who).items] == of_them
        assert {item.action_id for item in ask(store, agent="helper").items} == {"asked"}

    def test_pages_hold_every_action_once(self, store: Store, put: Put) -> None:
        spans = [act(f"{number}", ATTRIBUTION_INITIATOR_ID=BOB) for number in range(7)]
        for span in spans:
            span.start_ns = spans[0].start_ns
        put(*spans)
        found: list[str | None] = []
        cursor = ""
        while True:
            page = ask(store, limit=3, cursor=cursor)
            found += [item.action_id for item in page.items]
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        assert sorted(found, key=str) == [f"{number}" for number in range(7)]

    def test_a_cursor_that_is_none(self, store: Store) -> None:
        with pytest.raises(CursorError):
            ask(store, cursor="nonsense")

    def test_another_tenant_sees_nothing(self, store: Store, put: Put) -> None:
        put(act("one", ATTRIBUTION_INITIATOR_ID=BOB))
        parameters = ConfusedDeputyParameters.model_validate({"kinds": tuple(Confusion)})
        assert QUESTION.ask(store.reader("another"), parameters).items == []
