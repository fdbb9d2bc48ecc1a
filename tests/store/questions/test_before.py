"""The question before: what came before an action, and which tool results its agent had been given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions import UnknownIdError
from whodid.store.questions.before import QUESTION, Before, BeforeParameters

Put = Callable[..., None]


def ask(store: Store, id_: str = "asked", tenant: str = "", **parameters: Any) -> Before:
    return QUESTION.ask(store.reader(tenant), BeforeParameters.model_validate({"id": id_, **parameters}))


def span(operation: str, above: Sent | None = None, **more: Any) -> Sent:
    made = Sent(attributes=attribution(operation, **more))
    if above is not None:
        made.trace_id, made.parent_id = above.trace_id, above.span_id
    return made


def run(above: Sent | None = None, **more: Any) -> Sent:
    """A run of an agent, which is still going on when the action begins."""
    made = span("invoke_agent", above, **more)
    made.duration_ns = 3_600_000_000_000
    return made


def tool(action: str, above: Sent | None = None, **more: Any) -> Sent:
    return span("execute_tool", above, ATTRIBUTION_ACTION_ID=action, **more)


def told(answer: Before) -> dict[str | None, str]:
    return {item.action_id or item.kind: item.how for item in answer.items}


def test_how_it_is_tied_to_the_action(store: Store, put: Put) -> None:
    earlier = run(GEN_AI_CONVERSATION_ID="talk")
    remembered = tool("remembered", earlier, GEN_AI_CONVERSATION_ID="talk")
    root = run(GEN_AI_AGENT_NAME="planner")
    handed = tool("handed", root, GEN_AI_AGENT_NAME="planner")
    agent = run(root)
    given = tool("given", agent)
    served = tool("given", given)
    helper = run(agent, GEN_AI_AGENT_NAME="helper")
    helped = tool("helped", helper, GEN_AI_AGENT_NAME="helper")
    helper.duration_ns = helped.start_ns - helper.start_ns + helped.duration_ns
    sibling = run(root, GEN_AI_AGENT_NAME="other")
    elsewhere = tool("elsewhere", sibling, GEN_AI_AGENT_NAME="other")
    model = span("chat", agent)
    decided = span("evaluate_policy", agent, ATTRIBUTION_ACTION_ID="asked", GEN_AI_CONVERSATION_ID="talk")
    asked = tool("asked", agent, GEN_AI_CONVERSATION_ID="talk")
    later = tool("later", agent)
    # They arrive in any order.
    put(later, asked, decided, elsewhere, sibling, helped, helper, model)
    put(served, given, agent, handed, root, remembered, earlier)
    answer = ask(store)
    assert told(answer) == {
        "remembered": "same_conversation",
        "handed": "caller",
        "given": "same_invocation",
        "helped": "callee",
        "agent_result": "same_invocation",
        "elsewhere": "same_trace",
        "model": "same_invocation",
    }
    assert [item.before_ms for item in answer.items] == sorted(
        (item.before_ms for item in answer.items), reverse=True
    )
    assert {item.action_id for item in answer.items if not item.seen_by_model} == {None}
    by_action = {item.action_id: item for item in answer.items}
    assert by_action["given"].span_id == given.span_id.hex()
    assert by_action["given"].agent.evidence is EvidenceLevel.PROPAGATED
    assert answer.span_id == decided.span_id.hex()
    # The other agent's run, and the one of the conversation, are not over.
    assert answer.gaps == ["2 began before the action and were not over"]
    nearest = ask(store, limit=2)
    assert nearest.items == answer.items[-2:]
    assert "7 came before it, of which the nearest 2 are told" in nearest.gaps
    with pytest.raises(UnknownIdError):
        ask(store, tenant="another")


def test_what_no_model_was_asked_about_since(store: Store, put: Put) -> None:
    agent = run()
    first, model, second = tool("first", agent), span("chat", agent), tool("second", agent)
    put(agent, first, model, second, tool("asked", agent))
    seen = {item.action_id: item.seen_by_model for item in ask(store).items}
    assert seen == {"first": True, None: False, "second": False}


def test_gaps(store: Store, put: Put) -> None:
    lost = run()
    result = tool("first", lost)
    asked = tool("asked", lost)
    put(asked)
    put(result, service="elsewhere")
    answer = ask(store)
    assert told(answer) == {"first": "same_trace"}
    assert answer.items[0].gaps == [
        "its parent is not in the store",
        "another process's clock says so, by less than clocks may differ",
    ]
    assert answer.gaps == [
        "no span of the agent's run is above the action: what was in its context is not told",
        "no call of a model by the action's agent is recorded before it",
    ]


def test_a_span_that_names_itself_as_its_parent(store: Store, put: Put) -> None:
    asked = tool("asked")
    asked.parent_id = asked.span_id
    put(asked)
    assert ask(store).items == []
