"""Writes the attribution on every span at its start, whoever makes the span."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from whodid.instrumentation.context import current


class StampingProcessor(SpanProcessor):
    """Stamps a span with the attribution of its parent's Context; what the span says already stays."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Called by the SDK. `parent_context` None means that the span was started in the current Context."""
        attributes = current(parent_context).attributes
        if not attributes:
            return
        said = span.attributes or {}
        missing = {name: value for name, value in attributes.items() if name not in said}
        if missing:
            span.set_attributes(missing)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing: an ended span is read-only."""

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held."""
        del timeout_millis
        return True


_stamped: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_lock: Final = threading.Lock()
_left_alone: Final = ContextVar("whodid_left_alone", default=False)


@contextmanager
def left_alone() -> Generator[None]:
    """Providers that are made in this block are not stamped: what they send goes to somebody else."""
    token = _left_alone.set(True)
    try:
        yield
    finally:
        _left_alone.reset(token)


def install(provider: object) -> bool:
    """Stamp every span of this provider from now on; False if it is no provider of the SDK's. Idempotent."""
    if not isinstance(provider, TracerProvider) or _left_alone.get():
        return False
    with _lock:
        if provider in _stamped:
            return True
        provider.add_span_processor(StampingProcessor())
        _stamped.add(provider)
    return True
