"""How the service's process asks the system for memory: large buffers come and go with every segment."""

from __future__ import annotations

import ctypes
import sys

# mallopt(3): names of glibc's options.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGEST_FROM_HEAP_BYTES = 32 << 20
KEPT_FREE_BYTES = 128 << 20
ARENAS = 2


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
