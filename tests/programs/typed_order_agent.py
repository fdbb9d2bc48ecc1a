"""A Pydantic AI agent that looks up an order, with an offline model, under Pydantic AI's own instrumentation.

    python typed_order_agent.py [VERSION]

Spans go to OTEL_EXPORTER_OTLP_ENDPOINT. VERSION is that of the instrumentation's format, its default where it
is not given: 2 has names of its own. The agent tries to delete the order too, and nobody is there to approve.
"""

# pyright: basic
# The test model is called back with what the framework's types describe loosely.

from __future__ import annotations

import sys
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent, ApprovalRequired, DeferredToolRequests
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings


def answer(messages: Any, info: Any) -> ModelResponse:
    """What the model says: first look it up, then delete it."""
    name, call_id = (
        ("lookup_order", "call_order_1002") if len(messages) == 1 else ("delete_order", "call_delete")
    )
    return ModelResponse(parts=[ToolCallPart(name, {"order_id": "1002"}, tool_call_id=call_id)])


def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    version: Any = {"version": int(sys.argv[1])} if len(sys.argv) > 1 else {}
    Agent.instrument_all(InstrumentationSettings(**version))
    agent = Agent(FunctionModel(answer), name="research-agent", output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    def lookup_order(order_id: str) -> str:
        """Looks up an order."""
        return f"order {order_id}: paid"

    @agent.tool_plain
    def delete_order(order_id: str) -> str:
        """Deletes an order, if somebody approves."""
        raise ApprovalRequired

    print(agent.run_sync("Is order 1002 paid?").output)
    provider.shutdown()


if __name__ == "__main__":
    main()
