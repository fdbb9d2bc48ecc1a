"""How long after its acknowledgement a span can be queried."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from tests.benchmarks.subjects import Running

POLL_EVERY_S = 0.02
GIVE_UP_AFTER_S = 60


class Freshness:
    """Watches for marked spans (one a request) in the store, in a thread.

    It asks for the table's count every 20 ms, which ClickHouse answers from metadata, and for the marks that
    are missing only when the count has changed: that is the resolution, and what the watching costs the store
    is one small query an insert. A time is therefore too long by up to 20 ms and a query, never too short.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen_after_s: list[float] = []

    def __enter__(self) -> Freshness:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    @property
    def never_seen(self) -> int:
        """How many marks did not turn up; after the block."""
        return len(self._waiting)

    def acknowledged(self, span_id: bytes) -> None:
        with self._lock:
            self._waiting[span_id.hex()] = time.perf_counter()

    def _watch(self) -> None:
        client, subject = self._running.client(), self._running.subject
        seen_rows, give_up_at_s = -1, float("inf")
        while True:
            if self._done.is_set():
                give_up_at_s = min(give_up_at_s, time.monotonic() + GIVE_UP_AFTER_S)
                if not self._waiting or time.monotonic() > give_up_at_s:
                    return
            rows = client.query(f"SELECT count() FROM {subject.table}").result_rows[0][0]
            if rows != seen_rows or self._done.is_set():
                seen_rows = rows
                with self._lock:
                    asked = list(self._waiting)
                query = (
                    f"SELECT {subject.span_id} AS id FROM {subject.table} WHERE id IN {{ids:Array(String)}}"
                )
                if asked:
                    found: Any = client.query(query, parameters={"ids": asked}).result_rows
                    self._note({row[0] for row in found})
            time.sleep(POLL_EVERY_S)

    def _note(self, ids: set[str]) -> None:
        now_s = time.perf_counter()
        with self._lock:
            for each in ids:
                self.seen_after_s.append(now_s - self._waiting.pop(each))
