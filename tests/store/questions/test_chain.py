"""The question chain: through whose hands the authority for an action went, across traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions import AmbiguousIdError, UnknownIdError
from whodid.store.questions.ancestry import How
from whodid.store.questions.chain import QUESTION, ChainParameters, ChainRecord

Put = Callable[..., None]
ALICE = "alice@acme.example"


def ask(store: Store, id_: str = "action-1") -> ChainRecord:
    return QUESTION.ask(store.reader(), ChainParameters(id=id_))


def agent(*chain: str, above: Sent | None = None, **more: Any) -> Sent:
    """An agent at work, the last of the chain, below another span or in a trace of its own."""
    said: dict[str, Any] = {
        "GEN_AI_AGENT_NAME": chain[-1],
        "ATTRIBUTION_DELEGATION_CHAIN": list(chain),
        **more,
    }
    span = Sent(name=f"invoke_agent {chain[-1]}", attributes=attribution("invoke_agent", **said))
    if above is not None:
        span.trace_id, span.parent_id = above.trace_id, above.span_id
    return span


def act(above: Sent, **more: Any) -> Sent:
    """What the agent did."""
    said = {**above.attributes, **attribution("execute_tool")}
    for name in (attr.GEN_AI_AGENT_NAME, attr.ATTRIBUTION_DELEGATION_CHAIN, attr.ATTRIBUTION_TASK_ID):
        said[name] = above.attributes[name]
    said |= {str(getattr(attr, name)): value for name, value in more.items()}
    return Sent(name="execute_tool", attributes=said, trace_id=above.trace_id, parent_id=above.span_id)


def team(*names: str, apart: bool = False, **more: Any) -> list[Sent]:
    """Agents that each hand on to the next, in one trace or each in one of its own."""
    spans: list[Sent] = []
    for position in range(len(names)):
        above = spans[-1] if spans and not apart else None
        spans.append(agent(ALICE, *names[: position + 1], above=above, **more))
    return spans


def hows(record: ChainRecord) -> list[tuple[str, How]]:
    return [(link.name, link.how) for link in record.links]


class TestInOneTrace:
    def test_every_hand_from_the_principal_to_the_acting_agent(self, store: Store, put: Put) -> None:
        first, second = team("support", "research")
        second.attributes[attr.ATTRIBUTION_AGENT_INSTANCE_ID] = "research:7"
        put(first, second, act(second))
        record = ask(store)
        assert hows(record) == [(ALICE, How.PARENT), ("support", How.PARENT), ("research", How.PARENT)]
        assert {link.evidence for link in record.links} == {EvidenceLevel.PROPAGATED}
        assert record.links[1].spans == [first.span_id.hex()]
        assert record.links[2].instance == "research:7"
        assert record.chain.value == [ALICE, "support", "research"]
        assert (record.unnamed, record.onward, record.gaps) == ([], [], [])

    def test_for_nobody_that_is_named_it_begins_with_an_agent(self, store: Store, put: Put) -> None:
        nobody: dict[str, Any] = {"ATTRIBUTION_PRINCIPAL_ID": ""}
        first = agent("support", **nobody)
        second = agent("support", "research", above=first, **nobody)
        put(first, second, act(second, **nobody))
        record = ask(store)
        assert hows(record) == [("support", How.PARENT), ("research", How.PARENT)]
        assert record.links[0].service == "tests"
        assert record.unnamed == []
        assert record.gaps == [
            "the chain begins with support, and the action is on behalf of nobody that is named"
        ]

    def test_ten_agents(self, store: Store, put: Put) -> None:
        names = [f"agent-{number}" for number in range(10)]
        agents = team(*names)
        put(*reversed(agents), act(agents[-1]))  # out of order
        record = ask(store)
        assert [link.name for link in record.links] == [ALICE, *names]
        assert {link.how for link in record.links} == {How.PARENT}
        assert [link.spans for link in record.links[1:]] == [[span.span_id.hex()] for span in agents]
        assert record.gaps == []

    def test_one_agent_twice_in_a_chain(self, store: Store, put: Put) -> None:
        agents = team("support", "research", "support")
        put(*agents, act(agents[-1]))
        links = ask(store).links
        assert links[1].spans == [agents[0].span_id.hex()]
        assert links[3].spans == [agents[2].span_id.hex()]

    def test_a_missing_ancestor_is_a_gap_and_lowers_the_evidence(self, store: Store, put: Put) -> None:
        first, second = team("support", "research")
        put(second, act(second))
        before = ask(store)
        assert hows(before)[1] == ("support", How.SAID_ONLY)
        assert before.links[1].evidence is EvidenceLevel.SELF_ASSERTED
        assert before.gaps == [
            f"span {second.span_id.hex()} has a parent, {first.span_id.hex()}, that is not in the store"
        ]
        put(first)  # late
        after = ask(store)
        assert after.links[1].evidence is EvidenceLevel.PROPAGATED
        assert after.gaps == []

    def test_an_agent_that_the_chain_leaves_out(self, store: Store, put: Put) -> None:
        first = agent(ALICE, "support")
        between = agent(ALICE, "support", "approver", above=first)
        last = agent(ALICE, "support", "payments", above=between)
        put(first, between, last, act(last))
        record = ask(store)
        (passed,) = record.unnamed
        assert (passed.name, passed.spans) == ("approver", [between.span_id.hex()])
        assert any("does not go on from that of" in gap for gap in record.gaps)

    def test_a_forged_initiator_and_principal(self, store: Store, put: Put) -> None:
        first = agent(ALICE, "support")
        forged = agent(
            "ceo@acme.example",
            "support",
            above=first,
            ATTRIBUTION_PRINCIPAL_ID="ceo@acme.example",
            ATTRIBUTION_INITIATOR_ID="ceo@acme.example",
        )
        action = act(forged, ATTRIBUTION_PRINCIPAL_ID="ceo@acme.example")
        put(first, forged, action)
        record = ask(store)
        assert any(
            f"is on behalf of ceo@acme.example, and {first.span_id.hex()}" in gap for gap in record.gaps
        )
        assert any("was started by ceo@acme.example" in gap for gap in record.gaps)

    def test_a_chain_that_nobody_else_says(self, store: Store, put: Put) -> None:
        alone = act(agent(ALICE, "support"))
        alone.parent_id = b""
        put(alone)
        record = ask(store)
        assert hows(record) == [(ALICE, How.SAID_ONLY), ("support", How.ITSELF)]
        assert {link.evidence for link in record.links} == {EvidenceLevel.SELF_ASSERTED}

    def test_no_chain_at_all(self, store: Store, put: Put) -> None:
        first = agent(ALICE, "support")
        bare = Sent(attributes={"tool.name": "search"}, trace_id=first.trace_id, parent_id=first.span_id)
        put(first, bare)
        record = ask(store, bare.span_id.hex())
        assert record.links == []
        assert record.gaps == ["the action names no delegation chain"]
        assert [passed.name for passed in record.unnamed] == ["support"]

    def test_a_chain_of_other_people(self, store: Store, put: Put) -> None:
        wrong = act(agent(ALICE, "support"), ATTRIBUTION_DELEGATION_CHAIN=["bob@acme.example", "other"])
        put(wrong)
        gaps = ask(store).gaps
        assert f"the chain begins with bob@acme.example, and the action is on behalf of {ALICE}" in gaps
        assert "the chain ends with other, and support acted" in gaps

    def test_spans_that_are_each_other_s_parents(self, store: Store, put: Put) -> None:
        one, two = team("support", "research")
        one.parent_id = two.span_id
        put(one, two, act(two))
        record = ask(store)
        assert record.links[1].how is How.PARENT
        assert any("name each other as parents" in gap for gap in record.gaps)

    def test_clocks_that_disagree_change_nothing_but_are_told(self, store: Store, put: Put) -> None:
        first, second = team("support", "research")
        first.start_ns += 5_000_000_000
        put(first, second, act(second))
        record = ask(store)
        assert record.links[1].evidence is EvidenceLevel.PROPAGATED
        assert any("their clocks disagree" in gap for gap in record.gaps)

    def test_spans_of_the_action_that_disagree(self, store: Store, put: Put) -> None:
        (first,) = team("support")
        action = act(first)
        server = act(first, ATTRIBUTION_DELEGATION_CHAIN=[ALICE, "mallory"])
        put(first, action, server)
        assert any("disagree about the chain" in gap for gap in ask(store).gaps)

    def test_a_span_sent_twice_with_other_content(self, store: Store, put: Put) -> None:
        first, second = team("support", "research")
        put(first, second, act(second))
        again = Sent(**vars(second))
        again.attributes = {**second.attributes, attr.ATTRIBUTION_DELEGATION_CHAIN: [ALICE, "mallory"]}
        put(again)
        record = ask(store)
        assert any("was sent twice with different content" in gap for gap in record.gaps)


class TestAcrossTraces:
    def test_by_span_links(self, store: Store, put: Put) -> None:
        names = [f"agent-{number}" for number in range(10)]
        agents = team(*names, apart=True)
        for below, above in zip(agents[1:], agents, strict=False):
            below.links = [(above.trace_id, above.span_id)]
        put(act(agents[-1]))
        for span in agents:
            put(span)
        record = ask(store)
        assert [link.how for link in record.links[1:]] == [*[How.SPAN_LINK] * 9, How.PARENT]
        assert {link.evidence for link in record.links} == {EvidenceLevel.PROPAGATED}
        assert record.trace_ids == [span.trace_id.hex() for span in reversed(agents)]
        assert record.gaps == []

    def test_a_link_from_the_action_itself(self, store: Store, put: Put) -> None:
        first, second = team("support", "research", apart=True)
        action = act(second)
        action.links = [(first.trace_id, first.span_id)]
        put(first, second, action)
        record = ask(store)
        assert record.links[1].how is How.SPAN_LINK

    @pytest.mark.parametrize(
        ("shared", "how"),
        [
            ({"ATTRIBUTION_TASK_ID": "task-77"}, How.SAME_TASK),
            ({"ATTRIBUTION_TASK_ID": "", "ATTRIBUTION_CORRELATION_ID": "req-7"}, How.SAME_CORRELATION),
        ],
    )
    def test_by_what_the_traces_share(self, store: Store, put: Put, shared: dict[str, str], how: How) -> None:
        first, second = team("support", "research", apart=True, **shared)
        put(first, second, act(second, **shared))
        record = ask(store)
        link = record.links[1]
        assert (link.how, link.evidence) == (how, EvidenceLevel.SELF_ASSERTED)
        assert link.trace_ids == [first.trace_id.hex()]

    def test_by_a_task_that_only_those_above_the_action_name(self, store: Store, put: Put) -> None:
        top = agent(ALICE, "top", ATTRIBUTION_TASK_ID="task-0")
        middle = agent(
            ALICE, "top", "middle", ATTRIBUTION_TASK_ID="task-1", ATTRIBUTION_TASK_PARENT_ID="task-0"
        )
        low = agent(
            *(ALICE, "top", "middle", "low"),
            above=middle,
            ATTRIBUTION_TASK_ID="task-2",
            ATTRIBUTION_TASK_PARENT_ID="task-1",
        )
        put(top, middle, low, act(low))
        reader = store.reader()
        record = QUESTION.ask(reader, ChainParameters(id="action-1"))
        assert hows(record)[1:] == [("top", How.SAME_TASK), ("middle", How.PARENT), ("low", How.PARENT)]
        # What the action itself says was looked for at once, and did not lead there.
        asked = [each for each in reader.statements if each.query == "chain_related"]
        assert [each.parameters["tasks"] for each in asked] == [
            ["task-1", "task-2"],
            ["task-0", "task-1", "task-2"],
        ]

    def test_a_task_that_was_split_off(self, store: Store, put: Put) -> None:
        (first,) = team("support")
        second = agent(
            ALICE, "support", "research", ATTRIBUTION_TASK_ID="task-2", ATTRIBUTION_TASK_PARENT_ID="task-1"
        )
        put(first, second, act(second))
        assert ask(store).links[1].how is How.SAME_TASK

    def test_the_same_task_of_another_principal_is_nobody_s_ancestor(self, store: Store, put: Put) -> None:
        second = agent(ALICE, "support", "research")
        put(agent("bob@acme.example", "support"), second, act(second))
        assert ask(store).links[1].how is How.SAID_ONLY

    def test_whom_the_acting_agent_handed_on_to(self, store: Store, put: Put) -> None:
        (first,) = team("support")
        action = act(first)
        later = agent(ALICE, "support", "research")
        later.start_ns = action.start_ns + 3_000_000_000
        put(first, action, later)
        (onward,) = ask(store).onward
        assert (onward.name, onward.how) == ("research", How.SAME_TASK)
        assert onward.spans == [later.span_id.hex()]

    def test_links_that_lead_round_or_nowhere(self, store: Store, put: Put) -> None:
        first, second = team("support", "research", apart=True)
        first.links = [(second.trace_id, second.span_id)]
        second.links = [(b"\x01" * 16, b"\x01" * 8), (first.trace_id, first.span_id)]
        put(first, second, act(second))
        assert ask(store).links[1].how is How.SPAN_LINK


class TestAsking:
    def test_every_id_of_the_action(self, store: Store, put: Put) -> None:
        (first,) = team("support")
        action = act(first, ATTRIBUTION_CORRELATION_ID="req-1")
        put(first, action)
        for id_ in ("action-1", "call-1", "req-1", action.span_id.hex()):
            assert ask(store, id_).links[1].spans == [first.span_id.hex()]

    def test_an_id_of_two_actions(self, store: Store, put: Put) -> None:
        (first,) = team("support")
        put(first, act(first), act(first, ATTRIBUTION_ACTION_ID="action-2"))
        with pytest.raises(AmbiguousIdError):
            ask(store, "call-1")

    def test_another_tenant_sees_nothing(self, store: Store, put: Put) -> None:
        (first,) = team("support")
        put(first, act(first))
        with pytest.raises(UnknownIdError):
            QUESTION.ask(store.reader("another"), ChainParameters(id="action-1"))
