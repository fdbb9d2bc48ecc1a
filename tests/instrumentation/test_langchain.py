"""The langchain adapter, with real tools, called alone and by a real agent with an offline model."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, InjectedToolArg, ToolException, tool
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.adapters import DENY_DELETE, Spans, assert_only_of, for_user, installed, said
from whodid.instrumentation import current, settings
from whodid.instrumentation.context import NOTHING_KNOWN
from whodid.instrumentation.digest import freeze
from whodid.semconv import attributes as attr

ADAPTERS = ("langchain",)


@tool
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id} of {current().principal_id}"


@tool
async def lookup_order_async(order_id: str) -> str:
    """Looks up an order."""
    await asyncio.sleep(0)
    return f"order {order_id} of {current().principal_id}"


deleted: list[str] = []


@tool
def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    deleted.append(customer)
    return "deleted"


def call(name: str, call_id: str = "call_1", **arguments: Any) -> dict[str, Any]:
    """A tool call as a model's message has it."""
    return {"name": name, "args": arguments, "id": call_id, "type": "tool_call"}


def test_a_tool_call(spans: Spans) -> None:
    with for_user("alice"):
        message = lookup_order.invoke(call("lookup_order", order_id="A-1"))
    assert message.content == "order A-1 of alice"
    executed = spans.one()
    assert executed.name == "execute_tool lookup_order"
    assert said(executed, attr.GEN_AI_OPERATION_NAME) == "execute_tool"
    assert said(executed, attr.GEN_AI_TOOL_CALL_ID) == "call_1"
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) == "human_initiated"  # no agent is about
    assert said(executed, attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH) == freeze({"order_id": "A-1"}).hash
    assert said(executed, attr.GEN_AI_TOOL_CALL_ARGUMENTS) is None
    assert said(executed, attr.GEN_AI_TOOL_CALL_RESULT) is None
    assert current() is NOTHING_KNOWN


def test_a_tool_that_is_invoked_without_a_call(spans: Spans) -> None:
    assert lookup_order.invoke("A-1") == "order A-1 of None"
    executed = spans.one()
    assert said(executed, attr.GEN_AI_TOOL_CALL_ID) is None
    assert said(executed, attr.ATTRIBUTION_ACTION_MODE) is None  # neither an agent nor an initiator is known


@pytest.mark.parametrize("of", [lookup_order, lookup_order_async])
def test_async_calls_have_one_span(spans: Spans, of: BaseTool) -> None:
    """A tool that is not async runs in a thread of an executor."""

    async def run() -> Any:
        with for_user("alice"):
            return await of.ainvoke(call(of.name, order_id="A-1"))

    assert asyncio.run(run()).content == "order A-1 of alice"
    assert spans.names() == [f"execute_tool {of.name}"]


def test_content_is_recorded_where_it_is_switched_on(spans: Spans) -> None:
    settings.override(capture_content=True)
    lookup_order.invoke(call("lookup_order", order_id="A-1"))
    executed = spans.one()
    assert said(executed, attr.GEN_AI_TOOL_CALL_ARGUMENTS) == '{"order_id":"A-1"}'
    assert said(executed, attr.GEN_AI_TOOL_CALL_RESULT) == '"order A-1 of None"'
    assert said(executed, attr.GEN_AI_TOOL_DESCRIPTION) == "Looks up an order."


def test_what_the_framework_injects_is_no_argument(spans: Spans) -> None:
    @tool
    def with_secret(order_id: str, secret: Annotated[object, InjectedToolArg]) -> str:
        """Has something that no model may give."""
        return f"{order_id} {secret is not None}"

    assert with_secret.invoke({"order_id": "A", "secret": object()}) == "A True"
    assert said(spans.one(), attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH) == freeze({"order_id": "A"}).hash


@pytest.mark.parametrize("is_async", [False, True])
def test_a_denied_call_is_a_message_with_an_error(guarded: Spans, is_async: bool) -> None:
    deleted.clear()
    with for_user("alice"):
        asked = call("delete_customer", customer="C")
        message: ToolMessage = (
            asyncio.run(delete_customer.ainvoke(asked)) if is_async else delete_customer.invoke(asked)
        )
    assert deleted == []
    assert isinstance(message, ToolMessage)
    assert message.status == "error"
    assert (message.tool_call_id, message.name) == ("call_1", "delete_customer")
    assert "denied by policy (rule no-deletion)" in str(message.content)
    assert guarded.names() == ["evaluate_policy delete_customer"]
    assert said(guarded.one(), attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "deny"


def test_a_denied_call_without_an_id_is_a_text(guarded: Spans) -> None:
    assert "denied by policy" in delete_customer.invoke({"customer": "C"})
    assert guarded.find("execute_tool") == []


def test_arguments_that_are_not_json_are_denied_where_a_guard_is_on(guarded: Spans) -> None:
    @tool
    def take(value: Any) -> str:
        """Takes anything."""
        return "taken"

    assert "could not be checked" in take.invoke({"value": object()})
    assert guarded.names() == ["evaluate_policy take"]
    assert said(guarded.one(), attr.ATTRIBUTION_POLICY_DECISION_OUTCOME) == "error"


def test_a_tools_exception_passes_and_is_recorded(spans: Spans) -> None:
    @tool
    def failing(order_id: str) -> str:
        """Fails."""
        raise LookupError(order_id)

    with pytest.raises(LookupError):
        failing.invoke(call("failing", order_id="A"))
    executed = spans.one()
    assert executed.status.status_code is StatusCode.ERROR
    assert said(executed, attr.ERROR_TYPE) == "LookupError"


def test_an_exception_that_the_tool_makes_a_message_of(spans: Spans) -> None:
    @tool
    def failing(order_id: str) -> str:
        """Fails."""
        raise ToolException(order_id)

    failing.handle_tool_error = True
    assert failing.invoke(call("failing", order_id="A")).status == "error"
    assert said(spans.one(), attr.ERROR_TYPE) == "tool_error"


def test_a_tool_inside_of_a_tool_is_an_action_of_its_own(guarded: Spans) -> None:
    @tool
    def tidy_up(customer: str) -> str:
        """Uses another tool, which the policy has to see."""
        return str(delete_customer.invoke({"customer": customer}))

    deleted.clear()
    assert "denied by policy" in tidy_up.invoke({"customer": "C"})
    assert deleted == []
    assert guarded.names() == [
        "evaluate_policy tidy_up",
        "evaluate_policy delete_customer",
        "execute_tool tidy_up",
    ]


def test_a_call_that_cannot_be_read_is_denied_only_where_a_guard_is_on(
    exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(BaseTool):
        name: str = "odd"
        description: str = "odd"

        def _filter_injected_args(self, tool_input: Any) -> Any:
            # The first caller is the adapter; the framework's own use of it must not fail.
            if not asked:
                asked.append(tool_input)
                raise RuntimeError("changed in a later version")
            return super()._filter_injected_args(tool_input)

        def _run(self, customer: str) -> str:
            return f"ran for {customer}"

    asked: list[Any] = []
    with installed(exporter, *ADAPTERS) as spans:
        assert Odd().invoke({"customer": "C"}) == "ran for C"
        assert spans.names() == []
    asked.clear()
    with installed(exporter, *ADAPTERS, policy=DENY_DELETE):
        assert "could not be checked" in Odd().invoke({"customer": "C"})
    assert caplog.text.count("a tool call could not be read") == 1


def test_eight_users_at_once(spans: Spans) -> None:
    users = [f"user{number}" for number in range(8)]

    def in_thread(user: str) -> str:
        with for_user(user):
            return lookup_order.invoke(call("lookup_order", f"call_{user}", order_id=user)).content

    async def in_task(user: str) -> str:
        with for_user(user):
            message = await lookup_order_async.ainvoke(
                call("lookup_order_async", f"call_{user}", order_id=user)
            )
            return message.content

    async def gather() -> list[str]:
        return await asyncio.gather(*(in_task(user) for user in users))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(in_thread, users)) == [f"order {user} of {user}" for user in users]
    assert asyncio.run(gather()) == [f"order {user} of {user}" for user in users]
    for user in users:
        found = spans.find(attribution_principal_id=user)
        assert len(found) == 2
        for span in found:
            assert_only_of(span, user)
