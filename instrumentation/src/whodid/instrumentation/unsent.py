"""The folder of requests that were not sent yet: bounded, surely on disk, and shared by processes."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

try:
    import fcntl
except (
    ImportError
):  # Windows has none: two processes may send the same request there, which whodid stores once
    fcntl = None

WAITING: Final = ".otlp"
"""One request each: `ExportTraceServiceRequest`, as it is sent. Their names sort by their age."""
REFUSED: Final = ".refused"
UNFINISHED_S: Final = 3_600
"""After so long nobody is writing any more."""


class FolderFullError(Exception):
    """A request would be beyond the bound."""


class Unsent:
    """One such folder. What processes that are no more have left in it is as good as one's own."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Raises OSError where nothing can be written."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._max_bytes = max_bytes
        self._numbers = count()
        with self.alone():  # its file can be made, and so can others
            self._clear()

    def keep(self, request: bytes) -> None:
        """Returns when it is on disk. Raises FolderFullError, and OSError."""
        if self._bytes() + len(request) > self._max_bytes:
            raise FolderFullError
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        unfinished = self.folder / f".{name}"
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(request)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self.folder / (name + WAITING))
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def waiting(self) -> list[Path]:
        """The requests that wait, the oldest first."""
        return sorted(self.folder.glob(f"[0-9]*{WAITING}"))

    def own(self) -> list[Path]:
        """Those of this process."""
        return sorted(self.folder.glob(f"*-{os.getpid()}-*{WAITING}"))

    def set_aside(self, path: Path) -> Path:
        """It stays, for people, and counts against the bound. Gives where it is."""
        return path.replace(path.with_suffix(REFUSED))

    @contextmanager
    def alone(self) -> Generator[bool]:
        """Whether no other process sends from the folder meanwhile; the death of one that did ends that."""
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _locked(lock)
        finally:
            os.close(lock)

    def _clear(self) -> None:
        """What processes were killed in the midst of writing is no request, and never will be."""
        for path in self.folder.glob(".[0-9]*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > UNFINISHED_S:
                    path.unlink()

    def _bytes(self) -> int:
        # Another process may have sent one between the listing and the look.
        size = 0
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                size += path.stat().st_size
        return size


def _locked(file: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
