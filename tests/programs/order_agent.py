"""A LangGraph agent that looks up an order, with an offline model: the program that tests instrument.

    python order_agent.py [openinference | openllmetry | opentelemetry | langsmith]

The first argument switches on that instrumentation, as its own documentation says, and sends its spans to
OTEL_EXPORTER_OTLP_ENDPOINT; without one, the program leaves telemetry to whoever runs it. With
SECOND_OTLP_ENDPOINT its spans go there as well. LangSmith is switched on by its own variables too.
"""

# pyright: basic
# The frameworks' types are incomplete.

from __future__ import annotations

import os
import sys
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_core.tracers.langchain import wait_for_all_tracers
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from whodid.instrumentation import attribution


class OfflineModel(GenericFakeChatModel):
    """Says what it was given to say, whatever tools it is offered."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


@tool
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id}: paid"


def answers() -> list[AIMessage]:
    call = {"name": "lookup_order", "args": {"order_id": "1002"}, "id": "call_order_1002"}
    return [AIMessage("", tool_calls=[call]), AIMessage("It is paid.")]


def instrument(name: str) -> None:
    """Switches on somebody else's instrumentation."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    if name == "langsmith":  # part of LangChain: its variables have switched it on
        return
    if name == "openinference":
        from openinference.instrumentation.langchain import LangChainInstrumentor
    elif name == "opentelemetry":
        from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor
    else:
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor as LangChainInstrumentor
    LangChainInstrumentor().instrument(tracer_provider=provider)


def main() -> None:
    if len(sys.argv) > 1:
        instrument(sys.argv[1])
    provider: Any = trace.get_tracer_provider()
    if "SECOND_OTLP_ENDPOINT" in os.environ:
        second = OTLPSpanExporter(endpoint=os.environ["SECOND_OTLP_ENDPOINT"], insecure=True)
        provider.add_span_processor(BatchSpanProcessor(second))
    agent = create_agent(OfflineModel(messages=iter(answers())), [lookup_order], name="research-agent")
    with attribution(
        principal="alice@acme.example",
        principal_type="human",
        initiator="alice@acme.example",
        initiator_type="human",
        task="task-rotel",
    ):
        config: Any = {"metadata": {"thread_id": "thread-1", "user_id": "mallory@acme.example"}}
        messages = agent.invoke({"messages": [HumanMessage("Is order 1002 paid?")]}, config)["messages"]
    print(messages[-1].content)
    wait_for_all_tracers()
    provider.shutdown()


if __name__ == "__main__":
    main()
