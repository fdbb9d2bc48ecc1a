"""Sends what is waiting when the process ends, in bounded time: no receiver keeps a program alive."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_log = logging.getLogger(__name__)

FLUSH_TIMEOUT_S: Final = 5.0
BEFORE_ACTION_TIMEOUT_S: Final = 0.25
PAUSE_S: Final = 30.0
"""For how long nobody waits for a receiver that did not answer in time."""


def within(work: Callable[[], Any], timeout_s: float) -> bool:
    """Do the work in a thread of its own; False if it is not done in time, and goes on without us.

    The SDK's flush heeds no timeout, and code that a signal interrupted may hold the lock that a flush takes.
    """
    worker = threading.Thread(target=work, name="whodid-flush", daemon=True)
    worker.start()
    worker.join(timeout_s)
    return not worker.is_alive()


class Waiting:
    """Waits for the receiver before an action begins, but not again and again for one that is away."""

    def __init__(self) -> None:
        self._not_before_s = 0.0

    def flush(self, work: Callable[[], Any], timeout_s: float = BEFORE_ACTION_TIMEOUT_S) -> bool:
        """Whether it was sent in time."""
        if time.monotonic() < self._not_before_s:
            return False
        if within(work, timeout_s):
            return True
        self._not_before_s = time.monotonic() + PAUSE_S
        _log.warning(
            "whodid: a decision was not sent in %g s; the next %g s no action waits for that",
            timeout_s,
            PAUSE_S,
        )
        return False


before_action: Final = Waiting()


def at_exit(flush: Callable[[], Any], give_up: Callable[[], Any]) -> None:
    """Flush at an ordinary exit. `give_up` ends the exporter's retries: the SDK would wait longer."""

    def end() -> None:
        if not within(flush, FLUSH_TIMEOUT_S):
            give_up()
            _log.warning("whodid: the receiver did not answer in %g s: spans are lost", FLUSH_TIMEOUT_S)

    # Registered after the provider's own hook, so it runs before it.
    atexit.register(end)


def on_sigterm(flush: Callable[[], Any], end: Callable[[], Any]) -> bool:
    """Flush on SIGTERM, and then do what would have happened without us. `end`: before that, if it is death.

    A handler of the host's may let its work finish, and the spans of that end by themselves.

    Only where that is known: in the main thread, with the default disposition or a handler written in Python.
    Gives whether it was installed. A handler that the host sets later replaces ours, as it should.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    before = signal.getsignal(signal.SIGTERM)
    if before is None or before == signal.SIG_IGN:
        return False

    def handle(number: int, frame: FrameType | None) -> None:
        if not callable(before):
            within(end, FLUSH_TIMEOUT_S)
        within(flush, FLUSH_TIMEOUT_S)
        if callable(before):
            before(number, frame)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    return True
