"""The SDK's provider with an exporter in memory, stamped as by `init()`, and settings of each test's own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.adapters import DENY_DELETE, Spans, installed
from tests.agent_spans import Recorded
from whodid.instrumentation import approvals, guard, settings, stamping


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """The API has one provider a process, so all tests share it."""
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert stamping.install(provider)
    return exporter


@pytest.fixture
def recorded(exporter: InMemorySpanExporter) -> Recorded:
    exporter.clear()
    return Recorded(exporter)


@pytest.fixture
def spans(exporter: InMemorySpanExporter, request: Any) -> Generator[Spans]:
    """Under the adapters that the file of tests names in `ADAPTERS`."""
    with installed(exporter, *request.module.ADAPTERS) as found:
        yield found


@pytest.fixture
def guarded(exporter: InMemorySpanExporter, request: Any) -> Generator[Spans]:
    """The same, and customers are not deleted."""
    with installed(exporter, *request.module.ADAPTERS, policy=DENY_DELETE) as found:
        yield found


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the environment's, and nothing that a test leaves behind."""
    for setting in settings.TABLE:
        monkeypatch.delenv(setting.name, raising=False)
    settings.forget()
    guard.forget()
    approvals.ledger.forget()
    yield
    settings.forget()
    guard.forget()


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., None]:
    """Switch a policy on: `policy(cedar_text, guard_mode="monitor")`."""

    def switch_on(text: str, **overrides: object) -> None:
        file = tmp_path / "policy.cedar"
        file.write_text(text)
        settings.override(policy=str(file), **overrides)
        guard.forget()

    return switch_on
