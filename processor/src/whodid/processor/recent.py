"""The requests of the last minutes, by digest: the same one sent again after a lost answer is known."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass

from blake3 import blake3

_DIGEST_BYTES = 16


@dataclass(slots=True)
class _Known:
    expires_at_s: float
    in_flight: asyncio.Future[None] | None


class Recent:
    """A bounded window of requests. Lives on the event loop; `recover` is called before that runs.

    `window_s` 0 or `max_requests` 0 switch it off.
    """

    def __init__(self, *, window_s: float, max_requests: int) -> None:
        self._window_s = window_s
        self._max_requests = max_requests if window_s > 0 else 0
        self._known: dict[bytes, _Known] = {}
        self.repeated_requests = 0

    @property
    def enabled(self) -> bool:
        return self._max_requests > 0

    def digest(self, body: bytes) -> bytes:
        # What is known is not stored, so nobody may be able to make two bodies of one digest. BLAKE3 is
        # sound, and takes a third of the time of SHA-256, the fastest of the standard library's.
        return blake3(body).digest()[:_DIGEST_BYTES]

    def find(self, digest: bytes) -> asyncio.Future[None] | None:
        """What to wait for before the same request may be acknowledged; None for one that is not known."""
        known = self._known.get(digest)
        if known is None or known.expires_at_s < time.monotonic():
            return None
        self.repeated_requests += 1
        if known.in_flight is not None:
            return known.in_flight
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        durable.set_result(None)
        return durable

    def keep(self, digest: bytes, durable: asyncio.Future[None]) -> None:
        """Remembers a request that is on its way to the disk; forgets it again if it does not get there."""
        self._remember(digest, self._window_s, durable)
        durable.add_done_callback(functools.partial(self._settled, digest))

    def recover(self, body: bytes, written_at_s: float) -> None:
        """Remembers a request that an earlier process left in the spool, written by this Unix time."""
        left_s = self._window_s - max(time.time() - written_at_s, 0.0)
        if self.enabled and left_s > 0:
            self._remember(self.digest(body), left_s, None)

    def _remember(self, digest: bytes, left_s: float, in_flight: asyncio.Future[None] | None) -> None:
        now_s = time.monotonic()
        self._known.pop(digest, None)
        self._known[digest] = _Known(now_s + left_s, in_flight)
        # They stand in the order of their expiry, but for recovered ones, which cost no more than patience.
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) <= self._max_requests and self._known[oldest].expires_at_s >= now_s:
                return
            del self._known[oldest]

    def _settled(self, digest: bytes, durable: asyncio.Future[None]) -> None:
        known = self._known.get(digest)
        if known is None or known.in_flight is not durable:
            return
        if durable.cancelled() or durable.exception() is not None:
            del self._known[digest]
        else:
            known.in_flight = None
