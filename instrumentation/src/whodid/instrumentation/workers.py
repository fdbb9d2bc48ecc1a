"""Work that is handed over in this program: pools of threads and processes, processes, programs.

A plain `threading.Thread` is not among them: many are started once, in somebody's block, and work for all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextvars import Context as ContextVariables
from functools import partial
from types import ModuleType
from typing import Any, Final, cast

from opentelemetry.context import Context, get_current

from whodid.instrumentation import carriers, peers
from whodid.instrumentation.context import NOTHING_KNOWN, current
from whodid.instrumentation.frameworks.seam import quietly
from whodid.instrumentation.hooks import Hooks
from whodid.instrumentation.scopes import where
from whodid.instrumentation.streams import attached

_log = logging.getLogger(__name__)
_ENV: Final = 10
"""The position of `env` among the arguments of `subprocess.Popen`."""
_POOLS: Final = ("multiprocessing.pool", "concurrent.futures.process")
"""Their processes work for everybody who hands them something."""
_FAILED: Final = "attribution could not be handed over"


class Workers(Hooks):
    """Hooks the standard library's ways of handing work over, `run_in_executor` and `to_thread` as well."""

    name = "workers"
    distribution = "whodid"
    modules = (
        "concurrent.futures.thread",
        "concurrent.futures.process",
        "multiprocessing.process",
        "subprocess",
    )

    def hook(self, module: ModuleType) -> None:
        """Wrap what each of the modules has to offer."""
        match module.__name__:
            case "concurrent.futures.thread":
                self.wrap(module, "ThreadPoolExecutor.submit", _to_thread)
            case "concurrent.futures.process":
                self.wrap(module, "ProcessPoolExecutor.submit", _to_process)
            case "multiprocessing.process":
                self.wrap(module, "BaseProcess.start", _start)
            case _:
                self.wrap(module, "Popen.__init__", _open)


class InContext:
    """A call in the Context of whoever handed it over."""

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self._function = function
        self._context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Called by a thread of the pool's."""
        with attached(self._context):
            return self._function(*args, **kwargs)


class Carried:
    """A call in another process, which goes on as this one is: it can be pickled, a Context cannot."""

    def __init__(self, function: Callable[..., Any], carrier: dict[str, str]) -> None:
        self._function = function
        self._carrier = carrier

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Called in the other process, which may not be switched on: its main module is guarded."""
        try:
            from whodid.instrumentation import (
                init,
            )  # not from where it is: what it starts installs these hooks

            init(report=False)
        except Exception as error:  # noqa: BLE001 the work is done, unobserved
            _log.error("whodid: a process could not be instrumented: %s", where(error))
        with carriers.incoming(self._carrier):
            return self._function(*args, **kwargs)


def _to_thread(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = get_current()
    if not args or not context or _brings_its_own(args[0]):
        return wrapped(*args, **kwargs)
    return wrapped(InContext(args[0], context), *args[1:], **kwargs)


def _brings_its_own(function: Any) -> bool:
    """A call that `asyncio.to_thread` hands over: it runs in a copy of its caller's context variables."""
    return isinstance(function, partial) and isinstance(
        getattr(cast("partial[Any]", function).func, "__self__", None), ContextVariables
    )


def _to_process(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    carrier = quietly("workers", _FAILED, _carrier)
    if not args or not carrier:
        return wrapped(*args, **kwargs)
    return wrapped(Carried(args[0], carrier), *args[1:], **kwargs)


def _start(wrapped: Any, process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    target = getattr(process, "_target", None)
    carrier = quietly("workers", _FAILED, _carrier)
    if target is None or not carrier or getattr(target, "__module__", None) in _POOLS:
        return wrapped(*args, **kwargs)
    process._target = Carried(target, carrier)
    try:
        return wrapped(*args, **kwargs)
    finally:
        process._target = target


def _open(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) <= _ENV:
        env = quietly("workers", _FAILED, lambda: _environment(kwargs.get("env")))
        if env is not None:
            return wrapped(*args, **{**kwargs, "env": env})
    return wrapped(*args, **kwargs)


def _environment(given: Any) -> dict[str, str] | None:
    """The child's environment; None where it stays: nothing is known, or the host has set it itself."""
    if current() is NOTHING_KNOWN:
        return None
    env = dict(os.environ if given is None else given)
    if any(variable in env for variable in carriers.VARIABLES.values()):
        return None
    carriers.leave_in(env)
    return env


def _carrier() -> dict[str, str] | None:
    return carriers.outgoing() if peers.sends_to(peers.THIS_MACHINE) else None
