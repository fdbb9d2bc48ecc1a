"""What could not be taken, kept with the reason for someone to look at."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from whodid.processor import segment

FOLDER = "quarantine"
RETURNED = "returned"
"""The folder into which someone moves a segment so that it goes back into the spool, of whichever worker."""
_REASON = ".reason.txt"


class Kept(StrEnum):
    """What is kept, each in the folder of that name."""

    REQUEST = "requests"
    """Refused: the sender was told so. The oldest go."""
    SEGMENT = "segments"
    """Acknowledged, and refused for good by the store. Never deleted by us."""
    FORWARD = "forward"
    """Acknowledged, and refused for good by the endpoint that spans are forwarded to. Never deleted by us."""
    CORRUPT = "corrupt"
    """What stands in the place of a record in a segment's file. Never deleted by us."""


_SUFFIXES = {Kept.REQUEST: ".request", Kept.CORRUPT: ".corrupt"}
_ACKNOWLEDGED = (Kept.SEGMENT, Kept.FORWARD, Kept.CORRUPT)
_BY_CURSOR = {"store": Kept.SEGMENT, "forward": Kept.FORWARD}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in quarantine."""

    kind: Kept
    path: Path
    size_bytes: int
    kept_at_s: float
    """Unix time."""

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def reason_path(self) -> Path:
        return self.path.with_suffix(_REASON)

    @property
    def reason(self) -> str:
        """Empty where nobody can read it any more."""
        try:
            return self.reason_path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""


def entries(folder: Path, kinds: Iterable[Kept] = Kept) -> Iterator[Entry]:
    """What is in a quarantine's folder, by kind and then from the oldest on. Raises OSError."""
    for kind in kinds:
        for path in sorted((folder / kind).glob(f"*{_SUFFIXES.get(kind, segment.SUFFIX)}")):
            try:
                stat = path.stat()
            except FileNotFoundError:  # gone since it was listed: a running service keeps within its bounds
                continue
            yield Entry(kind, path, stat.st_size, stat.st_mtime)


class Quarantine:
    """Refused requests (bounded: the oldest go) and what was acknowledged (never deleted by us).

    Safe to use from several threads. Nothing here raises: it is the last resort, and a full disk must not
    turn a refusal into a crash.
    """

    def __init__(self, folder: Path, *, max_files: int, max_bytes: int) -> None:
        self._folder = folder
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: dict[Path, int] | None = None

    def keep_request(self, body: bytes, reason: str) -> None:
        """Keeps a request that was refused, so was never acknowledged."""
        if self._max_files == 0 or len(body) > self._max_bytes:
            return
        path = self._folder / Kept.REQUEST / f"{segment.new_id()}.request"
        with self._lock:
            kept = self._known()
            if not _write(path, body, reason, durably=False):
                return
            kept[path] = len(body)
            while len(kept) > self._max_files or sum(kept.values()) > self._max_bytes:
                oldest = next(iter(kept))
                del kept[oldest]
                _remove(oldest)

    def keep_acknowledged(self, name: str, bodies: list[bytes], reason: str, cursor: str = "store") -> bool:
        """Keeps requests that were acknowledged as a segment, which can be moved back into the spool.

        `cursor`: whose way out of the spool it was on. False when it could not be written: then the caller
        must keep what it has.
        """
        content = b"".join(part for body in bodies for part in (segment.frame(body), body))
        kind = _BY_CURSOR[cursor]
        # The segment may still be in the spool for the other cursor, and go to the quarantine from there too.
        suffix = "" if kind is Kept.SEGMENT else f"-{kind}"
        return _write(self._folder / kind / f"{name}{suffix}{segment.SUFFIX}", content, reason, durably=True)

    def keep_corrupt(self, name: str, found: segment.Corrupt) -> bool:
        """Keeps what stands in the place of a record of a segment; False when it could not be written."""
        path = self._folder / Kept.CORRUPT / f"{name}-at-{found.offset}.corrupt"
        reason = (
            f"{len(found.content)} bytes at offset {found.offset} of segment {name} are no whole record: "
            "the checksum or the header is not what was written"
        )
        return _write(path, found.content, reason, durably=True)

    def keep_tail(self, name: str, content: bytes, reason: str) -> None:
        """Keeps the end of a segment's file that holds no whole frame."""
        self.keep_request(content, f"segment {name}: {reason}")

    def returned(self) -> list[Path]:
        """The segments that are on their way back into the spool, the oldest first."""
        try:
            return sorted((self._folder / RETURNED).glob(f"*{segment.SUFFIX}"))
        except OSError:
            return []

    def acknowledged_bytes(self) -> int:
        """What was acknowledged and is kept here takes: it counts against the spool's limit."""
        try:
            here = sum(each.size_bytes for each in entries(self._folder, _ACKNOWLEDGED))
        except OSError:
            here = 0
        for path in self.returned():  # on its way back it is no less acknowledged, nor smaller
            with contextlib.suppress(OSError):  # a worker has just taken it in
                here += path.stat().st_size
        return here

    def _known(self) -> dict[Path, int]:
        if self._kept is None:
            try:
                paths = sorted((self._folder / Kept.REQUEST).glob("*.request"))
                self._kept = {path: path.stat().st_size for path in paths}
            except OSError:
                self._kept = {}
        return self._kept


def _write(path: Path, content: bytes, reason: str, *, durably: bool) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.with_suffix(_REASON).write_text(reason + "\n", encoding="utf-8")
        # Never half a file under its name: someone may move it back into the spool at any moment.
        fresh = path.with_suffix(".new")
        fresh.write_bytes(content)
        if durably:
            segment.sync(fresh)
        fresh.replace(path)
        if durably:
            segment.sync(path.parent)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    for each in (path, path.with_suffix(_REASON)):
        try:
            each.unlink(missing_ok=True)
        except OSError:
            return
