"""Cursors: where the next page of a listing begins, as a text that means something to its question alone."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, cast

from whodid.processor.errors import WhodidError

BEFORE_ALL = (-(2**63), "", "")
"""A key (time in ns, trace, item) before that of every item: where a first page begins."""


class CursorError(WhodidError):
    """The cursor is none that this question gave out."""


def encode(*parts: int | str) -> str:
    """The key of a page's last item, as a text that is safe in a URL."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode(text: str, kinds: tuple[type[int] | type[str], ...]) -> tuple[Any, ...]:
    """The parts that `encode` was given, which have to be of these kinds; whole numbers fit in 64 bits.

    Raises CursorError.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        parts: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _error(text) from None
    if not isinstance(parts, list) or [type(part) for part in cast(list[Any], parts)] != list(kinds):
        raise _error(text)
    values = cast(list[Any], parts)
    if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in values):
        raise _error(text)
    return tuple(values)


def _error(text: str) -> CursorError:
    return CursorError(
        f"{text[:80]!r} is no cursor of this question", "leave it out to begin at the first page"
    )
