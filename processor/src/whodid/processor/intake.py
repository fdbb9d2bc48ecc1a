"""Intake: what both receivers do with a request: check it, keep it durably, or refuse it with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from whodid.processor.errors import WhodidError
from whodid.processor.spool import RETRY_AFTER_S, SpoolUnavailableError
from whodid.processor.stages.decode import MalformedRequestError, check

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from whodid.processor.quarantine import Quarantine
    from whodid.processor.spool import Spool

WARN_EVERY_S = 10.0


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
        say: Callable[[str], None],
    ) -> None:
        self._spool = spool
        self._quarantine = quarantine
        self._max_concurrent_requests = max_concurrent_requests
        self._in_hand_count = 0
        self._refused = Warnings("refused a request", say)
        self._full = Warnings("told a sender to retry", say)

    @contextlib.contextmanager
    def in_hand(self) -> Generator[None]:
        """Counts a request while it is read and written. Raises BusyError: what is in memory is bounded."""
        if self._in_hand_count >= self._max_concurrent_requests:
            error = BusyError("too many requests at once", f"retry after {RETRY_AFTER_S} s")
            self._full.warn(error.cause)
            raise error
        self._in_hand_count += 1
        try:
            yield
        finally:
            self._in_hand_count -= 1

    async def accept(self, body: bytes) -> None:
        """Returns when the request is durable.

        Raises MalformedRequestError (never send it again) or SpoolUnavailableError (send it again later).
        """
        try:
            check(body)
        except MalformedRequestError as error:
            await self.refuse(body, error.cause)
            raise
        if not body:
            return  # an empty request asks whether someone is here
        try:
            await self._spool.append(body)
        except SpoolUnavailableError as error:
            self._full.warn(error.cause)
            raise

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
