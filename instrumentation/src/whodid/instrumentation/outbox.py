"""An exporter to a folder, from which a thread sends: a receiver that is away, or a death, loses no span."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from whodid.instrumentation.encoded_spans import decode_spans
from whodid.instrumentation.unsent import FolderFullError, Unsent

_log = logging.getLogger(__name__)

PAUSE_S: Final = 5.0
"""After how long it is tried again, where nothing new comes meanwhile."""
OTHERS_PAUSE_S: Final = 0.1
"""How long it waits for another process that sends from the same folder, and then may have sent all."""
MAX_REFUSALS: Final = 3
"""After so many failures just after others were taken, it is the request, and not the receiver."""


class Outbox(SpanExporter):
    """What it has taken is on disk, and another exporter sends it: an export waits for no receiver."""

    def __init__(self, sender: SpanExporter, unsent: Unsent) -> None:
        self._sender = sender
        self._unsent = unsent
        self._failures: Counter[Path] = Counter()
        """Those that failed least are tried first, so that no request holds up all others."""
        self._refusals: Counter[Path] = Counter()
        self._told_full = False
        self._ended = False
        self._process = 0
        self._begin()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write them to disk. FAILURE if they cannot be, which is logged: then they are lost."""
        try:
            self._unsent.keep(encode_spans(spans).SerializeToString())
        except FolderFullError:
            self._say_full(len(spans))
            return SpanExportResult.FAILURE
        except OSError as error:
            _log.error("whodid: %d spans are lost: %s: %s", len(spans), self._unsent.folder, error.strerror)
            return SpanExportResult.FAILURE
        self._told_full = False
        if self._process != os.getpid():  # a child that was forked, which has no such thread
            self._begin()
        self._wake.set()
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all that this process wrote was sent; it is tried at least once from now."""
        end_s = time.monotonic() + timeout_millis / 1000
        with self._tried:
            first = self._begun + 1
            self._wake.set()
            while self._unsent.own():
                left_s = end_s - time.monotonic()
                if left_s <= 0 or (self._done >= first and self._failed) or not self._tried.wait(left_s):
                    return False
        return True

    def shutdown(self) -> None:
        """Sends no more, and still writes; what waits is for the next process with the folder."""
        self._ended = True
        self._wake.set()
        self._sender.shutdown()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._wake = threading.Event()
        self._wake.set()  # what others left
        self._tried = threading.Condition()
        self._begun = self._done = 0
        self._failed = False
        threading.Thread(target=self._work, name="whodid-outbox", daemon=True).start()

    def _work(self) -> None:
        while not self._ended:
            self._wake.wait(PAUSE_S if self._failed else None)
            self._wake.clear()
            with self._tried:
                self._begun += 1
            failed = not self._send()
            with self._tried:
                self._done, self._failed = self._begun, failed
                self._tried.notify_all()

    def _send(self) -> bool:
        """Send all that waits; False if that ended with a failure."""
        try:
            with self._unsent.alone() as alone:
                some_taken = False
                waiting = self._unsent.waiting()
                if not alone and waiting:
                    time.sleep(OTHERS_PAUSE_S)
                    self._wake.set()
                    return True
                for path in sorted(waiting, key=lambda path: self._failures[path]):
                    if self._ended or not self._sent(path, some_taken):
                        return False
                    some_taken = True
        except Exception as error:  # noqa: BLE001 an exporter's; the thread must not end with it
            _log.warning("whodid: unsent spans wait in %s (%s)", self._unsent.folder, type(error).__name__)
            return False
        return True

    def _sent(self, path: Path, others_taken: bool) -> bool:
        try:
            spans = decode_spans(path.read_bytes())
        except FileNotFoundError:
            return True  # another process has sent it
        except (DecodeError, ValueError):
            self._set_aside(path, "it is no request")
            return True
        if self._sender.export(spans) is SpanExportResult.SUCCESS:
            path.unlink(missing_ok=True)
            self._forget(path)
            return True
        self._failures[path] += 1
        self._refusals[path] += others_taken
        if self._refusals[path] >= MAX_REFUSALS:
            self._set_aside(path, f"it failed {MAX_REFUSALS} times, and others were taken")
        return False

    def _set_aside(self, path: Path, why: str) -> None:
        self._forget(path)
        _log.error("whodid: %s stays and is not sent again: %s", self._unsent.set_aside(path), why)

    def _forget(self, path: Path) -> None:
        self._failures.pop(path, None)
        self._refusals.pop(path, None)

    def _say_full(self, span_count: int) -> None:
        if not self._told_full:
            _log.error(
                "whodid: %d spans are lost, and more may be: %s holds WHODID_UNSENT_MAX_BYTES; "
                "hint: see that the receiver is there (`whodid doctor`), or allow more",
                span_count,
                self._unsent.folder,
            )
        self._told_full = True
