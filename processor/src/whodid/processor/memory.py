"""How the service's process asks the system for memory: large buffers come and go with every segment."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# mallopt(3): names of glibc's options.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGEST_FROM_HEAP_BYTES = 32 << 20
KEPT_FREE_BYTES = 128 << 20
ARENAS = 2

_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ")
_FILE_MAPPING = re.compile(_MAPPING.pattern + r"\S+ \S+ \S+ +/")


def reuse_buffers() -> None:
    """Lets most freed buffers be used again instead of giving them back.

    A buffer from fresh pages costs the clearing of each of them: a tenth of the service's CPU, measured. The
    few large ones would leave the heap in pieces, and are given back (docs/decisions/0057). Does nothing
    where the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_THRESHOLD, LARGEST_FROM_HEAP_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_FREE_BYTES)
        mallopt(_ARENA_MAX, ARENAS)


def unload_what_starting_took() -> None:
    """Takes files' pages out of resident memory that were read and never written: what is used comes back.

    Most of them are of numba's compiler, whose code nobody runs once the walk is loaded. The system gives up
    such pages by itself where memory is short; whoever limits or watches a process counts them
    (docs/decisions/0058). Does nothing but on Linux, and nothing where /proc cannot be read.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        madvise = ctypes.CDLL(None).madvise
        for start, end in _untouched_file_mappings():
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _untouched_file_mappings() -> Iterator[tuple[int, int]]:
    """Where files lie in memory that cannot be written there, and were not before they could not (proc(5)).

    Relocations are: a page that the linker wrote to counts as anonymous, and would not come back as it was.
    """
    bounds: tuple[int, int] | None = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if header := _FILE_MAPPING.match(line):
            bounds = (int(header[1], 16), int(header[2], 16)) if "w" not in header[3] else None
        elif _MAPPING.match(line):
            bounds = None
        elif bounds is not None and line.startswith("Anonymous:") and line.split()[1] == "0":
            yield bounds
