"""The spool: what is on disk between the acknowledgement and the store.

Requests are appended by the event loop, written and synced in groups by one thread, and taken out as sealed
segments by another. A request is acknowledged when its bytes are durable, and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whodid.processor import segment
from whodid.processor.errors import WhodidError
from whodid.processor.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from whodid.processor.quarantine import Quarantine

FOLDER = "spool"
RETRY_AFTER_S = 5


class SpoolUnavailableError(WhodidError):
    """The spool is full, cannot be written, or is closing: the same request may be taken later."""

    retry_after_s = RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class _Append:
    body: bytes
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class _Open:
    """The segment that is being written. `size_bytes` ends its durable part."""

    path: Path
    handle: int
    opened_at_s: float
    size_bytes: int = 0


class Spool:
    """Segment files in one folder. `append` is called on the event loop, the rest by one other thread.

    Raises WhodidError when the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        quarantine: Quarantine,
        *,
        max_bytes: int,
        flush_after_s: float,
        flush_after_bytes: int,
    ) -> None:
        self._folder = folder
        self._quarantine = quarantine
        self._max_bytes = max_bytes
        self._flush_after_s = flush_after_s
        self._flush_after_bytes = flush_after_bytes
        # Guards everything below but `_open`. Where both locks are held, `_file` was taken first.
        self._changed = threading.Condition()
        self._appends: list[_Append] = []
        self._sealed: deque[Segment] = deque()
        self._used_bytes = quarantine.acknowledged_bytes()
        self._closing = False
        self._group_count = 0
        self._file = threading.Lock()
        self._open: _Open | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recover()
        except OSError as error:
            raise WhodidError(
                f"the spool {folder} cannot be used: {error}", "check WHODID_DATA_DIR"
            ) from error
        self._writer = threading.Thread(target=self._write_groups, name="whodid-spool", daemon=True)
        self._writer.start()

    @property
    def used_bytes(self) -> int:
        """What is on disk or about to be, with the acknowledged segments in quarantine."""
        with self._changed:
            return self._used_bytes

    async def append(self, body: bytes) -> None:
        """Returns when the body is durable. Raises SpoolUnavailableError, and then it is not kept."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        size_bytes = len(body) + segment.FRAME_BYTES
        with self._changed:
            if self._closing:
                raise SpoolUnavailableError("the service is stopping", "send the request again")
            if self._used_bytes + size_bytes > self._max_bytes:
                raise SpoolUnavailableError(
                    f"the spool is full ({self._max_bytes} bytes wait for the store)",
                    "send the request again",
                )
            self._used_bytes += size_bytes
            self._appends.append(_Append(body, done, loop))
            self._changed.notify_all()
        await done

    def take(self, timeout_s: float, *, now: bool = False) -> Segment | None:
        """The oldest sealed segment, or None after `timeout_s`. It stays the oldest until it is `done`.

        Sealing by age happens here: while the store is away nobody takes, and the open segment grows to its
        full size instead of leaving a small file every second. `now` seals whatever there is.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            with self._changed:
                seen = self._group_count
            with self._file:
                age_left_s = self._seal_if_due(0.0 if now else self._flush_after_s)
            with self._changed:
                if self._sealed:
                    return self._sealed[0]
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                if self._group_count == seen:
                    self._changed.wait(min(left_s, age_left_s))

    def done(self, taken: Segment, kept_bytes: int = 0) -> None:
        """Removes a segment that is in the store, but for `kept_bytes` in quarantine. Raises OSError."""
        taken.path.unlink(missing_ok=True)
        segment.sync(self._folder)
        with self._changed:
            self._sealed.remove(taken)
            # What is in quarantine still counts: it is acknowledged data, and nothing else bounds it.
            self._used_bytes -= taken.size_bytes - kept_bytes

    def set_aside(self, taken: Segment, reason: str) -> bool:
        """Moves a segment that the store will never take to the quarantine; False if that failed."""
        kept = self._quarantine.keep_acknowledged(taken.id, taken.requests(), reason)
        if kept:
            self.done(taken, kept_bytes=taken.size_bytes)
        return kept

    def close(self) -> None:
        """Takes no more; returns when all that was appended is durable. `take` still works."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        with self._file:
            self._seal()

    def _recover(self) -> None:
        """Seals what an earlier process left. What follows the last whole frame was never acknowledged."""
        for path in sorted(self._folder.glob(f"*{segment.SUFFIX}")):
            content = path.read_bytes()
            bodies, end = segment.parse(content)
            if end < len(content):
                self._quarantine.keep_tail(path.name, content[end:], "the file ends in no whole request")
                os.truncate(path, end)
            if not bodies:
                path.unlink()
                continue
            self._sealed.append(Segment(path, end))
            self._used_bytes += end

    def _write_groups(self) -> None:
        """The writer thread: all that waits goes to disk with one sync."""
        while True:
            with self._changed:
                while not self._appends and not self._closing:
                    self._changed.wait()
                group, self._appends = self._appends, []
                if not group:
                    return
            failure = self._write(group)
            if failure is not None:
                with self._changed:
                    self._used_bytes -= sum(len(each.body) + segment.FRAME_BYTES for each in group)
            _answer(group, failure)

    def _write(self, group: Sequence[_Append]) -> SpoolUnavailableError | None:
        with self._file:
            try:
                target = self._open or self._start()
                content = b"".join(part for each in group for part in (segment.frame(each.body), each.body))
                _write_all(target.handle, content)
                segment.sync_data(target.handle)
            except (OSError, MemoryError) as error:
                self._abandon()
                return SpoolUnavailableError(f"the spool cannot be written: {error}", "free some disk")
            target.size_bytes += len(content)
            if target.size_bytes >= self._flush_after_bytes:
                self._seal()
        with self._changed:
            self._group_count += 1
            self._changed.notify_all()
        return None

    def _start(self) -> _Open:
        path = self._folder / (segment.new_id() + segment.SUFFIX)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._open = _Open(path, handle, time.monotonic())
        segment.sync(self._folder)
        return self._open

    def _abandon(self) -> None:
        """After a failed write or sync the file's end is unknown: cut it off, go on in a new file."""
        if self._open is None:
            return
        # Where even that fails, requests that were refused may be stored all the same: better than lost ones.
        with contextlib.suppress(OSError):
            os.ftruncate(self._open.handle, self._open.size_bytes)
        self._seal()

    def _seal_if_due(self, age_s: float) -> float:
        """Seals the open segment at this age, unless one waits already; otherwise how long until then."""
        if self._open is None or not self._open.size_bytes:
            return threading.TIMEOUT_MAX
        with self._changed:
            if self._sealed:
                return threading.TIMEOUT_MAX
        left_s = self._open.opened_at_s + age_s - time.monotonic()
        if left_s <= 0:
            self._seal()
        return max(left_s, 0.0)

    def _seal(self) -> None:
        if self._open is None:
            return
        sealed, self._open = self._open, None
        with contextlib.suppress(OSError):
            os.close(sealed.handle)
        if not sealed.size_bytes:
            with contextlib.suppress(OSError):
                sealed.path.unlink(missing_ok=True)
            return
        with self._changed:
            self._sealed.append(Segment(sealed.path, sealed.size_bytes))
            self._changed.notify_all()


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _answer(group: Sequence[_Append], failure: SpoolUnavailableError | None) -> None:
    """Wakes the appenders, each on its own loop. One that has gone (a cancelled request) is passed over."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for each in group:
        by_loop.setdefault(each.loop, []).append(each.done)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, failure)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            continue


def _resolve(futures: Sequence[asyncio.Future[None]], failure: SpoolUnavailableError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
