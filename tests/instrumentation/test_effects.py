"""`@tool_effect`: declared by the author, found through the frameworks' tools, missing where nobody said."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest
from agents import Agent, FunctionTool, RunConfig, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from langchain_core.tools import StructuredTool, tool
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.adapters import for_user, installed, said
from tests.agent_spans import Recorded
from whodid.instrumentation import core, current, digest, effects, tool_effect
from whodid.instrumentation.weakly import ByObject
from whodid.semconv import attributes as attr

# The SDK sends its own traces to its vendor where tracing is on; tests stay offline.
OFFLINE = RunConfig(tracing_disabled=True)
EFFECT, TYPE, ID = (
    attr.ATTRIBUTION_ACTION_EFFECT,
    attr.ATTRIBUTION_RESOURCE_TYPE,
    attr.ATTRIBUTION_RESOURCE_ID,
)


def test_a_langchain_tool(exporter: InMemorySpanExporter) -> None:
    @tool
    @tool_effect(resource="order/{order_id}", effect="write")
    def refund(order_id: str, amount: int) -> str:
        """Refund an order."""
        known = current()
        return json.dumps([known.action_effect, known.resource_type, known.resource_id])

    with installed(exporter, "langchain") as spans:
        given = refund.invoke({"order_id": "17", "amount": 3})
    assert json.loads(given) == ["write", "order", "order/17"]
    span = spans.one("execute_tool")
    assert (said(span, EFFECT), said(span, TYPE), said(span, ID)) == ("write", "order", "order/17")


def test_it_is_known_to_the_decision_before_the_tool_runs(exporter: InMemorySpanExporter) -> None:
    @tool_effect(resource="customer/{customer}", effect="delete")
    @tool
    def delete_customer(customer: str) -> str:
        """Delete a customer."""
        raise AssertionError("it does not run")

    policy = """
    permit (principal, action, resource);
    forbid (principal, action, resource)
    when { context has effect && context.effect == "delete" && context.resource.id == "customer/1002" };
    """
    with installed(exporter, "langchain", policy=policy) as spans:
        assert "denied" in delete_customer.invoke({"customer": "1002"})
    decision = spans.one("evaluate_policy")
    assert (said(decision, EFFECT), said(decision, ID)) == ("delete", "customer/1002")


@pytest.mark.parametrize("above", [True, False])
def test_an_openai_agents_tool(exporter: InMemorySpanExporter, above: bool) -> None:
    declare = tool_effect(resource="order/{order_id}", effect="read")

    async def lookup(order_id: str) -> str:
        """Look an order up."""
        return order_id

    made: Any = declare(function_tool(lookup)) if above else function_tool(declare(lookup))
    assert isinstance(made, FunctionTool)
    assert made.params_json_schema["required"] == ["order_id"], "frameworks still see the signature"
    model = ScriptedModel(
        [[function_call("lookup", {"order_id": "9"}, call_id="c1")], [assistant_message("done")]]
    )
    with installed(exporter, "openai_agents") as spans, for_user("alice"):
        asyncio.run(Runner.run(Agent(name="support", model=model, tools=[made]), "look", run_config=OFFLINE))
    span = spans.one("execute_tool")
    assert (said(span, EFFECT), said(span, TYPE), said(span, ID)) == ("read", "order", "order/9")


def mcp_server() -> MCPServer:
    server = MCPServer("annotated")

    def act(name: str) -> str:
        return name

    for name, hints in (
        ("reads", ToolAnnotations(read_only_hint=True)),
        ("writes", ToolAnnotations(read_only_hint=False, destructive_hint=True)),
        ("idles", ToolAnnotations(title="says nothing of its effect")),
        ("plain", None),
    ):
        server.add_tool(act, name=name, annotations=hints)
    return server


def test_mcp_annotations_and_definitions(exporter: InMemorySpanExporter) -> None:
    async def run() -> None:
        async with Client(mcp_server()) as client:
            with for_user("alice"):
                await client.call_tool("reads", {"name": "before the list"})
                listed = (await client.list_tools()).tools
                assert len(listed) == 4
                for each in listed:
                    await client.call_tool(each.name, {"name": "x"})

    with installed(exporter, "mcp") as spans:
        asyncio.run(run())
    found = [span for span in spans.find("execute_tool") if span.name.startswith("execute_tool")]
    assert [(said(span, attr.GEN_AI_TOOL_NAME), said(span, EFFECT)) for span in found] == [
        ("reads", None),
        ("reads", "read"),
        ("writes", "write"),
        ("idles", None),
        ("plain", None),
    ]
    digests = [said(span, attr.ATTRIBUTION_TOOL_DEFINITION_HASH) for span in found]
    assert digests[0] is None
    assert len(set(digests[1:])) == 4


def test_nothing_is_guessed(recorded: Recorded) -> None:
    @tool_effect(resource="order/{order_id}")
    def by_id(order_id: str | None = None) -> None: ...

    for arguments in ({}, {"order_id": None}, {"order_id": ["1"]}, {"order_id": "x" * 2000}, "no JSON"):
        call = core.ToolCall("by_id", arguments=arguments, tool=by_id)
        action = core.tool_call(call, adapter="test")
        assert (action.attribution.resource_type, action.attribution.resource_id) == ("order", None)
        assert action.attribution.action_effect is None
    undeclared = core.tool_call(core.ToolCall("by_id", arguments={"order_id": "1"}), adapter="test")
    assert undeclared.attribution.resource_type is None, "another tool of the same name declared it"
    by_id("1")
    assert recorded.all() == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"effect": "wriet"}, "wriet"),
        ({"resource": "{order_id}"}, "write a type"),
        ({"resource": "order/{0}"}, "write a type"),
        ({"resource": ""}, "write a type"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(options: dict[str, str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        tool_effect(**options)


def test_the_digest_of_a_definition_is_kept_with_its_tool_and_not_beyond() -> None:
    def made(text: str) -> StructuredTool:
        def same(x: str) -> str:
            return x

        return StructuredTool.from_function(same, name="t", description=text)

    one = made("a")
    definition: dict[str, Any] = {"name": "t", "parameters": {"properties": {"x": 1}}}
    first = digest.definition_hash(definition, one)
    assert first == digest.definition_hash(dict(definition), one) == digest.definition_hash(definition)
    definition["parameters"]["properties"]["x"] = 2  # changed in place, under the eyes of the cache
    assert digest.definition_hash(definition, one) == digest.definition_hash(definition) != first
    kept: ByObject[int] = ByObject(max_objects=2)
    tools = [made(str(number)) for number in range(3)]
    for number in range(3):
        kept.set(tools[number], number)
    assert [kept.get(each) for each in tools] == [0, 1, None]
    tools.clear()
    gc.collect()
    assert len(kept) == 0


def test_generators_and_other_objects_are_marked_only() -> None:
    @tool_effect(effect="read")
    def lines() -> Any:
        yield 1

    assert list(lines()) == [1]
    assert effects.declared(lines).effect == "read"

    class Slotted:
        __slots__ = ("__weakref__",)

    slotted = Slotted()
    assert tool_effect(effect="read")(slotted) is slotted
    assert effects.declared(slotted).effect == "read"
    assert effects.declared(None) is effects.NOTHING
