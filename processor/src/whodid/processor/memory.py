"""How the service's process asks the system for memory: large buffers come and go with every segment."""

from __future__ import annotations

import ctypes
import sys

from whodid.processor.arrow import pa

# mallopt(3): names of glibc's options.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGEST_FROM_HEAP_BYTES = 64 << 20
KEPT_FREE_BYTES = 256 << 20
ARENAS = 2


def reuse_buffers() -> None:
    """Lets freed buffers be used again instead of giving them back, and one allocator serve Arrow and Python.

    A buffer from fresh pages costs the clearing of each of them: a tenth of the service's CPU, measured. Two
    allocators each keep what the other lacks. Does nothing where the C library is not glibc.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_THRESHOLD, LARGEST_FROM_HEAP_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_FREE_BYTES)
        mallopt(_ARENA_MAX, ARENAS)
