"""The attribution on every span, whoever makes it."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.agent_spans import Recorded
from whodid.instrumentation import attribution, core, stamping


def test_others_spans_are_stamped(recorded: Recorded) -> None:
    with attribution(principal="alice"), trace.get_tracer("http").start_as_current_span("GET"):
        pass
    assert recorded.said("GET")["attribution.principal.id"] == "alice"


def test_what_a_span_says_already_stays(recorded: Recorded) -> None:
    tracer = trace.get_tracer("framework")
    with (
        attribution(principal="alice"),
        core.agent_span("support", adapter="test"),
        tracer.start_as_current_span("own", attributes={"gen_ai.agent.name": "its own name"}),
    ):
        pass
    assert recorded.said("own")["gen_ai.agent.name"] == "its own name"
    assert recorded.said("own")["attribution.delegation.chain"] == ("alice", "support")


def test_the_parents_context_counts_and_not_the_current_one(recorded: Recorded) -> None:
    tracer = trace.get_tracer("queue")
    with attribution(principal="alice"):
        elsewhere = core.agent_start("a", adapter="test")
    with attribution(principal="bob"):
        tracer.start_span("of alice", context=elsewhere.context).end()
        tracer.start_span("of nobody", context=Context()).end()
    elsewhere.finish()
    assert recorded.said("of alice")["attribution.principal.id"] == "alice"
    assert recorded.said("of nobody") == {}


def test_a_provider_of_the_hosts_is_stamped_once() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    assert stamping.install(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert stamping.install(provider)
    with attribution(principal="alice"), provider.get_tracer("x").start_as_current_span("x"):
        pass
    said = dict(exporter.get_finished_spans()[0].attributes or {})
    assert said["attribution.principal.id"] == "alice"
    processors = provider._active_span_processor._span_processors  # pyright: ignore[reportPrivateUsage]
    assert len(processors) == 2


def test_the_apis_own_providers_cannot_be_stamped() -> None:
    assert not stamping.install(trace.NoOpTracerProvider())
    assert not stamping.install(None)
