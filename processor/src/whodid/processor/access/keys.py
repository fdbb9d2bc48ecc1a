"""The public keys of who signs the proxy's JWTs: from a file, or fetched and kept for a while."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 256 * 1024
FETCH_TIMEOUT_S = 5.0
FRESH_S = 600.0
RETRY_S = 30.0
"""Between two fetches at the least, whoever asks for keys that are not there."""
STALE_S = 24 * 3600.0
"""How long keys are believed while none can be fetched."""


class KeysError(WhodidError):
    """There are no keys; nobody is let in by a JWT until there are."""


class Keys:
    """One issuer's keys."""

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._is_address = source.startswith("https://")
        self._clock = clock
        self._lock = asyncio.Lock()
        self._found: KeySet | None = None
        self._found_at_s = 0.0
        self._tried_at_s: float | None = None
        self._signature: tuple[int, int] | None = None

    async def get(self, *, newer: bool = False) -> KeySet:
        """The keys. `newer`: a key was not among them, so look again, if that was not done just now.

        Raises KeysError.
        """
        if not self._is_address:
            return self._from_file()
        if self._found is None or newer or self._age_s() > FRESH_S:
            async with self._lock:
                await self._fetch(newer=newer)
        if self._found is None or self._age_s() > STALE_S:
            raise KeysError(f"no keys could be fetched from {self._source}", "check access.proxy.jwks")
        return self._found

    def _age_s(self) -> float:
        return self._clock() - self._found_at_s

    async def _fetch(self, *, newer: bool) -> None:
        now_s = self._clock()
        if self._tried_at_s is not None and now_s - self._tried_at_s < RETRY_S:
            return
        if self._found is not None and not newer and self._age_s() <= FRESH_S:
            return  # who had the lock before has fetched them
        self._tried_at_s = now_s
        content = await asyncio.to_thread(_download, self._source)
        if content is not None and (found := _parsed(content)) is not None:
            self._found, self._found_at_s = found, now_s

    def _from_file(self) -> KeySet:
        path = Path(self._source)
        try:
            seen = path.stat()
            signature = (seen.st_ino, seen.st_mtime_ns)
            if self._found is None or signature != self._signature:
                self._found = _parsed(path.read_bytes()[: MAX_BYTES + 1])
                self._signature = signature
        except OSError as error:
            raise KeysError(
                f"access.proxy.jwks cannot be read: {error.strerror}", "name the file with the keys"
            ) from error
        if self._found is None:
            raise KeysError("access.proxy.jwks has no public keys", "it has to be a JWKS (RFC 7517)")
        return self._found


def _download(url: str) -> bytes | None:
    """Redirects are not followed: the keys are whose the settings say."""
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=FETCH_TIMEOUT_S), retries=False)
    try:
        answer = pool.request("GET", url, redirect=False, preload_content=False)
        try:
            return answer.read(MAX_BYTES + 1) if answer.status == 200 else None
        finally:
            answer.close()
    except (urllib3.exceptions.HTTPError, OSError):
        return None
    finally:
        pool.clear()


def _parsed(content: bytes) -> KeySet | None:
    """The set's public keys. A symmetric one would make who verifies able to sign."""
    if len(content) > MAX_BYTES:
        return None
    try:
        document: Any = json.loads(content)
        kept = [each for each in document["keys"] if each.get("kty") in ("RSA", "EC", "OKP")]
        return KeySet.import_key_set({"keys": kept})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
