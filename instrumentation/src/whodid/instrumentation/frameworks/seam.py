"""What an adapter does with a framework's call: read it, have it decided on, never break the host."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from opentelemetry.context import get_current

from whodid.instrumentation import guard
from whodid.instrumentation.actions import UNKNOWN_DENIAL, Action, ToolCall, tool_call
from whodid.instrumentation.context import current
from whodid.instrumentation.scopes import where

_log = logging.getLogger(__name__)
_said: set[tuple[str, str]] = set()

T = TypeVar("T")
Read = Callable[[], ToolCall]


def decide(adapter: str, read: Read) -> Action | None:
    """Read a call and decide on it. None: it could not be read, and no guard is on: go on unobserved.

    A call that cannot be read is denied where a guard enforces: nobody knows what it would do.
    """
    try:
        call = read()
    except Exception as error:  # noqa: BLE001 a framework that changed must not break its host
        say_once(adapter, "a tool call could not be read", error)
        if not guard.enforcing():
            return None
        here = get_current()
        return Action(
            ToolCall("unknown"), current(here), None, adapter=adapter, parent=here, denial=UNKNOWN_DENIAL
        )
    return tool_call(call, adapter=adapter)


def quietly(adapter: str, what: str, do: Callable[[], T]) -> T | None:
    """Do something of ours beside the host's work; None if it failed, which is said once."""
    try:
        return do()
    except Exception as error:  # noqa: BLE001 see the module's first line
        say_once(adapter, what, error)
        return None


def say_once(adapter: str, what: str, error: BaseException | None = None) -> None:
    """Log a failure of ours, once for each kind of it."""
    if (adapter, what) in _said:
        return
    _said.add((adapter, what))
    # Its class and place, and not its message, which may hold what the host works on.
    _log.error("whodid: %s: %s%s", adapter, what, "" if error is None else f" ({where(error)})")


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str) -> Any:
    """An argument of a wrapped call, however it was given; None if it was not."""
    return args[position] if len(args) > position else kwargs.get(name)
