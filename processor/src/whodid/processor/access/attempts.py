"""Failed sign-ins: how many there were from an address in the last minute. A token cannot be guessed; this
keeps who tries all the same from costing much."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 60.0
MAX_ADDRESSES = 10_000


class TooManyAttemptsError(WhodidError):
    """The address has to wait (429)."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many sign-ins failed", f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Attempts:
    """Counts in windows of a minute, an IPv6 network of a site as one address."""

    def __init__(self, max_failed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_failed = max_failed
        self._clock = clock
        self._begun_s = clock()
        self._failed: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raises TooManyAttemptsError."""
        now_s = self._clock()
        if now_s - self._begun_s >= WINDOW_S:
            self._begun_s = now_s
            self._failed.clear()
        # Where so many fail at once that they cannot be told apart, all wait together.
        is_full = len(self._failed) >= MAX_ADDRESSES
        if is_full or self._failed.get(_site(address), 0) >= self._max_failed:
            raise TooManyAttemptsError(max(1, int(self._begun_s + WINDOW_S - now_s)))

    def failed(self, address: str) -> None:
        site = _site(address)
        self._failed[site] = self._failed.get(site, 0) + 1


def _site(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
