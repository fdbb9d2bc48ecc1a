"""What a process and its children use: CPU time at any moment, memory over time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import psutil

SAMPLE_EVERY_S = 0.1
STOP_TIMEOUT_S = 30
MIB = 1024 * 1024


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(pid: int) -> float:
    """User and system time of the whole tree, with that of children that have ended."""
    total_s = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total_s += times.user + times.system + times.children_user + times.children_system
    return total_s


def resident_mib(pid: int) -> float:
    """The resident memory of the whole tree; what two processes share counts twice."""
    total_bytes = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total_bytes += process.memory_info().rss
    return total_bytes / MIB


class Memory:
    """Samples a tree's resident memory in a thread while the block lasts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.samples: list[tuple[float, float]] = []
        """Seconds since the block began, and MiB."""

    def __enter__(self) -> Memory:
        self._began_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_mib(self) -> float:
        return max(mib for _, mib in self.samples)

    def _sample(self) -> None:
        while True:
            self.samples.append((time.monotonic() - self._began_s, resident_mib(self._pid)))
            if self._stop.wait(SAMPLE_EVERY_S):
                return


@contextlib.contextmanager
def started(
    command: Sequence[str], folder: Path, log: Path, environment: dict[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    """A process that is gone at the end of the block, with all its children."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, env=environment)
    try:
        yield process
    finally:
        children = tree(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
        for each in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                # psutil knows a process by its start time too: an id that was given away is left alone.
                if each.pid != process.pid and each.is_running():
                    each.kill()
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
