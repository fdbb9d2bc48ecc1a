"""Tool calls: what is recorded, what never is, and that nothing of ours reaches the host."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from tests.agent_spans import Recorded
from whodid.instrumentation import Credential, actions, attribution, core, current, guard, settings
from whodid.instrumentation.core import ToolCall

SECRET = "card 4711"


def test_an_action_and_everything_inside_it(recorded: Recorded) -> None:
    call = ToolCall(
        "refund", "call-1", {"b": 1, "a": "x"}, effect="write", resource_type="order", resource_id="17"
    )
    with attribution(principal="alice", task="t1"), core.agent_span("support", adapter="test"):
        assert not core.in_action()
        action = core.tool_call(call, adapter="test")
        assert action.allowed
        assert action.denial is None
        with action.executing() as scope:
            assert core.in_action()
            assert trace.get_current_span() is scope.span
            with trace.get_tracer("http").start_as_current_span("POST"):
                pass
        assert not core.in_action()
    said, inside = recorded.said("execute_tool refund"), recorded.said("POST")
    assert said["gen_ai.operation.name"] == "execute_tool"
    assert (said["gen_ai.tool.name"], said["gen_ai.tool.call.id"]) == ("refund", "call-1")
    assert said["gen_ai.tool.type"] == "function"
    assert said["attribution.action.mode"] == "autonomous"
    assert said["attribution.action.effect"] == "write"
    assert said["attribution.resource.id"] == "17"
    assert said["attribution.delegation.chain"] == ("alice", "support")
    assert inside["attribution.action.id"] == said["attribution.action.id"]
    assert inside["gen_ai.tool.call.id"] == "call-1"
    assert "attribution.policy.decision.id" not in said


def test_the_digest_does_not_depend_on_how_the_arguments_were_written(recorded: Recorded) -> None:
    for call in (
        ToolCall("a", arguments={"b": [1, None], "a": "ü"}),
        ToolCall("b", arguments=' {"a": "\\u00fc",\n "b": [1, null]}'),
    ):
        with core.tool_call(call, adapter="test").executing():
            pass
    hashes = {recorded.said(f"execute_tool {name}")["attribution.action.arguments.hash"] for name in "ab"}
    # sha256 of {"a":"ü","b":[1,null]} in UTF-8, by coreutils' sha256sum
    assert hashes == {"sha256:5ddd266d13a5e8cdcca4c2007bb2032c5c319ab15de36c670f395fe8765fc949"}


def test_no_content_is_recorded(recorded: Recorded) -> None:
    call = ToolCall("charge", "c1", {"card": SECRET}, description=f"charges {SECRET}")
    action = core.tool_call(call, adapter="test")
    with pytest.raises(RuntimeError), action.executing():  # noqa: PT012 the block is what is tested
        action.result({"card": SECRET})
        raise RuntimeError(SECRET)
    span = recorded.one("execute_tool charge")
    assert SECRET not in span.to_json()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "RuntimeError")


def test_a_tools_definition_is_recorded_by_its_digest(recorded: Recorded) -> None:
    call = ToolCall("charge", "c1", {}, definition={"name": "charge", "description": f"charges {SECRET}"})
    core.approval_resolved(call, True, adapter="test")
    with core.tool_call(call, adapter="test").executing():
        pass
    text = json.dumps(dict(sorted(call.definition.items())), separators=(",", ":")) if call.definition else ""
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    for name in ("execute_tool charge", "resolve_approval charge"):
        assert recorded.said(name)["attribution.tool.definition.hash"] == digest
        assert SECRET not in recorded.one(name).to_json()
    strange = ToolCall("other", "c2", {}, definition={"parameters": object()})
    with core.tool_call(strange, adapter="test").executing():
        pass
    assert "attribution.tool.definition.hash" not in recorded.said("execute_tool other")


def test_content_is_recorded_where_that_is_on(recorded: Recorded) -> None:
    settings.override(capture_content=True)
    action = core.tool_call(ToolCall("charge", "c1", {"card": SECRET}, description="charges"), adapter="test")
    with action.executing():
        action.result({"text": "x" * 100_000})
    said = recorded.said("execute_tool charge")
    assert said["gen_ai.tool.call.arguments"] == json.dumps({"card": SECRET}, separators=(",", ":"))
    assert said["gen_ai.tool.description"] == "charges"
    assert len(str(said["gen_ai.tool.call.result"])) == 65_536


def test_a_failure_that_nobody_raised(recorded: Recorded) -> None:
    action = core.tool_call(ToolCall("look"), adapter="test")
    with action.executing():
        action.failed("ToolError")
    assert recorded.said("execute_tool look")["error.type"] == "ToolError"
    assert recorded.one("execute_tool look").status.status_code is StatusCode.ERROR


def test_the_split_form_and_an_async_tool(recorded: Recorded) -> None:
    async def main() -> None:
        action = core.tool_call(ToolCall("slow"), adapter="test")
        with action.executing():
            await asyncio.sleep(0)
            assert current().tool_name == "slow"

    asyncio.run(main())
    scope = core.tool_call(ToolCall("hooks"), adapter="test").start()
    scope.finish(ValueError("x"))
    scope.finish()
    assert recorded.said("execute_tool hooks")["error.type"] == "ValueError"
    assert recorded.one("execute_tool slow").status.status_code is StatusCode.UNSET


def test_the_frozen_arguments_are_a_copy() -> None:
    arguments = {"amounts": [1]}
    action = core.tool_call(ToolCall("pay", arguments=arguments), adapter="test")
    arguments["amounts"].append(1_000_000)
    assert action.arguments == {"amounts": [1]}


@pytest.mark.parametrize(
    ("initiator_type", "agent", "mode"),
    [
        ("human", None, "human_initiated"),
        ("human", "a", "autonomous"),
        ("schedule", None, "autonomous"),
        (None, "a", "autonomous"),
        (None, None, None),
    ],
)
def test_the_mode(
    recorded: Recorded, initiator_type: str | None, agent: str | None, mode: str | None
) -> None:
    with attribution(principal="alice", initiator="someone", initiator_type=initiator_type):
        run = None if agent is None else core.agent_start(agent, adapter="test")
        context = None if run is None else run.context
        with core.tool_call(ToolCall("look"), adapter="test", context=context).executing():
            pass
    assert recorded.said("execute_tool look").get("attribution.action.mode") == mode


def test_arguments_that_are_no_json_have_no_digest_and_still_run(recorded: Recorded) -> None:
    for arguments in ({"x": object()}, '{"x": ', {"x": float("nan")}):
        action = core.tool_call(ToolCall("odd", arguments=arguments), adapter="test")
        assert action.allowed
        assert action.arguments is arguments
        with action.executing():
            pass
    assert all("attribution.action.arguments.hash" not in (span.attributes or {}) for span in recorded.all())


def test_text_that_no_utf_8_holds_is_digested() -> None:
    assert actions.arguments_hash(ToolCall("x", arguments='{"x": "\\ud83d"}')) is not None


class BoomError(Exception):
    """What is raised where nothing should be."""


def boom(*_: object, **__: object) -> object:
    raise BoomError(SECRET)


@pytest.mark.parametrize("guarded", [False, True])
def test_what_breaks_in_us_does_not_reach_the_host(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, guarded: bool
) -> None:
    if guarded:
        guard.install(guard.BrokenGuard("test", "broken", "BoomError"))
    monkeypatch.setattr(actions, "_new_action", boom)
    with caplog.at_level(logging.ERROR):
        action = core.tool_call(ToolCall("look", arguments={"x": SECRET}), adapter="test")
    assert action.allowed is not guarded
    assert (action.denial is not None) is guarded
    assert SECRET not in caplog.text
    assert "BoomError" in caplog.text
    monkeypatch.undo()


class BrokenSampler(Sampler):
    """A sampler of the host's."""

    def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
        raise BoomError(SECRET)

    def get_description(self) -> str:
        return "broken"


def test_a_host_whose_own_tracing_is_broken_still_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(sampler=BrokenSampler(), shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    with attribution(principal="alice"), core.agent_span("support", adapter="test"):
        action = core.tool_call(ToolCall("look", "c1"), adapter="test")
        with action.executing():
            assert current().chain == ("alice", "support")
            assert current().action_id is not None
    assert "a span could not be started" in caplog.text
    assert SECRET not in caplog.text


def test_the_same_action_further_down_keeps_its_id(recorded: Recorded) -> None:
    guard.install(guard.BrokenGuard("test", "broken", "BoomError"))
    settings.override(guard_mode="monitor")
    with core.tool_call(ToolCall("outer", "c1"), adapter="test").executing():
        joined = core.tool_call(ToolCall("inner", "c2"), adapter="server", join=True)
        assert joined.attribution.action_id == current().action_id
    ids = {str((span.attributes or {})["attribution.action.id"]) for span in recorded.all()}
    assert len(ids) == 1
    assert recorded.names() == ["evaluate_policy outer", "evaluate_policy inner", "execute_tool outer"]


def test_a_credential_issued_and_used(recorded: Recorded) -> None:
    credential = Credential.from_secret("hunter2", type="bearer", not_after="2026-11-24T15:00:00Z")
    with core.agent_span("a", adapter="test"):
        core.credential_issued(credential)
        with (
            attribution(credential=credential),
            core.tool_call(ToolCall("look"), adapter="test").executing(),
        ):
            pass
    [event] = recorded.one("invoke_agent a").events
    assert event.name == "attribution.credential.issued"
    assert dict(event.attributes or {}) == {
        "attribution.credential.id": credential.id,
        "attribution.credential.type": "bearer",
        "attribution.credential.not_after": "2026-11-24T15:00:00Z",
    }
    assert recorded.said("execute_tool look")["attribution.credential.id"] == credential.id
    assert all("hunter2" not in span.to_json() for span in recorded.all())
