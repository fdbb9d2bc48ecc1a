"""A span at work: started once, made current for stretches of code, ended once with what became of it."""

from __future__ import annotations

import functools
import logging
import os
import threading
import traceback
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, TracerProvider

from whodid.instrumentation import settings
from whodid.instrumentation.context import Attribution, current, with_attribution
from whodid.instrumentation.streams import ContextAsyncIterator, ContextIterator, attached
from whodid.semconv import attributes as names

_log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_CONTENT_CHARS: Final = 65_536
"""Recorded content is cut there, because a span is not where a file belongs."""
_MARGIN_CHARS: Final = 8192


@functools.cache
def _version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # slow, and not needed before a span is

    try:
        return version("whodid")
    except PackageNotFoundError:  # a folder on the path, never installed
        return None


_tracers: dict[str, tuple[TracerProvider, Tracer]] = {}


def tracer(adapter: str) -> Tracer:
    """The tracer of one adapter, from whichever provider is the global one now."""
    provider = trace.get_tracer_provider()
    known = _tracers.get(adapter)
    if known is not None and known[0] is provider:
        return known[1]
    made = provider.get_tracer(f"whodid.instrumentation.{adapter}", _version(), names.SCHEMA_URL)
    _tracers[adapter] = (provider, made)
    return made


def error_type(error: BaseException) -> str:
    """The exception's class as OpenTelemetry's `error.type` has it: with its module, unless built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def where(error: BaseException) -> str:
    """The exception's class and the line that raised it, for a log. Its message can hold content."""
    line = traceback.extract_tb(error.__traceback__)[-1:]
    return error_type(error) + "".join(f" at {frame.filename}:{frame.lineno}" for frame in line)


def record_error(span: Span, error: BaseException | str) -> None:
    """Mark a span as failed. Of an exception only the class, since its message can hold content."""
    kind = error if isinstance(error, str) else error_type(error)
    span.set_attribute(names.ERROR_TYPE, kind)
    span.set_status(StatusCode.ERROR, kind)
    if not isinstance(error, str) and settings.current().capture_content:
        # As `record_exception` would, but the redactor sees the words first.
        told = "".join(traceback.format_exception(error))
        span.add_event(
            "exception",
            {
                "exception.type": kind,
                "exception.message": content(error),
                "exception.stacktrace": content(told),
            },
        )


def start_span(
    adapter: str,
    name: str,
    attribution: Attribution,
    attributes: Mapping[str, Any],
    parent: Context | None,
    start_time_ns: int | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] = (),
) -> tuple[Span, Context]:
    """Start a span that carries the attribution, and give the Context in which both are current.

    The attributes go in at the start, so that samplers see them and a provider without stamping has them too.
    """
    context = with_attribution(attribution, parent)
    try:
        span = tracer(adapter).start_span(
            name,
            context=context,
            kind=kind,
            attributes={**attribution.attributes, **attributes},
            links=links,
            start_time=start_time_ns,
        )
    except Exception as error:  # noqa: BLE001 a sampler or processor of the host's; its agent must go on
        _log.error("whodid: a span could not be started: %s", where(error))
        return trace.INVALID_SPAN, context
    return span, trace.set_span_in_context(span, context)


def end_span(span: Span) -> None:
    """End a span; what a processor of the host's raises does not reach the agent."""
    try:
        span.end()
    except Exception as error:  # noqa: BLE001 see above
        _log.error("whodid: a span could not be ended: %s", where(error))


class Scope:
    """A started span with its Context. Thread-safe; every method but `attached` can be called twice."""

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self.context = context
        """The span and the derived attribution are current in it."""
        self._open = True
        self._lock = threading.Lock()
        _at_work.add(self)

    @property
    def attribution(self) -> Attribution:
        """What every span inside says."""
        return current(self.context)

    def attached(self) -> AbstractContextManager[None]:
        """Make the scope current for a block, without ending it afterwards. The block must not `yield`."""
        return attached(self.context)

    def finish(self, error: BaseException | str | None = None) -> None:
        """End the span; `error` is the exception, or the name of the kind of error, if it failed."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        _at_work.discard(self)
        if error is not None:
            record_error(self.span, error)
        end_span(self.span)

    def discard(self) -> None:
        """Never end the span, so that it is never sent: what it stands for did not happen."""
        with self._lock:
            self._open = False
        _at_work.discard(self)

    def running(self, control_flow: tuple[type[BaseException], ...] = ()) -> AbstractContextManager[Scope]:
        """Current for a block, and ended with it.

        `control_flow`: exceptions by which the framework pauses or diverts, which are no failures.
        """
        return _Running(self, control_flow)

    def iterate(self, make: Callable[[], Iterator[T]]) -> ContextIterator[T]:
        """Run the iterator that `make` gives inside this scope, which ends when it does or is dropped."""
        return ContextIterator(make, lambda: (self.context, self.finish))

    def aiterate(self, make: Callable[[], AsyncIterator[T]]) -> ContextAsyncIterator[T]:
        """The same for an async iterator."""
        return ContextAsyncIterator(make, lambda: (self.context, self.finish))


class _Running:
    """The block of a scope at work."""

    __slots__ = ("_block", "_control_flow", "_scope")

    def __init__(self, scope: Scope, control_flow: tuple[type[BaseException], ...]) -> None:
        self._scope = scope
        self._control_flow = control_flow
        self._block: attached | None = None

    def __enter__(self) -> Scope:
        block = attached(self._scope.context)
        block.__enter__()
        self._block = block
        return self._scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        block.__exit__(kind, error, traceback)
        diverted = kind is not None and issubclass(kind, (GeneratorExit, *self._control_flow))
        self._scope.finish(None if diverted else error)

    def __del__(self) -> None:
        """Whoever held the block open dropped it. That is no failure, but the work is over."""
        self.__exit__(GeneratorExit, None, None)


_at_work: Final[weakref.WeakSet[Scope]] = weakref.WeakSet()
PROCESS_ENDED: Final = "process_ended"
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_at_work.clear)  # they are the parent's, which ends them


def process_ends() -> None:
    """End what is still at work: the process ends, and a span that has not ended is never sent."""
    for scope in list(_at_work):
        scope.finish(PROCESS_ENDED)


def content(value: Any) -> str:
    """A value as text for a span, redacted and cut at MAX_CONTENT_CHARS. Only where content capture is on."""
    from whodid.instrumentation import redaction  # its patterns are compiled where content is captured

    text = value if isinstance(value, str) else str(value)
    # What is cut in two is no longer known by its form: so it is cut wide, redacted, and cut.
    return redaction.redact(text[: MAX_CONTENT_CHARS + _MARGIN_CHARS])[:MAX_CONTENT_CHARS]
