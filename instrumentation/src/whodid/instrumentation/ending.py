"""Sends what is waiting when the process is told to end; at an ordinary exit the SDK's own hook does it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

FLUSH_TIMEOUT_S: Final = 3.0


def on_sigterm(flush: Callable[[float], Any]) -> bool:
    """Flush on SIGTERM and then do what would have happened without us.

    Only where that is known: in the main thread, with the default disposition or a handler written in Python.
    Gives whether it was installed. A handler that the host sets later replaces ours, as it should.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    before = signal.getsignal(signal.SIGTERM)
    if before is None or before == signal.SIG_IGN:
        return False

    def handle(number: int, frame: FrameType | None) -> None:
        # In a thread of its own: the interrupted code may hold the very lock that a flush takes.
        worker = threading.Thread(target=flush, args=(FLUSH_TIMEOUT_S,), daemon=True)
        worker.start()
        worker.join(FLUSH_TIMEOUT_S)
        if callable(before):
            before(number, frame)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)
    return True
