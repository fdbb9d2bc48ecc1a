"""Switches whodid on in a process: a provider, stamping, the frameworks' hooks, and flushing at the end."""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import dataclass, field
from typing import Any, Final

import wrapt
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from whodid.instrumentation import (
    caches,
    carriers,
    ending,
    export,
    frameworks,
    guard,
    http_clients,
    inventory,
    model_clients,
    process,
    requirements,
    scopes,
    settings,
    stamping,
    workers,
)
from whodid.instrumentation.export import Target, UnknownProtocolError
from whodid.instrumentation.report import Report

_log = logging.getLogger(__name__)
OTEL_RESOURCE_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"


@dataclass(slots=True)
class _State:
    lock: threading.RLock = field(default_factory=threading.RLock)
    ready: bool = False
    ours: TracerProvider | None = None
    """The provider that we made, while it is the global one."""
    exporting: SpanProcessor | None = None
    target: Target | None = None
    problems: list[str] = field(default_factory=list[str])
    report: Report | None = None


_state: Final = _State()


def init(
    *,
    policy: str | None = None,
    guard_mode: str | None = None,
    capture_content: bool | None = None,
    frameworks_used: tuple[str, ...] | None = None,
    report: bool | None = None,
) -> Report:
    """Switch whodid on in this process; again is harmless. What is None is as the WHODID_* variables say.

    Prints the report to stderr, unless `report` (or WHODID_REPORT) is off; the receiver is asked for it only.
    Raises NotInstrumentedError for what WHODID_REQUIRE names and is not there; nothing else is raised.
    """
    with _state.lock:
        configured = settings.override(
            policy=policy,
            guard_mode=guard_mode,
            capture_content=capture_content,
            frameworks=frameworks_used,
            report=report,
        )
        if policy is not None:
            guard.forget()
        ensure_provider()
        made = Report(problems=[*configured.problems, *_state.problems], target=_state.target)
        _install_adapters(configured.frameworks, made)
        _install_caches(configured.caches, made)
        if configured.model_calls:
            model_clients.install()
        requirements.check(configured.require, configured.frameworks)
        guard.active()  # a policy that cannot be read is said now, not at the first call
        again, _state.report = _state.report is not None, made
    if configured.report and not again:
        if made.target is not None:
            made.answered = export.answers(made.target)
        print("\n".join(made.lines()), file=sys.stderr, flush=True)
    return made


def ensure_provider() -> None:
    """See to it that there is a provider of the SDK's and that it is stamped. Idempotent, and quiet."""
    with _state.lock:
        if _state.ready:
            stamping.install(trace.get_tracer_provider())
            return
        _state.ready = True
        wrapt.wrap_function_wrapper(TracerProvider, "__init__", _stamp_new)
        wrapt.wrap_function_wrapper(trace, "set_tracer_provider", _yield_to_host)
        http_clients.install()
        workers.Workers().install()
        carriers.take_up_environment()
        if not stamping.install(trace.get_tracer_provider()):
            _make_provider()


def flush(timeout_s: float = ending.FLUSH_TIMEOUT_S) -> bool:
    """Send what is waiting; False if that was not done in time."""
    return ending.within(_force_flush, timeout_s)


def _flush_at_exit() -> None:
    scopes.process_ends()
    _force_flush()


def _force_flush() -> None:
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()


def _make_provider() -> None:
    provider = TracerProvider(resource=_resource())
    stamping.install(provider)
    if settings.current().export:
        try:
            _state.target = export.target()
            exporter = export.exporter(_state.target)
            _state.exporting = BatchSpanProcessor(exporter)
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


def _resource() -> Resource:
    # Unique for each instance of a service, as the specification wants it; what the operator says wins.
    if SERVICE_INSTANCE_ID in os.environ.get(OTEL_RESOURCE_ATTRIBUTES, ""):
        return Resource.create()
    return Resource.create({SERVICE_INSTANCE_ID: process.instance_id()})


def _install_adapters(chosen: tuple[str, ...], report: Report) -> None:
    for unknown in [name for name in chosen if name not in frameworks.ADAPTERS]:
        known = ", ".join(frameworks.ADAPTERS)
        report.problems.append(f"WHODID_FRAMEWORKS: no adapter is called {unknown}; there are {known}")
    claimed: set[str] = set()
    for name in frameworks.ADAPTERS:
        try:
            adapter = frameworks.load(name)
            claimed.add(adapter.distribution)
            if chosen and name not in chosen:
                if (version := adapter.installed_version()) is not None:
                    report.found.append((adapter.distribution, version, "not in WHODID_FRAMEWORKS"))
                continue
            adapter.install()
        except Exception as error:  # noqa: BLE001 one adapter must not take the others or the host along
            _log.exception("whodid: the adapter %s cannot be used", name)
            report.problems.append(f"the adapter {name} cannot be used ({type(error).__name__})")
            continue
        report.problems += adapter.problems
        version = adapter.installed_version()
        if version is None:
            report.not_installed.append(adapter.distribution)
        else:
            report.instrumented.append((adapter.distribution, version))
    for distribution, version in inventory.without_adapter(claimed):
        report.found.append((distribution, version, "there is no adapter for it"))


def _install_caches(chosen: tuple[str, ...], report: Report) -> None:
    for name in chosen:
        if name not in caches.CACHES:
            known = ", ".join(caches.CACHES)
            report.problems.append(f"WHODID_CACHES: no cache is called {name}; there are {known}")
            continue
        hooks = caches.load(name)
        hooks.install()
        report.problems += hooks.problems
        version = hooks.installed_version()
        if version is None:
            report.not_installed.append(hooks.distribution)
        else:
            report.instrumented.append((hooks.distribution, version))


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
            given.add_span_processor(_state.exporting)
        setattr(trace, "_TRACER_PROVIDER", given)  # noqa: B010 the API has no other way to replace one
        _state.ours = None
    return None
