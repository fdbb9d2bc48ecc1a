"""Bodies: requests as they arrived, in one buffer, which is how the decoder walks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """Requests, and where in `data` each begins and ends. What lies between them is nobody's.

    The data cannot be written, wherever they come from: to the compiler that is a type of its own, and every
    type would be compiled once more.
    """

    data: Bytes
    bounds: list[tuple[int, int]]

    @classmethod
    def of(cls, requests: Sequence[bytes] | Self) -> Self:
        """The requests one behind the other, copied; or as they are, where they lie in one buffer."""
        if isinstance(requests, cls):
            return requests
        if len(requests) == 1:
            (request,) = requests
            return cls(np.frombuffer(request, dtype=np.uint8), [(0, len(request))])
        ends = np.cumsum([len(request) for request in requests], dtype=np.int64)
        starts = ends - [len(request) for request in requests]
        # Not b"".join: NumPy asks for large pages, and touching new memory is most of what this costs.
        data = np.empty(sum(len(request) for request in requests), dtype=np.uint8)
        np.concatenate([np.frombuffer(request, dtype=np.uint8) for request in requests] or [data], out=data)
        data.setflags(write=False)
        return cls(data, list(zip(starts.tolist(), ends.tolist(), strict=True)))

    def __len__(self) -> int:
        return len(self.bounds)

    def __iter__(self) -> Iterator[bytes]:
        for start, end in self.bounds:
            yield self.data[start:end].tobytes()


Requests = Sequence[bytes] | Bodies


def parts(requests: Requests, part_bytes: int) -> Iterator[Bodies]:
    """The requests in their order, in parts of about the same size and at least one.

    None is larger than `part_bytes` by more than its last request. The same requests give the same parts.
    """
    whole = Bodies.of(requests)
    ends = np.cumsum([end - start for start, end in whole.bounds], dtype=np.int64)
    count = -(-int(ends[-1]) // part_bytes) if len(ends) else 1
    cuts = np.searchsorted(ends, [int(ends[-1]) * number / count for number in range(1, count)]) + 1
    for first, last in pairwise([0, *cuts.tolist(), len(ends)]):
        if first < last or count == 1:
            yield Bodies(whole.data, whole.bounds[first:last])
