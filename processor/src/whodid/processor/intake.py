"""Intake: what both receivers do with a request: check it, keep it durably, or refuse it with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from whodid.processor.errors import WhodidError
from whodid.processor.recent import Recent
from whodid.processor.spool import SpoolUnavailableError
from whodid.processor.stages.decode import MalformedRequestError, check

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from whodid.processor.quarantine import Quarantine
    from whodid.processor.spool import Spool
    from whodid.processor.telemetry import Telemetry

WARN_EVERY_S = 10.0
ROOM_TIMEOUT_S = 0.5


class BusyError(WhodidError):
    """Too many requests are in hand; this one may be sent again soon."""

    retry_after_s = 1


class Intake:
    """Lives on the event loop, one for both receivers."""

    def __init__(
        self,
        spool: Spool,
        quarantine: Quarantine,
        *,
        max_concurrent_requests: int,
        max_in_flight_bytes: int,
        max_request_bytes: int,
        max_spans: int = 0,
        max_copied_bytes: int = 0,
        telemetry: Telemetry,
        say: Callable[[str], None],
        recent: Recent | None = None,
    ) -> None:
        self.telemetry = telemetry
        self._recent = recent or Recent(window_s=0, max_requests=0)
        self._spool = spool
        self._quarantine = quarantine
        self._max_concurrent_requests = max_concurrent_requests
        self._max_in_flight_bytes = max_in_flight_bytes
        self._max_request_bytes = max_request_bytes
        self._max_spans = max_spans
        self._max_copied_bytes = max_copied_bytes
        self._reading_count = 0
        self._released = asyncio.Event()
        self.in_hand_count = 0
        self.in_flight_bytes = 0
        self._refused = Warnings("refused a request", say)
        self._full = Warnings("told a sender to retry", say)

    @contextlib.contextmanager
    def in_hand(self) -> Generator[Callable[[int], None]]:
        """Counts a request while it is read and written; yields what counts bytes that come into memory.

        Both raise BusyError: what is in memory is bounded. To be entered before the body is read.
        """
        if self.in_hand_count >= self._max_concurrent_requests:
            raise self._busy("too many requests at once")
        if self.in_flight_bytes >= self._max_in_flight_bytes:
            raise self._busy("too many bytes in flight")
        mine_bytes = 0

        def add(size_bytes: int) -> None:
            nonlocal mine_bytes
            mine_bytes += size_bytes
            self.in_flight_bytes += size_bytes
            if self.in_flight_bytes > self._max_in_flight_bytes:
                raise self._busy("too many bytes in flight")

        self.in_hand_count += 1
        try:
            yield add
        finally:
            self.in_hand_count -= 1
            self.in_flight_bytes -= mine_bytes
            self._released.set()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """Around the read of a message whose length nobody knows before: keeps room for the longest.

        Waits a little for that room, and then raises BusyError.
        """
        try:
            async with asyncio.timeout(ROOM_TIMEOUT_S):
                while not self._has_room():
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError:
            raise self._busy("too many bytes in flight") from None
        self._reading_count += 1
        try:
            yield
        finally:
            self._reading_count -= 1
            self._released.set()

    def _has_room(self) -> bool:
        reserved_bytes = (self._reading_count + 1) * self._max_request_bytes
        return self.in_flight_bytes + reserved_bytes <= self._max_in_flight_bytes

    def _busy(self, cause: str) -> BusyError:
        self._full.warn(cause)
        return BusyError(cause, f"retry after {BusyError.retry_after_s} s")

    async def accept(self, body: bytes) -> None:
        """Returns when the request is durable.

        Raises MalformedRequestError (never send it again) or SpoolUnavailableError (send it again later).
        """
        try:
            copied_bytes = check(body, self._max_spans, self._max_copied_bytes)
        except MalformedRequestError as error:
            await self.refuse(body, error.cause)
            raise
        if not body:
            return  # an empty request asks whether someone is here
        try:
            await self._durable(body, copied_bytes)
        except SpoolUnavailableError as error:
            self._full.warn(error.cause)
            raise

    async def _durable(self, body: bytes, copied_bytes: int) -> None:
        """Returns when the request is on disk, by this call or by an earlier one that brought the same."""
        if not self._recent.enabled:
            await self._spool.append(body, copied_bytes)
            return
        digest = self._recent.digest(body)
        durable = self._recent.find(digest)
        if durable is None:
            durable = self._spool.put(body, copied_bytes)
            self._recent.keep(digest, durable)
        # Another sender may wait for the same: it must not be cancelled with this one.
        await asyncio.shield(durable)

    async def refuse(self, body: bytes, reason: str) -> None:
        """Keeps the bytes of a request that nobody can decode, and says so, but not every time."""
        self._refused.warn(f"{reason} (its bytes are in quarantine)")
        await asyncio.to_thread(self._quarantine.keep_request, body, reason)


class Warnings:
    """One kind of warning: said at once, then at most every WARN_EVERY_S, with how often it was held back."""

    def __init__(self, what: str, say: Callable[[str], None]) -> None:
        self._what = what
        self._say = say
        self._next_s = 0.0
        self._held_back = 0

    def warn(self, reason: str) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            self._held_back += 1
            return
        more = f" (and {self._held_back} more since the last warning)" if self._held_back else ""
        self._say(f"warning: {self._what}: {reason}{more}")
        self._next_s = now_s + WARN_EVERY_S
        self._held_back = 0
