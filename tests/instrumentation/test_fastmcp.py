"""The fastmcp adapter, beside the one for mcp, with real clients and servers in this process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import fastmcp
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from opentelemetry.trace import SpanKind, StatusCode

from tests.adapters import Spans, assert_only_of, for_user, said
from whodid.instrumentation import core, current
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.semconv import attributes as attr

ADAPTERS = ("fastmcp", "mcp")
SAYS_SO = hasattr(fastmcp.settings, "telemetry_mode")
"""Whether the framework's own spans of a call say that it is one: since version 4."""


deleted: list[str] = []


def orders() -> Any:
    server: Any = FastMCP("orders")

    def lookup_order(order_id: str) -> str:
        known = current()
        return json.dumps([order_id, known.principal_id, known.action_id, list(known.chain)])

    def failing(order_id: str) -> str:
        raise LookupError(order_id)

    def delete_customer(customer: str) -> str:
        deleted.append(customer)
        return "deleted"

    async def lookup_twice(order_id: str) -> str:
        return str((await server.call_tool("lookup_order", {"order_id": order_id})).content[0].text)

    for function in (lookup_order, failing, delete_customer, lookup_twice):
        server.tool(function)
    return server


async def ask(server: Any, tool: str, **arguments: Any) -> Any:
    async with Client(server) as client:
        return json.loads((await client.call_tool(tool, arguments)).data)


def test_a_call_is_an_action_and_the_framework_s_spans_are_its_spans(spans: Spans) -> None:
    async def run() -> Any:
        with for_user("alice"), core.agent_span("support", adapter="test"):
            return await ask(orders(), "lookup_order", order_id="A")

    answer = asyncio.run(run())
    calls = spans.find("execute_tool")
    assert [span.kind for span in calls] == [
        SpanKind.SERVER,
        SpanKind.CLIENT if SAYS_SO else SpanKind.INTERNAL,
    ]
    assert calls[0].name == "tools/call lookup_order"
    [action_id] = {said(span, attr.ATTRIBUTION_ACTION_ID) for span in calls}
    assert answer == ["A", "alice", action_id, ["alice", "support"]]
    assert {said(span, attr.ATTRIBUTION_ACTION_MODE) for span in calls} == {"autonomous"}
    assert ("execute_tool lookup_order" in spans.names()) is not SAYS_SO


@pytest.mark.skipif(not SAYS_SO, reason="before version 4 it is not told to make none")
def test_where_the_framework_makes_no_spans_ours_is_made(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastmcp.settings, "telemetry_mode", "propagation_only")

    async def run() -> Any:
        with for_user("alice"):
            return await ask(orders(), "lookup_order", order_id="A")

    answer = asyncio.run(run())
    executed = spans.one("execute_tool")
    assert executed.name == "execute_tool lookup_order"
    assert answer[:3] == ["A", "alice", said(executed, attr.ATTRIBUTION_ACTION_ID)]


def test_a_denied_call_is_not_sent(guarded: Spans) -> None:
    deleted.clear()

    async def run() -> None:
        with for_user("alice"):
            async with Client(orders()) as client:
                await client.call_tool("delete_customer", {"customer": "C"})

    with pytest.raises(ToolError, match=r"denied by policy \(rule no-deletion\)"):
        asyncio.run(run())
    assert deleted == []
    assert said(guarded.one("evaluate_policy"), attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"
    assert guarded.find("execute_tool") == []


def test_a_tool_s_error(spans: Spans) -> None:
    with pytest.raises(ToolError):
        asyncio.run(ask(orders(), "failing", order_id="A"))
    calls = spans.find("execute_tool")
    assert {span.status.status_code for span in calls} == {StatusCode.ERROR}
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in calls}) == 1


def test_a_program_that_calls_its_own_server(guarded: Spans) -> None:
    deleted.clear()
    server = orders()

    async def run() -> Any:
        with for_user("alice"):
            found = await server.call_tool("lookup_order", {"order_id": "A"})
            with pytest.raises(ToolError, match="denied by policy"):
                await server.call_tool("delete_customer", {"customer": "C"})
            return json.loads(found.content[0].text)

    answer = asyncio.run(run())
    assert deleted == []
    executed = guarded.one("execute_tool")
    assert answer[:3] == ["A", "alice", said(executed, attr.ATTRIBUTION_ACTION_ID)]


def test_a_tool_that_calls_another_of_its_server_is_one_action(spans: Spans) -> None:
    async def run() -> Any:
        with for_user("alice"):
            return await ask(orders(), "lookup_twice", order_id="A")

    answer = asyncio.run(run())
    assert {said(span, attr.ATTRIBUTION_ACTION_ID) for span in spans.find("execute_tool")} == {answer[2]}


def test_a_call_from_a_tool_s_body_is_a_part_of_the_tool_s_action(spans: Spans) -> None:
    async def run() -> None:
        with for_user("alice"), core.agent_span("support", adapter="test"):
            action = core.tool_call(core.ToolCall("lookup", "call_1", {}), adapter="test")
            with action.executing():
                await ask(orders(), "lookup_order", order_id="A")

    asyncio.run(run())
    assert len({said(span, attr.ATTRIBUTION_ACTION_ID) for span in spans.find("execute_tool")}) == 1
    assert {said(span, attr.GEN_AI_TOOL_CALL_ID) for span in spans.find("execute_tool")} == {"call_1"}


def test_one_connection_serves_many_users(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    async def one(client: Any, user: str) -> Any:
        with for_user(user):
            return json.loads((await client.call_tool("lookup_order", {"order_id": user})).data)[:2]

    async def run() -> list[Any]:
        with for_user("opener"):
            client: Any = Client(orders())
            await client.__aenter__()
        try:
            found = await asyncio.gather(*(one(client, user) for user in users))
            nobody = json.loads((await client.call_tool("lookup_order", {"order_id": "-"})).data)
            return [*found, nobody[:2]]
        finally:
            await client.__aexit__(None, None, None)

    assert asyncio.run(run()) == [*([user, user] for user in users), ["-", None]]
    assert current() is NOTHING_KNOWN
    for user in users:
        calls = spans.find("execute_tool", attribution_principal_id=user)
        assert len(calls) == 2
        for span in spans.find(attribution_principal_id=user):
            assert_only_of(span, user)
