"""The claude-agent-sdk adapter, with the real SDK and its bundled CLI, and a model on loopback.

The CLI gets a folder of its own for what it keeps, and a proxy where nobody listens for all but loopback.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import (
    AgentDefinition,
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    HookMatcher,
    PermissionResultAllow,
    PermissionResultDeny,
    ResultMessage,
    create_sdk_mcp_server,
    query,
    tool,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.adapters import DENY_DELETE, Spans, assert_only_of, for_user, installed, is_child, said
from tests.anthropic_server import Anthropic, anthropic
from whodid.instrumentation import approver, current, scopes
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.semconv import attributes as attr

ADAPTERS = ("claude_agent_sdk", "mcp")  # the second hands on to tools in this process for whom they work
LOOKUP, DELETE, FAILING = (f"mcp__crm__{name}" for name in ("lookup_order", "delete_customer", "failing"))
DENIED = DENY_DELETE.replace("delete_customer", DELETE)


@pytest.fixture
def guarded(exporter: InMemorySpanExporter) -> Generator[Spans]:
    with installed(exporter, *ADAPTERS, policy=DENIED) as found:
        yield found


@pytest.fixture
def model() -> Generator[Anthropic]:
    with anthropic() as server:
        yield server


@contextmanager
def without_collection() -> Generator[None]:
    """What is dropped in a cycle is there until the process ends, as it may be in any."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@tool("lookup_order", "Looks up an order.", {"order_id": str})
async def lookup_order(given: Any) -> Any:
    return {"content": [{"type": "text", "text": f"order {given['order_id']} of {current().principal_id}"}]}


deleted: list[str] = []


@tool("delete_customer", "Deletes a customer.", {"customer": str})
async def delete_customer(given: Any) -> Any:
    deleted.append(given["customer"])
    return {"content": [{"type": "text", "text": "deleted"}]}


@tool("failing", "Fails.", {"order_id": str})
async def failing(given: Any) -> Any:
    raise LookupError(given["order_id"])


def options(model: Anthropic, folder: Path, **more: Any) -> ClaudeAgentOptions:
    nowhere = "http://127.0.0.1:9"  # discard: the CLI reaches loopback and nothing else
    (folder / "work").mkdir(exist_ok=True)
    more.setdefault("allowed_tools", [LOOKUP, DELETE, FAILING, "Agent"])
    return ClaudeAgentOptions(
        cwd=folder / "work",
        env={
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CONFIG_DIR": str(folder / "config"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "HTTPS_PROXY": nowhere,
            "HTTP_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
        },
        mcp_servers={"crm": create_sdk_mcp_server("crm", tools=[lookup_order, delete_customer, failing])},
        setting_sources=[],
        **more,
    )


async def prompt(text: str) -> AsyncIterator[dict[str, Any]]:
    """A question as a stream, which `can_use_tool` wants."""
    yield {"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": None}


async def ask(script: str, chosen: ClaudeAgentOptions) -> ResultMessage:
    """One question, to its end."""
    found = [message async for message in query(prompt=prompt(f"script:{script}"), options=chosen)]
    assert current().agent_name is None
    result = found[-1]
    assert isinstance(result, ResultMessage)
    return result


def test_an_agent_and_its_tools(spans: Spans, model: Anthropic, tmp_path: Path) -> None:
    """One that runs in this process, and one of the CLI's own."""
    file = tmp_path / "work" / "note.txt"
    model.scripts["a"] = [
        [(LOOKUP, "call_1", {"order_id": "A-1"})],
        [("Read", "call_2", {"file_path": str(file)})],
    ]
    chosen = options(model, tmp_path)
    file.write_text("a note")
    with for_user("alice"):
        result = asyncio.run(ask("a", chosen))
    assert current() is NOTHING_KNOWN
    assert model.told[0]["content"] == [{"type": "text", "text": "order A-1 of alice"}]
    invoked = spans.one("invoke_agent")
    looked_up, read = spans.find(
        "execute_tool", attribution_action_mode="autonomous", attribution_principal_id="alice"
    )[-2:]
    assert [said(span, attr.GEN_AI_TOOL_NAME) for span in (looked_up, read)] == [LOOKUP, "Read"]
    for span in (looked_up, read):
        assert is_child(span, invoked)
        assert said(span, attr.ATTRIBUTION_DELEGATION_CHAIN) == ("alice", "claude-code")
        assert said(span, attr.GEN_AI_TOOL_CALL_ARGUMENTS) is None
        assert span.status.status_code is StatusCode.UNSET
    assert said(looked_up, attr.GEN_AI_TOOL_CALL_ID) == "call_1"
    assert said(looked_up, attr.ATTRIBUTION_TOOL_DEFINITION_HASH)
    assert said(invoked, attr.GEN_AI_CONVERSATION_ID) == result.session_id
    assert said(invoked, attr.ATTRIBUTION_ACTION_ID) is None


def test_a_denied_call_does_not_run_and_the_model_is_told(
    guarded: Spans, model: Anthropic, tmp_path: Path
) -> None:
    deleted.clear()
    model.scripts["a"] = [[(DELETE, "call_1", {"customer": "C"})]]
    with for_user("alice"):
        asyncio.run(ask("a", options(model, tmp_path)))
    assert deleted == []
    (told,) = model.told
    assert told["is_error"]
    assert "denied by policy (rule no-deletion)" in told["content"]
    assert guarded.find("execute_tool") == []
    decision = guarded.one("evaluate_policy")
    assert said(decision, attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION) == "blocked"
    assert said(decision, attr.GEN_AI_TOOL_CALL_ID) == "call_1"
    assert is_child(decision, guarded.one("invoke_agent"))


def test_a_tools_error(spans: Spans, model: Anthropic, tmp_path: Path) -> None:
    model.scripts["a"] = [
        [(FAILING, "call_1", {"order_id": "A"})],
        [("Read", "call_2", {"file_path": str(tmp_path / "work" / "none")})],
    ]
    asyncio.run(ask("a", options(model, tmp_path)))
    for name in (FAILING, "Read"):
        assert said(spans.one("execute_tool", gen_ai_tool_name=name), attr.ERROR_TYPE) == "tool_error"
    assert spans.one("invoke_agent").status.status_code is StatusCode.UNSET


def _bash(call_id: str = "call_b") -> list[Any]:
    return [("Bash", call_id, {"command": "touch made.txt", "description": "makes"})]


@pytest.mark.parametrize("how", ["can_use_tool", "hook"])
@pytest.mark.parametrize("granted", [True, False])
def test_an_approval(spans: Spans, model: Anthropic, tmp_path: Path, how: str, granted: bool) -> None:
    async def can_use_tool(name: str, given: Any, context: Any) -> Any:
        return PermissionResultAllow() if granted else PermissionResultDeny(message="not now")

    async def hook(given: Any, call_id: Any, context: Any) -> Any:
        decision = {"behavior": "allow"} if granted else {"behavior": "deny", "message": "not now"}
        return {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}

    model.scripts["a"] = [_bash()]
    answer: dict[str, Any] = (
        {"can_use_tool": can_use_tool}
        if how == "can_use_tool"
        else {"hooks": {"PermissionRequest": [HookMatcher(hooks=[hook])]}}
    )
    with for_user("carol"), approver("bob"), without_collection():
        asyncio.run(ask("a", options(model, tmp_path, allowed_tools=[], **answer)))
    assert (tmp_path / "work" / "made.txt").exists() is granted
    resolved = spans.one("resolve_approval")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_STATUS) == ("granted" if granted else "refused")
    assert said(resolved, attr.ATTRIBUTION_APPROVAL_APPROVER_ID) == "bob"
    assert len(resolved.events) == 2
    scopes.process_ends()  # it ends what is at work, and what did not run is not
    if not granted:
        assert spans.find("execute_tool") == []
        return
    executed = spans.one("execute_tool")
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"
    assert said(executed, attr.ATTRIBUTION_APPROVAL_ID) == said(resolved, attr.ATTRIBUTION_APPROVAL_ID)


def test_what_is_approved_instead_is_decided_on_again(
    guarded: Spans, model: Anthropic, tmp_path: Path
) -> None:
    async def can_use_tool(name: str, given: Any, context: Any) -> Any:
        return PermissionResultAllow(updated_input={**given, "command": "touch other.txt"})

    model.scripts["a"] = [_bash()]
    with for_user("carol"):
        asyncio.run(ask("a", options(model, tmp_path, allowed_tools=[], can_use_tool=can_use_tool)))
    assert (tmp_path / "work" / "other.txt").exists()
    first, second = guarded.find("evaluate_policy")
    executed = guarded.one("execute_tool")
    hashes = [said(span, attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH) for span in (first, second, executed)]
    assert hashes[0] != hashes[1] == hashes[2]
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_approved"


def test_what_the_clis_own_rules_forbid_is_no_action(spans: Spans, model: Anthropic, tmp_path: Path) -> None:
    model.scripts["a"] = [_bash()]
    with without_collection():
        asyncio.run(ask("a", options(model, tmp_path, permission_mode="dontAsk")))
    assert model.told[0]["is_error"]
    scopes.process_ends()
    assert spans.find("execute_tool") == []
    assert len(spans.find("invoke_agent")) == 1


def test_sub_agents_three_deep_make_the_chain_longer(spans: Spans, model: Anthropic, tmp_path: Path) -> None:
    def start(kind: str) -> list[Any]:
        return [
            ("Agent", f"call_{kind}", {"description": "x", "prompt": f"script:{kind}", "subagent_type": kind})
        ]

    model.scripts |= {
        "a": [start("planner")],
        "planner": [start("research")],
        "research": [[(LOOKUP, "call_l", {"order_id": "A"})]],
    }
    agents = {
        kind: AgentDefinition(description=kind, prompt=kind, tools=[LOOKUP, "Agent"])
        for kind in ("planner", "research")
    }
    with for_user("alice"):
        asyncio.run(ask("a", options(model, tmp_path, agents=agents)))
    looked_up = next(span for span in spans.find("execute_tool", gen_ai_tool_name=LOOKUP))
    chain = ("alice", "claude-code", "planner", "research")
    assert said(looked_up, attr.ATTRIBUTION_DELEGATION_CHAIN) == chain
    research = spans.one("invoke_agent", gen_ai_agent_name="research")
    spawned = spans.find("execute_tool", gen_ai_tool_name="Agent")
    assert any(is_child(research, span) for span in spawned)
    assert {said(span, attr.GEN_AI_AGENT_NAME) for span in spans.find("invoke_agent")} == set(chain[1:])


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a stream that the SDK leaves open
@pytest.mark.parametrize("way", ["query", "client"])
def test_a_stream_that_is_left_early(spans: Spans, model: Anthropic, tmp_path: Path, way: str) -> None:
    started = asyncio.Event()

    @tool("wait", "Waits.", {})
    async def wait(given: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    model.scripts["a"] = [[("mcp__slow__wait", "call_w", {})]]
    chosen = options(model, tmp_path, allowed_tools=["mcp__slow__wait"])
    chosen.mcp_servers = {"slow": create_sdk_mcp_server("slow", tools=[wait])}

    async def read(messages: Any) -> None:
        async for message in messages:
            if isinstance(message, AssistantMessage):
                await started.wait()
                break
        assert current().agent_name is None

    async def main() -> None:
        with for_user("alice"):
            if way == "query":
                await read(query(prompt=prompt("script:a"), options=chosen))
            else:
                async with ClaudeSDKClient(chosen) as client:
                    await client.query("script:a")
                    await read(client.receive_messages())

    asyncio.run(main())
    gc.collect()
    assert spans.one("invoke_agent").status.status_code is StatusCode.UNSET
    # Whether it was done when the CLI was ended, nobody knows.
    (executed,) = spans.find("execute_tool", attribution_principal_id="alice", error_type="interrupted")
    assert said(executed, attr.GEN_AI_TOOL_CALL_ID) == "call_w"


def test_each_question_of_a_client_is_for_whom_asks_it(
    spans: Spans, model: Anthropic, tmp_path: Path
) -> None:
    model.scripts["a"] = [
        [(LOOKUP, "call_alice", {"order_id": "A"})],
        "here",
        [(LOOKUP, "call_bob", {"order_id": "B"})],
        "there",
    ]

    async def main() -> None:
        async with ClaudeSDKClient(options(model, tmp_path)) as client:
            for user in ("alice", "bob"):
                with for_user(user):
                    await client.query("script:a")
                    _ = [message async for message in client.receive_response()]

    asyncio.run(main())
    for user in ("alice", "bob"):
        found = spans.find("invoke_agent", attribution_principal_id=user)
        found += spans.find("execute_tool", gen_ai_tool_call_id=f"call_{user}")
        assert len(found) >= 2
        for span in found:
            assert_only_of(span, user)


def test_four_users_at_once(spans: Spans, model: Anthropic, tmp_path: Path) -> None:
    users = [f"user{number}" for number in range(4)]  # a CLI each
    for user in users:
        (tmp_path / user).mkdir()
        model.scripts[user] = [[(LOOKUP, f"call_{user}", {"order_id": user})]]

    async def one(user: str) -> None:
        with for_user(user):
            await ask(user, options(model, tmp_path / user))

    async def main() -> None:
        await asyncio.gather(*(one(user) for user in users))

    asyncio.run(main())
    texts = {block["content"][0]["text"] for block in model.told}
    assert texts == {f"order {user} of {user}" for user in users}
    for user in users:
        found = [*spans.find("invoke_agent", attribution_principal_id=user)]
        found += spans.find("execute_tool", gen_ai_tool_call_id=f"call_{user}")
        assert len(found) >= 2
        for span in found:
            assert_only_of(span, user)


def test_the_hosts_own_hooks_are_called_as_before(spans: Spans, model: Anthropic, tmp_path: Path) -> None:
    called: list[str] = []

    async def hook(given: Any, call_id: Any, context: Any) -> Any:
        called.append(f"{given['hook_event_name']} {call_id}")
        return {}

    model.scripts["a"] = [[(LOOKUP, "call_1", {"order_id": "A"})]]
    hooks: Any = {event: [HookMatcher(hooks=[hook])] for event in ("PreToolUse", "PostToolUse")}
    asyncio.run(ask("a", options(model, tmp_path, hooks=hooks)))
    assert called == ["PreToolUse call_1", "PostToolUse call_1"]


def test_uninstrumented_it_is_the_sdk_alone(
    exporter: InMemorySpanExporter, model: Anthropic, tmp_path: Path
) -> None:
    with installed(exporter, *ADAPTERS):
        pass
    model.scripts["a"] = [_bash()]
    asyncio.run(ask("a", options(model, tmp_path, allowed_tools=["Bash"])))
    assert not [span for span in exporter.get_finished_spans() if said(span, attr.GEN_AI_AGENT_NAME)]
