"""The mcp adapter with the SDK before version 2, which makes no spans and carries nothing by itself."""

# pyright: basic, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.server.fastmcp import Context, FastMCP
from mcp.shared.memory import create_connected_server_and_client_session as connected
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.adapters import Spans, assert_only_of, for_user, is_child, said
from tests.programs.attributed_first_server import delete_customer, failing, whoami
from whodid.instrumentation import core, current
from whodid.semconv import attributes as attr

ADAPTERS = ("mcp",)
SERVER = Path(__file__).parents[1] / "programs" / "attributed_first_server.py"


def orders() -> FastMCP:
    server = FastMCP("orders", log_level="ERROR")
    for function in (whoami, failing, delete_customer):
        server.add_tool(function)
    return server


@contextlib.asynccontextmanager
async def over_stdio(**more: str) -> AsyncIterator[ClientSession]:
    variables = {**os.environ, "WHODID_EXPORT": "0", **more}
    server = StdioServerParameters(command=sys.executable, args=[str(SERVER)], env=variables)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        await session.list_tools()
        yield session


def text(result: Any) -> str:
    return "".join(part.text for part in result.content)


async def who(session: Any, **more: Any) -> Any:
    return json.loads(text(await session.call_tool("whoami", {}, **more)))


def ours(spans: Spans, name: str) -> list[Any]:
    """The client's spans of actions; a server's have the protocol's method in their names."""
    return [span for span in spans.find("execute_tool") if span.name == f"execute_tool {name}"]


def test_calls_of_a_client(guarded: Spans) -> None:
    async def run() -> list[Any]:
        async with over_stdio() as session:
            with for_user("alice"):
                calls = (
                    ("whoami", {}),
                    ("failing", {"order_id": "A"}),
                    ("delete_customer", {"customer": "C"}),
                )
                return [await session.call_tool(name, given) for name, given in calls]

    results = asyncio.run(run())
    assert [result.isError for result in results] == [False, True, True]
    assert "denied by policy (rule no-deletion)" in text(results[2])
    (ran,), (failed,) = ours(guarded, "whoami"), ours(guarded, "failing")
    assert said(ran, attr.ATTRIBUTION_PRINCIPAL_ID) == "alice"
    assert said(ran, attr.ATTRIBUTION_ACTION_EFFECT) == "read"
    assert said(ran, attr.ATTRIBUTION_TOOL_DEFINITION_HASH) is not None
    assert (ran.status.status_code, failed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert len(guarded.find("evaluate_policy")) == 3


def test_a_server_in_another_process(spans: Spans) -> None:
    async def run() -> list[Any]:
        found: list[Any] = []
        async with over_stdio() as session:
            for user in ("alice", "bob"):
                with for_user(user), core.agent_span("support", adapter="test"):
                    found.append(await who(session))
            found.append(await who(session))
        return found

    *named, nobody = asyncio.run(run())
    for user, answer in zip(("alice", "bob"), named, strict=True):
        executed = next(
            span for span in ours(spans, "whoami") if said(span, attr.ATTRIBUTION_PRINCIPAL_ID) == user
        )
        assert answer == {
            "principal": user,
            "chain": [user, "support"],
            "action": said(executed, attr.ATTRIBUTION_ACTION_ID),
            "remote": True,
            "trace": executed.context.trace_id,
        }
    assert (nobody["principal"], nobody["chain"]) == (None, [])


def test_a_caller_that_says_nothing_is_nobody() -> None:
    async def run() -> Any:
        with for_user("alice"):
            async with over_stdio() as session:
                return await who(session)

    answer = asyncio.run(run())
    assert (answer["principal"], answer["chain"], answer["action"]) == (None, [], None)


@pytest.mark.parametrize("name", ["whoami", "failing"])
def test_a_servers_span_is_a_part_of_its_callers_action(spans: Spans, name: str) -> None:
    async def run() -> None:
        async with connected(orders()._mcp_server) as session:
            with for_user("alice"):
                await session.call_tool(name, {"order_id": "A"})

    asyncio.run(run())
    (executed,) = ours(spans, name)
    served = next(span for span in spans.find() if span.name == f"tools/call {name}")
    assert served.kind is SpanKind.SERVER
    assert is_child(served, executed)
    for attribute in (attr.ATTRIBUTION_ACTION_ID, attr.ATTRIBUTION_PRINCIPAL_ID, attr.GEN_AI_TOOL_NAME):
        assert said(served, attribute) == (said(executed, attribute) or name)
    assert said(served, attr.MCP_METHOD_NAME) == "tools/call"
    assert said(served, attr.ERROR_TYPE) == (None if name == "whoami" else "tool_error")
    assert not [span for span in spans.find() if span.name.startswith("tools/list")]


def test_the_block_around_a_connection_is_not_the_block_around_a_call(spans: Spans) -> None:
    async def run() -> list[Any]:
        found: list[Any] = []
        opened = contextlib.AsyncExitStack()
        with for_user("opener"), core.agent_span("opener", adapter="test"):
            session = await opened.enter_async_context(connected(orders()._mcp_server))
        for user in ("alice", "bob"):
            with for_user(user):
                found.append(await who(session))
        found.append(await who(session))
        await opened.aclose()
        return found

    answers = asyncio.run(run())
    assert [answer["principal"] for answer in answers] == ["alice", "bob", None]
    opener = spans.one("invoke_agent")
    assert opener.context is not None
    assert len({answer["trace"] for answer in answers} | {opener.context.trace_id}) == 4
    for user in ("alice", "bob"):
        for span in spans.find(attribution_principal_id=user):
            assert_only_of(span, user)


def test_who_calls_without_whodid_is_a_trace_of_its_own(spans: Spans) -> None:
    """Neither the trace nor the block of whoever started the server is its callers'."""
    seen: list[Any] = []

    async def run() -> None:
        server = orders()

        def look() -> str:
            seen.append((current().principal_id, trace.get_current_span().parent))
            return "done"

        server.add_tool(look)
        with for_user("opener"), core.agent_span("opener", adapter="test"):
            async with connected(server._mcp_server) as session:
                # Past the hooks, as any client without them.
                from mcp import types

                request = types.CallToolRequest(params=types.CallToolRequestParams(name="look", arguments={}))
                send = type(session).send_request.__wrapped__
                await send(session, types.ClientRequest(request), types.CallToolResult)

    asyncio.run(run())
    assert seen == [(None, None)]


def test_what_the_host_says_in_meta_stays(spans: Spans) -> None:
    seen: list[Any] = []

    async def run() -> None:
        server = orders()

        def look(context: Context) -> str:
            seen.append(context.request_context.meta)
            return "done"

        server.add_tool(look)
        async with connected(server._mcp_server) as session:
            with for_user("alice"):
                await session.call_tool("look", {}, meta={"mine": {"kept": 1}})

    asyncio.run(run())
    (meta,) = seen
    assert meta.mine == {"kept": 1}
    assert "attribution.principal.id=alice" in meta.baggage
    assert meta.traceparent.startswith("00-")


@pytest.mark.parametrize(
    "header", ["attribution.principal.id", "attribution.delegation.chain=%5B1%5D", "x" * 10_000]
)
def test_baggage_that_is_malformed_says_nothing(spans: Spans, header: str) -> None:
    async def run() -> Any:
        async with connected(orders()._mcp_server) as session:
            return await who(session, meta={"baggage": header, "traceparent": "garbage"})

    assert asyncio.run(run())["principal"] is None


@pytest.mark.parametrize("is_peer", [True, False])
def test_a_server_over_http(spans: Spans, monkeypatch: pytest.MonkeyPatch, is_peer: bool) -> None:
    if not is_peer:
        monkeypatch.setenv("WHODID_SEND_TO", "elsewhere.example")

    async def run() -> list[Any]:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            config = uvicorn.Config(orders().streamable_http_app(), log_level="error", ws="none")
            server = uvicorn.Server(config)
            with for_user("the-server"):
                serving = asyncio.create_task(server.serve(sockets=[bound]))
            while not server.started:
                await asyncio.sleep(0.01)
            url = f"http://127.0.0.1:{bound.getsockname()[1]}/mcp"
            found: list[Any] = []
            async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
                await session.initialize()
                for user in ("alice", "bob"):
                    with for_user(user):
                        found.append(await who(session))
            server.should_exit = True
            await serving
            return found

    answers = asyncio.run(run())
    assert [answer["principal"] for answer in answers] == (["alice", "bob"] if is_peer else [None, None])
    traces = {executed.context.trace_id for executed in ours(spans, "whoami")}
    assert {answer["trace"] for answer in answers} == traces  # which trace it is says nobody's name


def test_a_call_that_is_given_up(spans: Spans) -> None:
    async def run() -> None:
        server, entered = orders(), asyncio.Event()

        async def waits() -> str:
            entered.set()
            await asyncio.sleep(30)
            return "late"

        server.add_tool(waits)
        async with connected(server._mcp_server) as session:
            with for_user("alice"):
                call = asyncio.create_task(session.call_tool("waits", {}))
                await entered.wait()
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call

    asyncio.run(run())
    (executed,) = ours(spans, "waits")
    assert executed.status.status_code is StatusCode.ERROR
    served = next(span for span in spans.find() if span.name == "tools/call waits")
    assert said(served, attr.ATTRIBUTION_PRINCIPAL_ID) == "alice"
    assert served.status.status_code is StatusCode.ERROR
