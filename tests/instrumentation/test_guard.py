"""The guard: a denial is on record and nothing ran, and whatever fails is a denial."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry.trace import StatusCode

from tests.agent_spans import Recorded
from whodid.instrumentation import approver, attribution, core, guard, settings
from whodid.instrumentation.cedar import CannotExpressError, CedarGuard, PolicyError, cedar_value
from whodid.instrumentation.core import Action, ToolCall
from whodid.instrumentation.policy import Decision, DecisionRequest, Guard

Policy = Callable[..., None]

POLICY = """
@id("everything") permit (principal is Agent, action == Action::"execute_tool", resource);
@id("deletes-need-approval")
forbid (principal, action, resource == Tool::"delete_order") unless { context has approval };
@id("small-refunds")
forbid (principal, action, resource == Tool::"refund") when { context.arguments.amount > 100 };
"""


def call(tool: str, arguments: Any = None, call_id: str = "c1") -> Action:
    with (
        attribution(principal="alice", principal_type="human", initiator="alice", task=f"task of {tool}"),
        core.agent_span("support", adapter="test"),
    ):
        return core.tool_call(ToolCall(tool, call_id, arguments), adapter="test")


def test_an_allowed_action_carries_its_decision(recorded: Recorded, policy: Policy) -> None:
    policy(POLICY)
    action = call("look", {"order": 17})
    assert action.allowed
    with action.executing():
        pass
    decision, done = recorded.said("evaluate_policy look"), recorded.said("execute_tool look")
    assert decision["attribution.policy.decision.outcome"] == "allow"
    assert decision["attribution.policy.enforcement.action"] == "allowed"
    assert decision["attribution.policy.engine.name"] == "cedar"
    assert decision["attribution.policy.id"] == "policy.cedar"
    assert decision["attribution.policy.rule.id"] == "everything"
    version = "sha256:" + hashlib.sha256(POLICY.encode()).hexdigest()[:12]
    assert decision["attribution.policy.version"] == version
    for name in (
        "attribution.policy.decision.id",
        "attribution.action.id",
        "attribution.policy.decision.outcome",
    ):
        assert decision[name] == done[name]
    before, after = recorded.one("evaluate_policy look"), recorded.one("execute_tool look")
    assert before.end_time is not None
    assert after.start_time is not None
    assert before.end_time <= after.start_time


def test_the_evaluated_context_is_recorded_with_the_arguments_by_digest(
    recorded: Recorded, policy: Policy
) -> None:
    policy(POLICY)
    call("look", {"card": "4711"})
    said = recorded.said("evaluate_policy look")
    text = str(said["attribution.policy.context.value"])
    assert said["attribution.policy.context.hash"] == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    context = json.loads(text)
    assert text == json.dumps(context, sort_keys=True, separators=(",", ":"))
    assert context.pop("agent")["name"] == "support"
    assert context == {
        "principal": {"id": "alice", "type": "human"},
        "initiator": {"id": "alice"},
        "chain": ["alice", "support"],
        "task": {"id": "task of look"},
        "mode": "autonomous",
        "arguments": said["attribution.action.arguments.hash"],
    }
    assert "4711" not in recorded.one("evaluate_policy look").to_json()


def test_a_denied_action_has_a_decision_and_no_execution(recorded: Recorded, policy: Policy) -> None:
    policy(POLICY)
    action = call("delete_order", {"order": 17})
    assert not action.allowed
    assert action.denial is not None
    assert "delete_order" in action.denial
    assert "deletes-need-approval" in action.denial
    said = recorded.said("evaluate_policy delete_order")
    assert said["attribution.policy.decision.outcome"] == "deny"
    assert said["attribution.policy.enforcement.action"] == "blocked"
    assert said["attribution.policy.decision.reason"] == "forbidden by deletes-need-approval"
    assert said["gen_ai.tool.call.id"] == "c1"
    assert recorded.one("evaluate_policy delete_order").status.status_code is StatusCode.UNSET, "no error"
    assert recorded.names() == ["evaluate_policy delete_order", "invoke_agent support"]


def test_a_policy_can_ask_for_an_approval(recorded: Recorded, policy: Policy) -> None:
    policy(POLICY)
    wanted = ToolCall("delete_order", "c7", {"order": 17})
    with attribution(task="task of delete_order"), approver("bob"):
        core.approval_resolved(wanted, True, adapter="test")
    action = call("delete_order", {"order": 17}, "c7")
    assert action.allowed
    assert action.attribution.action_mode == "human_approved"
    assert json.loads(str(recorded.said("evaluate_policy delete_order")["attribution.policy.context.value"]))[
        "approval"
    ] == {"id": action.attribution.approval_id, "approver": "bob"}


def test_what_no_policy_permits_is_denied(recorded: Recorded, policy: Policy) -> None:
    policy('@id("one") permit (principal == Agent::"other", action, resource);')
    assert not call("look").allowed
    assert (
        recorded.said("evaluate_policy look")["attribution.policy.decision.reason"] == "no policy permits it"
    )


def test_a_call_by_no_agent_is_nobodys_that_a_policy_about_agents_permits(policy: Policy) -> None:
    policy(POLICY)
    assert not core.tool_call(ToolCall("look"), adapter="test").allowed


@pytest.mark.parametrize("arguments", [{}, {"amount": "much"}, {"amount": 99.5}])
def test_a_forbid_that_cannot_be_evaluated_does_not_let_through(
    recorded: Recorded, policy: Policy, arguments: dict[str, Any]
) -> None:
    # Cedar itself would skip the failing forbid, and then permit.
    policy(POLICY)
    assert not call("refund", arguments).allowed
    said = recorded.said("evaluate_policy refund")
    assert said["attribution.policy.decision.outcome"] == "error"
    assert said["attribution.policy.enforcement.action"] == "blocked"
    assert call("refund", {"amount": 20}).allowed
    assert call("refund", {"amount": 20.0}).allowed
    assert not call("refund", {"amount": 101}).allowed


@pytest.mark.parametrize(
    "arguments",
    [
        {"x": {"__entity": {"type": "Agent", "id": "admin"}}},
        {"x": [{"__extn": {"fn": "ip", "arg": "127.0.0.1"}}]},
        {"x": object()},
        '{"x": ',
        {"x": float("inf")},
        {"x": "y" * 300_000},
    ],
)
def test_arguments_that_cedar_cannot_have_are_denied(
    recorded: Recorded, policy: Policy, arguments: Any
) -> None:
    policy("permit (principal, action, resource);")
    action = call("look", arguments)
    assert not action.allowed
    assert recorded.said("evaluate_policy look")["attribution.policy.decision.outcome"] == "error"


def test_deep_arguments_are_denied_and_not_a_crash(policy: Policy) -> None:
    policy("permit (principal, action, resource);")
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"x": deep}
    assert call("look", deep).allowed in (True, False)
    for _ in range(10_000):
        deep = {"x": deep}
    assert not call("look", deep).allowed


def test_monitoring_records_and_lets_run(recorded: Recorded, policy: Policy) -> None:
    policy(POLICY, guard_mode="monitor")
    action = call("delete_order")
    assert action.allowed
    said = recorded.said("evaluate_policy delete_order")
    assert said["attribution.policy.decision.outcome"] == "deny"
    assert said["attribution.policy.enforcement.action"] == "monitored"
    assert action.attribution.enforcement == "monitored"


class Engine:
    """An engine of somebody else's, that misbehaves."""

    engine = "odd"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def decide(self, request: DecisionRequest) -> Decision:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer", [RuntimeError("secret 4711"), None, SimpleNamespace(outcome="maybe"), "allow"], ids=repr
)
def test_an_engine_that_fails_or_says_nothing_known_denies(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    guard.install(cast("Guard", Engine(answer)))
    assert not call("look").allowed
    said = recorded.said("evaluate_policy look")
    assert (said["attribution.policy.decision.outcome"], said["attribution.policy.engine.name"]) == (
        "error",
        "odd",
    )
    assert "4711" not in recorded.one("evaluate_policy look").to_json() + caplog.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), ("permit (everything);", "policy.cedar"), (b"\xff\xfe", "utf-8")],
)
def test_a_policy_that_cannot_be_read_denies_everything(
    recorded: Recorded,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    content: str | bytes | None,
    reason: str,
) -> None:
    file = tmp_path / "policy.cedar"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings.override(policy=str(file))
    with caplog.at_level(logging.ERROR):
        assert not call("look").allowed
    assert reason in caplog.text
    assert recorded.said("evaluate_policy look")["attribution.policy.decision.outcome"] == "error"


def test_a_missing_engine_denies_everything_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    monkeypatch.delitem(sys.modules, "whodid.instrumentation.cedar")
    settings.override(policy=str(tmp_path))
    with caplog.at_level(logging.ERROR):
        assert not call("look").allowed
    assert "pip install 'whodid[guard]'" in caplog.text


def test_a_folder_of_policies(tmp_path: Path) -> None:
    (tmp_path / "b.cedar").write_text('@id("b") permit (principal, action, resource);')
    (tmp_path / "a.cedar").write_text('@id("a") forbid (principal, action, resource);')
    (tmp_path / "notes.txt").write_text("not a policy")
    assert CedarGuard.from_path(tmp_path).policy_id == "a.cedar,b.cedar"
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyError, match=r"no \*\.cedar file"):
        CedarGuard.from_path(tmp_path / "empty")


def test_values_as_cedar_has_them() -> None:
    given = {
        "n": None,
        "l": [1, None, 2],
        "b": True,
        "f": 12.5,
        "w": 3.0,
        "tiny": 0.00001,
        "big": 2**70,
        "e": 1e300,
    }
    assert cedar_value(given) == {
        "l": [1, 2],
        "b": True,
        "f": {"__extn": {"fn": "decimal", "arg": "12.5"}},
        "w": 3,
        "tiny": "0.00001",
        "big": str(2**70),
        "e": str(int(1e300)),
    }
    with pytest.raises(CannotExpressError):
        cedar_value({"a": {"__expr": "x"}})


def test_a_decimal_can_be_compared(policy: Policy) -> None:
    policy(
        'permit (principal, action, resource) when { context.arguments.amount.lessThan(decimal("20.0")) };'
    )
    assert call("refund", {"amount": 19.99}).allowed
    assert not call("refund", {"amount": 20.01}).allowed
