"""The question decisions: with what they were made on, and what other policies would have said."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.decisions import QUESTION, Decisions, DecisionsParameters
from whodid.store.questions.what_if import PolicyTextError, Recorded, Verdict, WhatIf

Put = Callable[..., None]
PERMIT = "permit(principal, action, resource);"


def ask(store: Store, **parameters: Any) -> Decisions:
    return QUESTION.ask(store.reader(), DecisionsParameters.model_validate(parameters))


def decision(number: int, context: dict[str, Any] | None = None, **more: Any) -> Sent:
    said: dict[str, Any] = {
        "ATTRIBUTION_ACTION_ID": f"action-{number}",
        "ATTRIBUTION_POLICY_DECISION_ID": f"decision-{number}",
        **more,
    }
    if context is not None:
        text = json.dumps(context, sort_keys=True, separators=(",", ":"))
        said.setdefault("ATTRIBUTION_POLICY_CONTEXT_VALUE", text)
        said.setdefault(
            "ATTRIBUTION_POLICY_CONTEXT_HASH", f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        )
    return Sent(attributes=attribution("evaluate_policy", **said))


def execution(of: Sent, **more: Any) -> Sent:
    said = attribution(
        "execute_tool",
        ATTRIBUTION_ACTION_ID=of.attributes[attr.ATTRIBUTION_ACTION_ID],
        ATTRIBUTION_POLICY_DECISION_ID=of.attributes[attr.ATTRIBUTION_POLICY_DECISION_ID],
        ATTRIBUTION_POLICY_DECISION_OUTCOME=of.attributes[attr.ATTRIBUTION_POLICY_DECISION_OUTCOME],
        **more,
    )
    return Sent(attributes=said, trace_id=of.trace_id)


def numbers(answer: Decisions) -> list[str]:
    return [(item.decision_id or "").removeprefix("decision-") for item in answer.items]


def test_a_decision_and_its_action_are_one_item(store: Store, put: Put) -> None:
    agent = Sent(attributes=attribution("invoke_agent"))
    one = decision(1, {"mode": "autonomous"})
    one.trace_id, one.parent_id = agent.trace_id, agent.span_id
    ran = execution(one)
    put(ran)
    put(one, agent)
    (item,) = ask(store).items
    assert (item.context, item.context_matches_hash) == ({"mode": "autonomous"}, True)
    assert (item.ran, item.ran_spans) == ("succeeded", [ran.span_id.hex()])
    assert (item.outcome, item.enforcement, item.would_be, item.gaps) == ("allow", "allowed", None, [])
    assert item.principal.evidence is EvidenceLevel.PROPAGATED


def test_filters(store: Store, put: Put) -> None:
    denied: dict[str, Any] = {
        "ATTRIBUTION_POLICY_DECISION_OUTCOME": "deny",
        "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION": "blocked",
        "ATTRIBUTION_POLICY_RULE_ID": "no-mail",
    }
    one, two = decision(1, ATTRIBUTION_POLICY_ID="old"), decision(2, user="bob@acme.example", **denied)
    three = decision(3, GEN_AI_AGENT_NAME="other", GEN_AI_TOOL_NAME="mail")
    put(one, execution(one), two, three)
    for asked, found in (
        ({}, ["1", "2", "3"]),
        ({"id": "decision-1"}, ["1"]),
        ({"outcome": "deny"}, ["2"]),
        ({"enforcement": "blocked"}, ["2"]),
        ({"policy_id": "old"}, ["1"]),
        ({"rule": "no-mail"}, ["2"]),
        ({"agent": "other"}, ["3"]),
        ({"tool": "mail"}, ["3"]),
        ({"principal": "bob@acme.example"}, ["2"]),
        ({"until": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)}, []),
    ):
        assert numbers(ask(store, **asked)) == found
    other = QUESTION.ask(store.reader("another"), DecisionsParameters.model_validate({}))
    assert other.items == []


def test_what_does_not_fit_together(store: Store, put: Put) -> None:
    blocked = decision(1, {"a": 1}, ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked")
    forged = decision(2, {"a": 1}, ATTRIBUTION_POLICY_CONTEXT_HASH=f"sha256:{'0' * 64}")
    unrecorded = execution(decision(3))
    put(blocked, execution(blocked), forged, unrecorded)
    first, second, third = ask(store).items
    assert first.gaps == ["the action ran although it was blocked"]
    assert second.gaps == ["the recorded context does not have the recorded digest"]
    assert "no span of its own" in third.gaps[0]
    assert "not recorded" in third.gaps[1]


def test_an_action_id_in_another_trace_is_no_run(store: Store, put: Put) -> None:
    one, elsewhere = decision(1), execution(decision(1))
    del elsewhere.attributes[attr.ATTRIBUTION_POLICY_DECISION_OUTCOME]
    put(one, elsewhere)
    assert [item.ran for item in ask(store).items] == ["not_recorded"]


def test_sent_twice_is_told_once(store: Store, put: Put) -> None:
    one = decision(1)
    put(one)
    put(one)
    assert [len(item.gaps) for item in ask(store).items] == [1]  # that there is no context
    one.attributes[attr.ATTRIBUTION_POLICY_DECISION_OUTCOME] = "deny"
    put(one)
    (item,) = ask(store).items
    assert "sent again" in item.gaps[-1]


@pytest.mark.parametrize("only_changed", [False, True])
def test_pages_hold_every_decision_once(store: Store, put: Put, *, only_changed: bool) -> None:
    spans = [decision(number, {"mode": "autonomous"}) for number in range(7)]
    for span in spans:
        span.start_ns = spans[0].start_ns
    put(*spans)
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(
            store,
            limit=2,
            cursor=cursor,
            policy="forbid(principal, action, resource);",
            only_changed=only_changed,
        )
        found += numbers(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(found) == [str(number) for number in range(7)]


def test_which_past_actions_a_changed_policy_would_deny(store: Store, put: Put) -> None:
    put(
        decision(1, {"mode": "autonomous", "arguments": "sha256:1"}),
        decision(2, {"mode": "human_approved", "arguments": "sha256:2"}),
        decision(3),
        decision(4, {"mode": "autonomous"}, ATTRIBUTION_POLICY_DECISION_OUTCOME="deny"),
    )
    when = 'when { context.mode == "autonomous" }'
    policy = f'{PERMIT} @id("ask-first") forbid(principal, action, resource) {when};'
    answer = ask(store, policy=policy)
    assert [item.would_be for item in answer.items] == [
        Verdict.DENY,
        Verdict.ALLOW,
        Verdict.NOT_EVALUABLE,
        Verdict.DENY,
    ]
    assert answer.items[0].would_be_because == "forbidden by ask-first"
    assert answer.would_be == {"allow": 1, "deny": 2, "not_evaluable": 1}
    changed = ask(store, policy=policy, only_changed=True)
    assert (numbers(changed), changed.looked_at) == (["1"], 4)
    assert numbers(ask(store, policy=PERMIT, only_changed=True)) == ["4"]


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def _said(policy: str, **recorded: str) -> Verdict:
    known = {"agent": "a", "tool": "t", "engine": "cedar", "context": "{}", "context_hash": "", **recorded}
    return WhatIf(policy).verdict(Recorded(**known))[0]


@pytest.mark.parametrize(
    ("when", "verdict"),
    [
        ("context has arguments && context.arguments.amount > 100", Verdict.NOT_EVALUABLE),
        ("context.arguments.amount > 100", Verdict.NOT_EVALUABLE),
        ('context.mode == "autonomous" && context.arguments.amount > 100', Verdict.ERROR),
        ("context has mode && context.arguments.amount > 100", Verdict.ALLOW),
        ('principal == Agent::"a"', Verdict.DENY),
        ('resource == Tool::"t"', Verdict.DENY),
        ('action == Action::"execute_tool"', Verdict.DENY),
        ('principal == Agent::"b"', Verdict.ALLOW),
    ],
)
def test_what_depends_on_arguments_is_not_guessed(when: str, verdict: Verdict) -> None:
    assert _said(f"{PERMIT} forbid(principal, action, resource) when {{ {when} }};") is verdict


@pytest.mark.parametrize(
    "recorded",
    [
        {"engine": "opa"},
        {"context": ""},
        {"context": "[1]"},
        {"context": "{"},
        {"context_hash": "sha256:0"},
        {"tool": ""},
        {"context": '{"x":{"__extn":{"fn":"unknown","arg":"x"}}}'},
    ],
)
def test_what_is_not_recorded_whole_is_not_evaluable(recorded: dict[str, str]) -> None:
    assert _said("forbid(principal, action, resource);", **recorded) is Verdict.NOT_EVALUABLE


def test_names_stay_names() -> None:
    name = 'x", Tool::"y\'\\\n\u20ac'
    assert _said(f'{PERMIT} forbid(principal == Agent::"x", action, resource);', agent=name) is Verdict.ALLOW
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    policy = f'{PERMIT} forbid(principal == Agent::"{quoted}", action, resource);'
    assert _said(policy, agent=name) is Verdict.DENY


@pytest.mark.parametrize("text", ["nonsense", "policies.cedar"])
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(PolicyTextError):
        WhatIf(text)
