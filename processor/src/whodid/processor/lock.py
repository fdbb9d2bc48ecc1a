"""The lock on the data folder: one process owns the spool and the embedded store."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FILE = "lock"


class DataLock:
    """Held from `__init__` to `release`; the kernel releases it when the process ends, however it ends.

    Raises WhodidError that names the process which holds it.
    """

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / FILE
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise WhodidError(
                f"the data folder {data_dir} cannot be used: {error.strerror}",
                "choose another with --data-dir or WHODID_DATA_DIR",
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise WhodidError(
                f"the data folder {data_dir} is in use by another whodid (pid {holder or 'unknown'})",
                "stop that process, or choose another folder with --data-dir",
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    @property
    def handle(self) -> int:
        """For a child process to inherit: the folder stays locked until the last that has it ends."""
        return self._handle

    def release(self) -> None:
        # The file stays: removing it would let two processes lock two files of the same name.
        os.ftruncate(self._handle, 0)
        os.close(self._handle)

    def __enter__(self) -> DataLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
