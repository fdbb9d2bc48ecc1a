"""Signals: how a process of the service is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from whodid.processor.notices import Say


def stop_on_signal(say: Say, *, at_once: Callable[[], None] | None = None) -> asyncio.Event:
    """The first SIGTERM or SIGINT sets the event; the second ends the process: the spool is durable.

    `at_once` is called before that end.
    """
    stop = asyncio.Event()

    def stop_or_die(number: int) -> None:
        if stop.is_set():
            if at_once is not None:
                at_once()
            os._exit(128 + number)
        say("stopping: no more is taken; what was acknowledged goes to the store")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_or_die, number)
    return stop
