"""What could not be taken, kept with the reason for someone to look at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from whodid.processor import segment

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = "requests"
SEGMENTS = "segments"
_REASON = ".reason.txt"


class Quarantine:
    """Two folders: refused requests (bounded: the oldest go) and acknowledged segments (never deleted by us).

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
        path = self._folder / REQUESTS / f"{segment.new_id()}.request"
        with self._lock:
            kept = self._known()
            if not _write(path, body, reason, durably=False):
                return
            kept[path] = len(body)
            while len(kept) > self._max_files or sum(kept.values()) > self._max_bytes:
                oldest = next(iter(kept))
                del kept[oldest]
                _remove(oldest)

    def keep_acknowledged(self, name: str, bodies: list[bytes], reason: str) -> bool:
        """Keeps requests that were acknowledged as a segment, which can be moved back into the spool.

        False when it could not be written: then the caller must keep what it has.
        """
        content = b"".join(part for body in bodies for part in (segment.frame(body), body))
        path = self._folder / SEGMENTS / f"{name}{segment.SUFFIX}"
        return _write(path, content, reason, durably=True)

    def keep_tail(self, name: str, content: bytes, reason: str) -> None:
        """Keeps the end of a segment's file that holds no whole frame."""
        self.keep_request(content, f"segment {name}: {reason}")

    def acknowledged_bytes(self) -> int:
        """What the acknowledged segments take: it counts against the spool's limit."""
        try:
            segments = (self._folder / SEGMENTS).glob(f"*{segment.SUFFIX}")
            return sum(path.stat().st_size for path in segments)
        except OSError:
            return 0

    def _known(self) -> dict[Path, int]:
        if self._kept is None:
            try:
                paths = sorted((self._folder / REQUESTS).glob("*.request"))
                self._kept = {path: path.stat().st_size for path in paths}
            except OSError:
                self._kept = {}
        return self._kept


def _write(path: Path, content: bytes, reason: str, *, durably: bool) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.with_suffix(_REASON).write_text(reason + "\n", encoding="utf-8")
        path.write_bytes(content)
        if durably:
            segment.sync(path)
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
