"""The question blast-radius: what was reached from a credential, an agent, a principal or another start."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions import UnknownIdError
from whodid.store.questions.blast_radius import QUESTION, BlastRadius, BlastRadiusParameters

Put = Callable[..., None]
ALICE, BOB = "alice@acme.example", "bob@acme.example"


def ask(store: Store, kind: str = "credential", id_: str = "key-1", **parameters: Any) -> BlastRadius:
    parameters = {"kind": kind, "id": id_, **parameters}
    return QUESTION.ask(store.reader(), BlastRadiusParameters.model_validate(parameters))


def act(action: str, *, user: str = ALICE, chain: tuple[str, ...] = ("support",), **more: Any) -> Sent:
    said: dict[str, Any] = {
        "ATTRIBUTION_ACTION_ID": action,
        "GEN_AI_AGENT_NAME": chain[-1],
        "ATTRIBUTION_DELEGATION_CHAIN": [user, *chain],
        "GEN_AI_TOOL_NAME": "lookup",
        "ATTRIBUTION_RESOURCE_ID": "order/1",
        "ATTRIBUTION_ACTION_EFFECT": "read",
        "ATTRIBUTION_CREDENTIAL_ID": "key-1",
        "SESSION_ID": "session-1",
        **more,
    }
    return Sent(name="execute_tool", attributes=attribution("execute_tool", user=user, **said))


def nodes(answer: BlastRadius, kind: str) -> dict[str | None, int]:
    return {node.id: node.action_count for node in answer.nodes if node.kind == kind}


def edges(answer: BlastRadius) -> dict[tuple[str, str], int]:
    return {(edge.from_id, edge.to_id): edge.action_count for edge in answer.items}


class TestWhatWasReached:
    def test_by_a_credential(self, store: Store, put: Put) -> None:
        put(
            act("one"),
            act("two", ATTRIBUTION_RESOURCE_ID="order/2", ATTRIBUTION_ACTION_EFFECT="write"),
            act("three", user=BOB, chain=("support", "billing"), GEN_AI_TOOL_NAME="refund"),
            act("other", user="carol@acme.example", ATTRIBUTION_CREDENTIAL_ID="key-2"),
        )
        answer = ask(store)
        assert (answer.action_count, answer.changing_count, answer.denied_count) == (3, 1, 0)
        assert nodes(answer, "principal") == {ALICE: 2, BOB: 1}
        assert nodes(answer, "agent") == {"support": 3, "billing": 1}
        assert nodes(answer, "tool") == {"lookup": 2, "refund": 1}
        assert nodes(answer, "resource") == {"order/1": 2, "order/2": 1}
        assert nodes(answer, "session") == {"session-1": 3}
        assert nodes(answer, "service") == {"tests": 3}
        assert answer.reached["tool"] == 2
        assert edges(answer) == {
            (ALICE, "support"): 2,
            (BOB, "support"): 1,
            ("support", "billing"): 1,
            ("support", "lookup"): 2,
            ("billing", "refund"): 1,
            ("support", "key-1"): 2,
            ("billing", "key-1"): 1,
            ("lookup", "order/1"): 1,
            ("lookup", "order/2"): 1,
            ("refund", "order/1"): 1,
            (ALICE, "session-1"): 2,
            (BOB, "session-1"): 1,
        }
        assert answer.gaps == []
        assert {node.evidence for node in answer.nodes} == {EvidenceLevel.SELF_ASSERTED}

    @pytest.mark.parametrize(
        ("kind", "id_", "actions"),
        [
            ("agent", "billing", {"mine", "handed on"}),
            ("instance", "billing:1", {"mine"}),
            ("identity", "spiffe://acme.example/billing", {"mine"}),
            ("principal", BOB, {"handed on"}),
            ("session", "session-2", {"mine"}),
            ("task", "task-2", {"handed on"}),
            ("tool", "refund", {"mine"}),
        ],
    )
    def test_from_every_start(self, store: Store, put: Put, kind: str, id_: str, actions: set[str]) -> None:
        put(
            act(
                "mine",
                chain=("support", "billing"),
                ATTRIBUTION_RESOURCE_ID="mine",
                ATTRIBUTION_AGENT_INSTANCE_ID="billing:1",
                ATTRIBUTION_AGENT_IDENTITY_ID="spiffe://acme.example/billing",
                SESSION_ID="session-2",
                GEN_AI_TOOL_NAME="refund",
            ),
            act(
                "handed on",
                user=BOB,
                chain=("billing", "bank"),
                ATTRIBUTION_RESOURCE_ID="handed on",
                ATTRIBUTION_TASK_ID="task-2",
            ),
            act("nothing", ATTRIBUTION_RESOURCE_ID="nothing"),
        )
        assert set(nodes(ask(store, kind, id_), "resource")) == actions

    def test_a_chain_of_ten(self, store: Store, put: Put) -> None:
        names = tuple(f"agent-{number}" for number in range(10))
        put(act("one", chain=names))
        found = edges(ask(store))
        assert all((above, below) in found for above, below in itertools.pairwise(names))
        assert (ALICE, "agent-0") in found
        assert ("agent-9", "lookup") in found

    def test_a_model_is_reached_too(self, store: Store, put: Put) -> None:
        said: dict[str, Any] = {"ATTRIBUTION_CREDENTIAL_ID": "key-1", "GEN_AI_REQUEST_MODEL": "gpt-5"}
        put(Sent(attributes=attribution("chat", **said)))
        answer = ask(store)
        assert nodes(answer, "model") == {"gpt-5": 1}
        assert edges(answer)["support-agent", "gpt-5"] == 1

    def test_an_action_of_several_spans_is_counted_once(self, store: Store, put: Put) -> None:
        execution = act("one")
        decision = Sent(
            attributes={**execution.attributes, attr.GEN_AI_OPERATION_NAME: "evaluate_policy"},
            trace_id=execution.trace_id,
        )
        server = Sent(
            attributes={
                attr.MCP_METHOD_NAME: "tools/call",
                attr.ATTRIBUTION_ACTION_ID: "one",
                attr.ATTRIBUTION_CREDENTIAL_ID: "key-1",
                attr.GEN_AI_TOOL_NAME: "lookup",
            },
            trace_id=execution.trace_id,
            parent_id=execution.span_id,
        )
        put(decision, execution)
        put(server, service="orders")
        put(execution)  # the same again
        answer = ask(store)
        assert answer.action_count == 1
        assert nodes(answer, "agent") == {"support": 1}
        assert nodes(answer, "service") == {"tests": 1, "orders": 1}
        assert answer.gaps == []

    def test_what_was_held_back_was_not_reached(self, store: Store, put: Put) -> None:
        denied = act("denied", GEN_AI_TOOL_NAME="wipe", ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked")
        denied.attributes[attr.GEN_AI_OPERATION_NAME] = "evaluate_policy"
        put(act("one"), denied)
        answer = ask(store)
        assert (answer.action_count, answer.denied_count) == (1, 1)
        assert nodes(answer, "tool") == {"lookup": 1, "wipe": 0}
        assert answer.reached["tool"] == 1

    def test_what_nobody_is_named_for(self, store: Store, put: Put) -> None:
        thief = Sent(name="POST /", attributes={attr.ATTRIBUTION_CREDENTIAL_ID: "key-1"})
        put(act("one"), thief, service="proxy")
        answer = ask(store)
        assert nodes(answer, "agent") == {"support": 1, None: 1}
        (nobody,) = [node for node in answer.nodes if node.kind == "agent" and node.id is None]
        assert nobody.evidence is EvidenceLevel.MISSING
        assert nobody.span_ids == [thief.span_id.hex()]
        assert set(answer.gaps) == {"1 actions name no agent", "1 actions name no principal"}

    def test_spans_of_one_action_that_contradict_each_other(self, store: Store, put: Put) -> None:
        one = act("one")
        other = act("one", user=BOB)
        other.trace_id = one.trace_id
        put(one, other)
        assert any("of 1 actions name several agents or principals" in gap for gap in ask(store).gaps)

    def test_who_was_served_its_results_from_a_cache(self, store: Store, put: Put) -> None:
        made = act("one")
        served = act(
            "two",
            user=BOB,
            ATTRIBUTION_CREDENTIAL_ID="key-2",
            ATTRIBUTION_RESULT_SOURCE="cache",
            ATTRIBUTION_RESULT_ORIGIN_TRACE_ID=made.trace_id.hex(),
            ATTRIBUTION_RESULT_ORIGIN_SPAN_ID=made.span_id.hex(),
        )
        unrelated = act("three", ATTRIBUTION_RESULT_SOURCE="cache", ATTRIBUTION_CREDENTIAL_ID="key-2")
        put(made, served, unrelated)
        (reader,) = ask(store).cached_readers
        assert (reader.principal, reader.tool, reader.action_count) == (BOB, "lookup", 1)
        assert reader.span_ids == [served.span_id.hex()]
        assert nodes(ask(store), "principal") == {ALICE: 1}

    def test_nobody_is_looked_for_whom_no_cache_served(self, store: Store, put: Put) -> None:
        """Who was served may be anywhere after the actions: without an index all of it would be read."""
        put(act("one"), act("two", ATTRIBUTION_RESULT_SOURCE="cache", ATTRIBUTION_CREDENTIAL_ID="key-2"))
        reader = store.reader()
        answer = QUESTION.ask(
            reader, BlastRadiusParameters.model_validate({"kind": "credential", "id": "key-1"})
        )
        assert answer.cached_readers == []
        assert "blast_radius_cached" not in [statement.query for statement in reader.statements]


class TestAsking:
    def test_a_period(self, store: Store, put: Put) -> None:
        now = datetime.datetime.now(datetime.UTC)
        early, late = act("early", GEN_AI_TOOL_NAME="early"), act("late", GEN_AI_TOOL_NAME="late")
        early.start_ns -= 7_200_000_000_000
        put(early, late)
        hour = now - datetime.timedelta(hours=1)
        assert nodes(ask(store, since=hour), "tool") == {"late": 1}
        assert nodes(ask(store, until=hour), "tool") == {"early": 1}

    def test_more_than_is_told(self, store: Store, put: Put) -> None:
        put(*(act(f"{number}", ATTRIBUTION_RESOURCE_ID=f"order/{number}") for number in range(20)))
        answer = ask(store, limit=5)
        assert (len(answer.nodes), len(answer.items)) == (5, 5)
        assert answer.reached["resource"] == 20
        assert "24 edges were reached, of which 5 are told" in answer.gaps
        assert answer.action_count == 20

    @pytest.mark.parametrize("id_", ["nothing", "' OR 1=1 --", "{tenant:String}", "ä" * 900])
    def test_what_nobody_has(self, store: Store, put: Put, id_: str) -> None:
        put(act("one"))
        for kind in ("credential", "agent", "principal", "session"):
            with pytest.raises(UnknownIdError):
                ask(store, kind, id_)

    def test_another_tenant_sees_nothing(self, store: Store, put: Put) -> None:
        put(act("one"))
        parameters = BlastRadiusParameters.model_validate({"kind": "credential", "id": "key-1"})
        with pytest.raises(UnknownIdError):
            QUESTION.ask(store.reader("another"), parameters)
