"""Switches whodid on in a process: the provider, the hooks of what it is to observe, and a report of both."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass, field
from typing import Final

from whodid.instrumentation import (
    caches,
    export,
    frameworks,
    guard,
    inventory,
    model_clients,
    provider,
    requirements,
    settings,
)
from whodid.instrumentation.report import Report

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _State:
    lock: threading.RLock = field(default_factory=threading.RLock)
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
        provider.ensure()
        made = Report(problems=[*configured.problems, *provider.problems()], target=provider.target())
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
            if (warning := adapter.untested(version)) is not None:
                report.problems.append(warning)
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
