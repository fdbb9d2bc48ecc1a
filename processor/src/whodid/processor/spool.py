"""The spool: what is on disk between the acknowledgement and the store.

Requests are appended by the event loop, written and synced in groups by one thread, and taken out as sealed
segments by another for each cursor: the store's, and that of the endpoint which spans are forwarded to. A
request is acknowledged when its bytes are durable, and not before. A segment is removed when every cursor is
past it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
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
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from whodid.processor.quarantine import Quarantine

FOLDER = "spool"
STORE, FORWARD = "store", "forward"
"""The cursors."""
PAST = ".past-"
"""Between a segment's name and a cursor's: a file of that name says that the cursor is past the segment."""
RETRY_AFTER_S = 5
_TAKING = ".taking"
_LOOK_AROUND_EVERY_S = 1.0
_MAX_PARTS = 1024  # of one writev: Linux's IOV_MAX


class SpoolUnavailableError(WhodidError):
    """The spool is full, cannot be written, or is closing: the same request may be taken later."""

    retry_after_s = RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class _Append:
    body: bytes
    copied_bytes: int
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class _Open:
    """The segment that is being written. `size_bytes` ends its durable part."""

    path: Path
    handle: int
    opened_at_s: float
    size_bytes: int = 0
    copied_bytes: int = 0


@dataclass(slots=True)
class _Held:
    """A sealed segment, and the cursors that are not past it."""

    segment: Segment
    awaited: set[str]


class Spool:
    """Segment files in one folder. `append` is called on the event loop, `take` by one thread a cursor.

    `recovered` gets each request that an earlier process left, with the Unix time of its file's last write.
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
        cursors: Sequence[str] = (STORE,),
        recovered: Callable[[bytes, float], None] | None = None,
    ) -> None:
        self._folder = folder
        self._quarantine = quarantine
        self._max_bytes = max_bytes
        self._flush_after_s = flush_after_s
        self._flush_after_bytes = flush_after_bytes
        # Guards everything below but `_open`. Where both locks are held, `_file` was taken first.
        self._changed = threading.Condition()
        self._appends: list[_Append] = []
        self._held: dict[str, _Held] = {}
        self._sealed: dict[str, deque[Segment]] = {cursor: deque() for cursor in cursors}
        self._used_bytes = 0
        # What is in quarantine counts as well: it is acknowledged data, and nothing else bounds it.
        self._quarantined_bytes = quarantine.acknowledged_bytes()
        self._look_around_at_s = 0.0
        self._closing = False
        self._group_count = 0
        self._file = threading.Lock()
        self._open: _Open | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recover(recovered)
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
            return self._used_bytes + self._quarantined_bytes

    @property
    def oldest_age_s(self) -> float:
        """How long the oldest request has been waiting for the first of the cursors; 0 where none waits."""
        with self._changed:
            waiting = next(iter(self._sealed.values()))
            if waiting:
                return max(time.time() - (waiting[0].opened_at_s or time.time()), 0.0)
            opened = self._open
        return time.monotonic() - opened.opened_at_s if opened is not None and opened.size_bytes else 0.0

    async def append(self, body: bytes, copied_bytes: int = 0) -> None:
        """Returns when the body is durable. Raises SpoolUnavailableError, and then it is not kept."""
        await self.put(body, copied_bytes)

    def put(self, body: bytes, copied_bytes: int = 0) -> asyncio.Future[None]:
        """What `append` awaits; for the event loop. The body is written even if nobody awaits it any more.

        `copied_bytes`: how much more it takes once it is rows, which bounds a segment too.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        size_bytes = len(body) + segment.FRAME_BYTES
        with self._changed:
            if self._closing:
                raise SpoolUnavailableError("the service is stopping", "send the request again")
            if self._used_bytes + self._quarantined_bytes + size_bytes > self._max_bytes:
                raise SpoolUnavailableError(
                    f"the spool is full ({self._max_bytes} bytes wait for the store)",
                    "send the request again",
                )
            self._used_bytes += size_bytes
            self._appends.append(_Append(body, copied_bytes, done, loop))
            self._changed.notify_all()
        return done

    def take(self, timeout_s: float, *, now: bool = False, cursor: str = STORE) -> Segment | None:
        """The cursor's oldest sealed segment, or None after `timeout_s`. It stays that until it is `done`.

        Sealing by age happens here: while the store is away nobody takes, and the open segment grows to its
        full size instead of leaving a small file every second. `now` seals whatever there is.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            with self._changed:
                seen = self._group_count
            self._look_around()
            with self._file:
                age_left_s = self._seal_if_due(0.0 if now else self._flush_after_s, cursor)
            with self._changed:
                if self._sealed[cursor]:
                    return self._sealed[cursor][0]
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                if self._group_count == seen:
                    self._changed.wait(min(left_s, age_left_s))

    def following(self, taken: Segment, *, cursor: str = STORE) -> Segment | None:
        """The sealed segment that the cursor will take when it is past this one; None where none is."""
        with self._changed:
            waiting = self._sealed[cursor]
            return waiting[1] if len(waiting) > 1 and waiting[0] is taken else None

    def done(self, taken: Segment, *, cursor: str = STORE) -> None:
        """The cursor is past the segment; it is removed when all are. Raises OSError."""
        with self._changed:
            held = self._held[taken.id]
            last = held.awaited <= {cursor}
        if last:
            taken.path.unlink(missing_ok=True)
            for each in self._sealed:
                _past(taken.path, each).unlink(missing_ok=True)
        else:
            # It survives a restart: otherwise what this cursor is past would be delivered once more.
            _past(taken.path, cursor).touch(mode=0o600)
        segment.sync(self._folder)
        with self._changed:
            self._sealed[cursor].remove(taken)
            held.awaited.discard(cursor)
            # Two cursors may end at the same moment, and each have left the removal to the other.
            if not held.awaited and self._held.pop(taken.id, None):
                self._used_bytes -= taken.size_bytes
                if not last:
                    self._remove(taken)

    def _remove(self, taken: Segment) -> None:
        for path in (taken.path, *(_past(taken.path, each) for each in self._sealed)):
            path.unlink(missing_ok=True)

    def set_aside(self, taken: Segment, reason: str, *, cursor: str = STORE) -> bool:
        """Moves a segment that will never be taken to the quarantine; False if that failed."""
        kept = self._quarantine.keep_acknowledged(taken.id, taken.requests(), reason, cursor)
        if kept:
            self.recount()
            self.done(taken, cursor=cursor)
        return kept

    def recount(self) -> None:
        """To be called after something acknowledged went to the quarantine."""
        quarantined_bytes = self._quarantine.acknowledged_bytes()
        with self._changed:
            self._quarantined_bytes = quarantined_bytes

    def close(self) -> None:
        """Takes no more; returns when all that was appended is durable. `take` still works."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        with self._file:
            self._seal()

    def _recover(self, recovered: Callable[[bytes, float], None] | None) -> None:
        """Seals what an earlier process left. What follows the last whole frame was never acknowledged."""
        for path in self._folder.glob(f"*{_TAKING}"):
            path.rename(path.with_name(path.name.removesuffix(_TAKING)))
        for path in sorted(self._folder.glob(f"*{segment.SUFFIX}")):
            last_write_s = path.stat().st_mtime
            content = path.read_bytes()
            parsed = segment.parse(content)
            if parsed.end < len(content):
                tail = content[parsed.end :]
                self._quarantine.keep_tail(path.name, tail, "the file ends in no whole request")
                os.truncate(path, parsed.end)
            for body in parsed.bodies if recovered else ():
                assert recovered is not None  # noqa: S101 - for the type checker
                recovered(body, last_write_s)
            if parsed.end:
                self._hold(Segment(path, parsed.end))
            else:
                path.unlink()
        for path in self._folder.glob(f"*{segment.SUFFIX}{PAST}*"):
            if path.name.partition(segment.SUFFIX)[0] not in self._held:
                path.unlink()
        self._look_around()

    def _hold(self, sealed: Segment) -> None:
        """Takes a segment's file into the books of the cursors that are not past it."""
        awaited = {cursor for cursor in self._sealed if not _past(sealed.path, cursor).exists()}
        if not awaited:  # the process was killed before it could remove it, or forwarding was switched off
            self._remove(sealed)
            return
        with self._changed:
            self._held[sealed.id] = _Held(sealed, awaited)
            for cursor in awaited:
                self._sealed[cursor].append(sealed)
            self._used_bytes += sealed.size_bytes
            self._changed.notify_all()

    def _look_around(self) -> None:
        """Takes in what someone returned from quarantine, and counts what is there: people move files."""
        with self._changed:
            if time.monotonic() < self._look_around_at_s:
                return
            self._look_around_at_s = time.monotonic() + _LOOK_AROUND_EVERY_S
        self.recount()
        for path in self._quarantine.returned():
            with self._changed:
                known = path.name.removesuffix(segment.SUFFIX) in self._held
            if not known:
                with contextlib.suppress(OSError):  # another worker was faster, or it is tried again
                    self._take_in(path)
                    self.recount()  # afterwards: for a moment it counts twice, and never not at all

    def _take_in(self, path: Path) -> None:
        """Moves a returned segment here with its marks. Raises OSError when it is gone."""
        taking = self._folder / (path.name + _TAKING)
        path.rename(taking)  # only one of several workers gets it; the others leave its marks alone
        for mark in path.parent.glob(f"{path.name}{PAST}*"):
            mark.rename(self._folder / mark.name)
        target = self._folder / path.name
        taking.rename(target)
        segment.sync(self._folder)
        self._hold(Segment(target, target.stat().st_size))

    def _write_groups(self) -> None:
        """The writer thread: all that waits goes to disk with one sync."""
        while True:
            with self._changed:
                while not self._appends and not self._closing:
                    self._changed.wait()
                group = self._group()
                if not group:
                    return
            failure = self._write(group)
            if failure is not None:
                with self._changed:
                    self._used_bytes -= sum(len(each.body) + segment.FRAME_BYTES for each in group)
            _answer(group, failure)

    def _group(self) -> list[_Append]:
        """What waits, as far as one segment may hold it."""
        sums = itertools.accumulate(each.copied_bytes for each in self._appends)
        full = (number for number, copied in enumerate(sums, 1) if copied >= self._flush_after_bytes)
        count = next(full, len(self._appends))
        group, self._appends = self._appends[:count], self._appends[count:]
        return group

    def _write(self, group: Sequence[_Append]) -> SpoolUnavailableError | None:
        with self._file:
            try:
                target = self._open or self._start()
                written_bytes = _write_all(target.handle, [each.body for each in group])
                segment.sync_data(target.handle)
            except (OSError, MemoryError) as error:
                self._abandon()
                return SpoolUnavailableError(f"the spool cannot be written: {error}", "free some disk")
            target.size_bytes += written_bytes
            target.copied_bytes += sum(each.copied_bytes for each in group)
            if max(target.size_bytes, target.copied_bytes) >= self._flush_after_bytes:
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

    def _seal_if_due(self, age_s: float, cursor: str) -> float:
        """Seals the open segment at this age, unless one waits already; otherwise how long until then."""
        if self._open is None or not self._open.size_bytes:
            return threading.TIMEOUT_MAX
        with self._changed:
            if self._sealed[cursor]:
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
            self._used_bytes -= sealed.size_bytes  # which `_hold` adds again
            self._hold(Segment(sealed.path, sealed.size_bytes))


def _write_all(handle: int, bodies: Sequence[bytes]) -> int:
    """Writes the bodies, each in its frame, without copying them; how many bytes that took."""
    parts: list[bytes | memoryview] = []
    for body in bodies:
        parts += (segment.frame(body), body)
    left_bytes = total_bytes = sum(map(len, parts))
    first = 0
    while left_bytes:
        written = os.writev(handle, parts[first : first + _MAX_PARTS])
        left_bytes -= written
        while first < len(parts) and written >= len(parts[first]):
            written -= len(parts[first])
            first += 1
        if written:
            parts[first] = memoryview(parts[first])[written:]
    return total_bytes


def _past(path: Path, cursor: str) -> Path:
    """The file that says that a cursor is past a segment which another one still waits for."""
    return path.with_name(f"{path.name}{PAST}{cursor}")


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
