"""The mcp adapter, with real clients and servers: in this process, and over stdio in another one."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer
from opentelemetry import baggage as otel_baggage
from opentelemetry.context import attach, detach
from opentelemetry.trace import SpanKind, StatusCode

from tests.adapters import Spans, assert_only_of, for_user, is_child, said
from whodid.instrumentation import attribution, core, current
from whodid.semconv import attributes as attr

ADAPTERS = ("mcp",)
SERVER = Path(__file__).parents[1] / "programs" / "attributed_server.py"
MODES = ("auto", "legacy")
"""The SDK serves a client in its process without a transport, or, for the older protocol, over streams."""


deleted: list[str] = []


def orders() -> MCPServer:
    server = MCPServer("orders")

    def lookup_order(order_id: str) -> str:
        known = current()
        return json.dumps([order_id, known.principal_id, known.action_id, list(known.chain)])

    def failing(order_id: str) -> str:
        raise LookupError(order_id)

    def delete_customer(customer: str) -> str:
        deleted.append(customer)
        return "deleted"

    for function in (lookup_order, failing, delete_customer):
        server.add_tool(function)
    return server


def text(result: Any) -> str:
    return "".join(part.text for part in result.content)


async def ask(server: Any, tool: str, mode: str = "auto", **arguments: Any) -> Any:
    async with Client(server, mode=mode) as client:
        return await client.call_tool(tool, arguments)


@pytest.mark.parametrize("mode", MODES)
def test_a_call_outside_of_any_tool_is_an_action(spans: Spans, mode: str) -> None:
    async def run() -> Any:
        with for_user("alice"):
            return await ask(orders(), "lookup_order", mode, order_id="A")

    answer = json.loads(text(asyncio.run(run())))
    executed = next(span for span in spans.find("execute_tool") if span.name == "execute_tool lookup_order")
    action_id = said(executed, attr.ATTRIBUTION_ACTION_ID)
    assert answer == ["A", "alice", action_id, ["alice"]]
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_initiated"
    served = next(span for span in spans.find() if span.name == "tools/call lookup_order")
    assert said(served, attr.ATTRIBUTION_ACTION_ID) == action_id
    assert said(served, attr.ATTRIBUTION_PRINCIPAL_ID) == "alice"
    assert served.kind is SpanKind.SERVER


@pytest.mark.parametrize("mode", MODES)
def test_a_call_from_a_tools_body_is_a_part_of_the_tools_action(spans: Spans, mode: str) -> None:
    async def run() -> None:
        with for_user("alice"), core.agent_span("support", adapter="test"):
            action = core.tool_call(core.ToolCall("lookup", "call_1", {}), adapter="test")
            with action.executing():
                await ask(orders(), "lookup_order", mode, order_id="A")

    asyncio.run(run())
    assert [span.name for span in spans.find() if span.name.startswith("execute_tool")] == [
        "execute_tool lookup"
    ]
    executed = next(span for span in spans.find() if span.name == "execute_tool lookup")
    served = next(span for span in spans.find() if span.name == "tools/call lookup_order")
    for name in (attr.ATTRIBUTION_ACTION_ID, attr.ATTRIBUTION_DELEGATION_CHAIN, attr.GEN_AI_TOOL_CALL_ID):
        assert said(served, name) == said(executed, name)
    if mode == "legacy":
        sent = next(span for span in spans.find() if span.name == "MCP send tools/call lookup_order")
        assert is_child(sent, executed)
        assert is_child(served, sent)


def test_a_denied_call_is_not_sent(guarded: Spans) -> None:
    deleted.clear()

    async def run() -> Any:
        with for_user("alice"):
            return await ask(orders(), "delete_customer", "legacy", customer="C")

    result = asyncio.run(run())
    assert result.is_error
    assert "denied by policy (rule no-deletion)" in text(result)
    assert deleted == []
    assert not [name for name in guarded.names() if "tools/call" in name]
    assert said(guarded.one("evaluate_policy"), attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"
    assert guarded.find("execute_tool") == []


def test_a_tools_error(spans: Spans) -> None:
    async def run() -> Any:
        return await ask(orders(), "failing", order_id="A")

    assert asyncio.run(run()).is_error
    executed = next(span for span in spans.find() if span.name == "execute_tool failing")
    assert executed.status.status_code is StatusCode.ERROR
    assert said(executed, attr.ERROR_TYPE) == "tool_error"


@pytest.mark.parametrize("mode", MODES)
def test_the_block_around_a_connection_is_not_the_block_around_a_call(spans: Spans, mode: str) -> None:
    """One connection serves many users: each call is its caller's, and none is the one's who connected."""

    async def run() -> list[Any]:
        with for_user("opener"):
            client = Client(orders(), mode=mode)
            await client.__aenter__()
        try:
            found: list[Any] = []
            for user in ("alice", "bob"):
                with for_user(user):
                    found.append(await client.call_tool("lookup_order", {"order_id": user}))
            found.append(await client.call_tool("lookup_order", {"order_id": "nobody"}))
            return found
        finally:
            await client.__aexit__(None, None, None)

    answers = [json.loads(text(result))[:2] for result in asyncio.run(run())]
    assert answers == [["alice", "alice"], ["bob", "bob"], ["nobody", None]]
    for span in spans.find():
        if span.name.endswith("lookup_order") and said(span, attr.ATTRIBUTION_PRINCIPAL_ID) is not None:
            assert_only_of(span, said(span, attr.ATTRIBUTION_PRINCIPAL_ID))


def test_others_baggage_stays_beside_ours(spans: Spans) -> None:
    seen: list[Any] = []

    async def run() -> None:
        server = orders()
        lowlevel: Server[Any] = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]

        async def look(ctx: Any, call_next: Any) -> Any:
            seen.append(dict(ctx.meta or {}))
            return await call_next(ctx)

        lowlevel.middleware.insert(0, look)
        token = attach(otel_baggage.set_baggage("tenant", "t-1"))
        try:
            with for_user("alice"):
                await ask(server, "lookup_order", "legacy", order_id="A")
        finally:
            detach(token)
        await ask(server, "lookup_order", "legacy", order_id="A")

    asyncio.run(run())
    entries = [meta["baggage"].split(",") for meta in seen if "tenant=t-1" in meta.get("baggage", "")]
    assert entries
    assert all("attribution.principal.id=alice" in entry for entry in entries)
    assert "baggage" not in {key for key in seen[-1] if "alice" in str(seen[-1][key])}


@pytest.mark.parametrize(
    "header",
    ["attribution.principal.id", "attribution.delegation.chain=%5B1%5D", "=,;", "x" * 10_000, "%ff=%"],
)
def test_baggage_that_is_malformed_says_nothing(spans: Spans, header: str) -> None:
    async def run() -> Any:
        async with Client(orders()) as client:
            return await client.call_tool("lookup_order", {"order_id": "A"}, meta={"baggage": header})

    assert json.loads(text(asyncio.run(run())))[1] is None


def attributed_server() -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=[str(SERVER)], env={**os.environ, "WHODID_EXPORT": "0"}
    )


def test_a_server_in_another_process(spans: Spans) -> None:
    async def run() -> list[Any]:
        async with Client(stdio_client(attributed_server())) as client:
            found: list[Any] = []
            for user in ("alice", "bob"):
                with for_user(user), core.agent_span("support", adapter="test"):
                    found.append(json.loads(text(await client.call_tool("whoami", {}))))
            found.append(json.loads(text(await client.call_tool("whoami", {}))))
            return found

    alice, bob, nobody = asyncio.run(run())
    for user, answer in (("alice", alice), ("bob", bob)):
        executed = spans.one("execute_tool", attribution_principal_id=user)
        assert answer == {
            "principal": user,
            "chain": [user, "support"],
            "task": f"task-{user}",
            "action": said(executed, attr.ATTRIBUTION_ACTION_ID),
            "remote": True,
        }
    assert nobody["principal"] is None
    assert nobody["chain"] == []


def test_a_caller_that_says_nothing_is_nobody() -> None:
    """A client without whodid: its calls are not the server's own, in whose block the server runs."""

    async def run() -> Any:
        with for_user("alice"):
            async with Client(stdio_client(attributed_server())) as client:
                return json.loads(text(await client.call_tool("whoami", {})))

    answer = asyncio.run(run())
    assert answer == {"principal": None, "chain": [], "task": None, "action": None, "remote": False}


@pytest.mark.parametrize("mode", MODES)
def test_a_server_over_http(spans: Spans, mode: str) -> None:
    async def run() -> list[Any]:
        app = orders().streamable_http_app()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
            with for_user("the-server"):
                serving = asyncio.create_task(server.serve(sockets=[bound]))
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                url = f"http://127.0.0.1:{bound.getsockname()[1]}/mcp"
                async with Client(url, mode=mode) as client:
                    with for_user("alice"):
                        known = await client.call_tool("lookup_order", {"order_id": "A"})
                    unknown = await client.call_tool("lookup_order", {"order_id": "A"})
                    return [json.loads(text(result))[1:3] for result in (known, unknown)]
            finally:
                server.should_exit = True
                await serving

    known, unknown = asyncio.run(run())
    executed = spans.one("execute_tool", attribution_principal_id="alice", gen_ai_tool_type="function")
    assert known == ["alice", said(executed, attr.ATTRIBUTION_ACTION_ID)]
    assert unknown[0] is None


def test_a_task_that_a_server_starts_by_itself_is_its_own(spans: Spans) -> None:
    """What a server does in its own name inside a request is said by its own block, not by the caller."""

    async def run() -> Any:
        server = MCPServer("orders")

        def tidy_up() -> str:
            with attribution(principal="orders-service", principal_type="service", task="nightly"):
                return json.dumps([current().principal_id, current().action_id, current().task_parent_id])

        server.add_tool(tidy_up)
        with for_user("alice"):
            return await ask(server, "tidy_up", "legacy")

    assert json.loads(text(asyncio.run(run()))) == ["orders-service", None, "task-alice"]


@pytest.mark.parametrize("mode", MODES)
def test_eight_users_at_once_on_one_server(spans: Spans, mode: str) -> None:
    users = [f"user{number}" for number in range(8)]
    server = orders()

    async def one(client: Any, user: str) -> Any:
        with for_user(user):
            return json.loads(text(await client.call_tool("lookup_order", {"order_id": user})))[:2]

    async def run() -> list[Any]:
        async with Client(server, mode=mode) as client:
            return await asyncio.gather(*(one(client, user) for user in users))

    assert asyncio.run(run()) == [[user, user] for user in users]

    def in_thread(user: str) -> Any:
        async def alone() -> Any:
            async with Client(orders(), mode=mode) as client:
                return await one(client, user)

        return asyncio.run(alone())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(in_thread, users)) == [[user, user] for user in users]
    for user in users:
        found = [span for span in spans.find(attribution_principal_id=user) if "lookup_order" in span.name]
        assert len(found) == (4 if mode == "auto" else 6)
        for span in found:
            assert_only_of(span, user)
