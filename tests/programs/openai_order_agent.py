"""An openai-agents agent that looks up an order, offline, under OpenTelemetry's own instrumentation.

    python openai_order_agent.py

Spans go to OTEL_EXPORTER_OTLP_ENDPOINT, and nothing to the agents' vendor.
"""

# pyright: basic
# The instrumentation is untyped.

from __future__ import annotations

from agents import Agent, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


@function_tool
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id}: paid"


def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider, disable_openai_trace_export=True)
    call = function_call("lookup_order", {"order_id": "1002"}, call_id="call_order_1002")
    model = ScriptedModel([[call], [assistant_message("It is paid.")]])
    agent = Agent(name="research-agent", model=model, tools=[lookup_order])
    print(Runner.run_sync(agent, "Is order 1002 paid?").final_output)
    provider.shutdown()


if __name__ == "__main__":
    main()
