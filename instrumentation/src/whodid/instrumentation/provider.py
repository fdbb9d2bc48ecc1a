"""The process's tracer provider: one of the SDK's, stamped, and the host's own where it has one."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import wrapt
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from whodid.instrumentation import (
    carriers,
    ending,
    export,
    http_clients,
    own_exporters,
    process,
    scopes,
    settings,
    stamping,
    workers,
)
from whodid.instrumentation.export import Target, UnknownProtocolError

if TYPE_CHECKING:
    from whodid.instrumentation.outbox import Outbox

_log = logging.getLogger(__name__)
OTEL_RESOURCE_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"


class _Exporting(BatchSpanProcessor):
    """Ours, until an exporter of the program's own sends to the same receiver."""

    yielded = False

    def on_end(self, span: ReadableSpan) -> None:
        """Sends it, unless the other one does."""
        if not self.yielded:
            super().on_end(span)


@dataclass(slots=True)
class _State:
    lock: threading.RLock = field(default_factory=threading.RLock)
    ready: bool = False
    ours: TracerProvider | None = None
    """The provider that we made, while it is the global one."""
    exporting: _Exporting | None = None
    outbox: Outbox | None = None
    target: Target | None = None
    problems: list[str] = field(default_factory=list[str])


_state: Final = _State()


def target() -> Target | None:
    """Where our own exporter sends; None where there is none: the host's provider has its own."""
    return _state.target


def problems() -> list[str]:
    """What is wrong with it, in words."""
    return list(_state.problems)


def ensure() -> None:
    """See to it that there is a provider of the SDK's and that it is stamped. Idempotent, and quiet."""
    with _state.lock:
        if _state.ready:
            stamping.install(trace.get_tracer_provider())
            return
        _state.ready = True
        wrapt.wrap_function_wrapper(TracerProvider, "__init__", _stamp_new)
        wrapt.wrap_function_wrapper(TracerProvider, "add_span_processor", _yield_to_exporter)
        wrapt.wrap_function_wrapper(trace, "set_tracer_provider", _yield_to_host)
        http_clients.install()
        workers.Workers().install()
        carriers.take_up_environment()
        if not stamping.install(trace.get_tracer_provider()):
            _make_provider()


def flush(timeout_s: float = ending.FLUSH_TIMEOUT_S) -> bool:
    """Send what is waiting; False if that was not done in time, or it waits on disk (WHODID_UNSENT)."""
    sent: list[bool] = []
    return ending.within(lambda: sent.append(_force_flush(timeout_s)), timeout_s) and all(sent)


def _flush_at_exit() -> None:
    scopes.process_ends()
    _force_flush()


def _force_flush(timeout_s: float = ending.FLUSH_TIMEOUT_S) -> bool:
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()
    # What the provider has given it is on disk; a little less time, so that there is some to say so.
    if _state.outbox is None or _state.outbox.force_flush(int(timeout_s * 800)):
        return True
    _log.warning("whodid: the receiver did not answer: spans wait in %s", settings.current().unsent)
    return False


def _make_provider() -> None:
    provider = TracerProvider(resource=_resource())
    stamping.install(provider)
    if settings.current().export:
        try:
            _state.target = export.target()
            exporter = _exporter(_state.target)
            _state.exporting = _Exporting(exporter)
            provider.add_span_processor(_state.exporting)
            ending.at_exit(_flush_at_exit, exporter.shutdown)
        except UnknownProtocolError as error:
            _state.problems.append(
                f"OTEL_EXPORTER_OTLP_PROTOCOL={error} is not known: no spans are sent; "
                f"it takes {' or '.join(export.DEFAULT_ENDPOINTS)}"
            )
        except Exception as error:  # noqa: BLE001 a wrong certificate file must not end the host
            _log.exception("whodid: no spans are sent")
            _state.target = None
            _state.problems.append(
                f"the OTLP exporter cannot be made ({type(error).__name__}): no spans are sent"
            )
    trace.set_tracer_provider(provider)
    _state.ours = provider
    ending.on_sigterm(_force_flush, scopes.process_ends)


def _exporter(to: Target) -> SpanExporter:
    sender = export.exporter(to)
    configured = settings.current()
    if configured.unsent is None:
        return sender
    from whodid.instrumentation.outbox import Outbox  # only where it is asked for: it encodes by itself
    from whodid.instrumentation.unsent import Unsent

    try:
        _state.outbox = Outbox(sender, Unsent(Path(configured.unsent), configured.unsent_max_bytes))
    except OSError as error:
        _state.problems.append(
            f"WHODID_UNSENT: {configured.unsent} cannot be written to ({error.strerror}): "
            "spans that the receiver does not take are lost"
        )
        return sender
    return _state.outbox


def _resource() -> Resource:
    # Unique for each instance of a service, as the specification wants it; what the operator says wins.
    if SERVICE_INSTANCE_ID in os.environ.get(OTEL_RESOURCE_ATTRIBUTES, ""):
        return Resource.create()
    return Resource.create({SERVICE_INSTANCE_ID: process.instance_id()})


def _stamp_new(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Every provider of the SDK's is stamped from its start, also one that never becomes the global one."""
    wrapped(*args, **kwargs)
    try:
        stamping.install(instance)
    except Exception as error:  # noqa: BLE001 a subclass of the host's that is not ready for it yet
        _log.warning("whodid: a TracerProvider could not be stamped (%s)", type(error).__name__)


def _yield_to_host(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A provider that the host sets takes the place of ours, which the API would otherwise refuse.

    The host's own exporters then get its spans as if we were not there, and our receiver still gets them too.
    """
    del instance
    given: Any = args[0] if args else kwargs.get("tracer_provider")
    with _state.lock:
        if (
            _state.ours is None
            or given is _state.ours
            or trace.get_tracer_provider() is not _state.ours
            or not stamping.install(given)
            or not hasattr(trace, "_TRACER_PROVIDER")
        ):
            return wrapped(*args, **kwargs)
        if _state.exporting is not None:
            for processor in own_exporters.processors(given):
                _yield_if_same(processor)
            given.add_span_processor(_state.exporting)
        setattr(trace, "_TRACER_PROVIDER", given)  # noqa: B010 the API has no other way to replace one
        _state.ours = None
    return None


def _yield_to_exporter(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An exporter that the host adds to the provider that ours is on."""
    result = wrapped(*args, **kwargs)
    if _state.exporting is not None and instance is trace.get_tracer_provider():
        _yield_if_same(args[0] if args else kwargs.get("span_processor"))
    return result


def _yield_if_same(processor: Any) -> None:
    """Stops ours where the program sends to the same receiver; not an outbox, which promises more."""
    ours, to = _state.exporting, _state.target
    if ours is None or to is None or ours.yielded or processor is ours:
        return
    try:
        if not own_exporters.sends_to(processor, to):
            return
    except Exception as error:  # noqa: BLE001 an exporter of the host's that is not like the SDK's
        _log.debug("whodid: an exporter could not be looked at (%s)", type(error).__name__)
        return
    if _state.outbox is None:
        ours.yielded = True
        _log.info("whodid: the program sends to %s by itself: whodid does not", to.shown)
    else:
        _log.warning(
            "whodid: the program sends to %s by itself, and whodid too: each span arrives twice. "
            "hint: take that exporter out, or WHODID_UNSENT",
            to.shown,
        )
