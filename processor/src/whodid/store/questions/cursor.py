"""Where the next page of a listing begins: the last item's sort key, as an opaque text in an address."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, cast

from whodid.processor.errors import WhodidError

MAX_CURSOR_CHARACTERS = 4_096
BEFORE_ALL = (-(2**63), "", "")
"""A key (time in ns, trace, item) before that of every item: where a first page begins."""

_MAX_INT = 2**63 - 1


class CursorError(WhodidError):
    """The text is no cursor of this question."""


def encode(*parts: str | int) -> str:
    """A cursor of a sort key, such as `(start_ns, span_id)`; safe in an address as it is."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(text: str, kinds: Sequence[type]) -> tuple[Any, ...]:
    """The sort key that `encode` was given, whose parts are of these kinds, each `int` or `str`.

    An int is within 64 bits. A cursor comes from outside, like every parameter: it is checked, and its parts
    go into a query as typed parameters. Raises CursorError, also for an empty text.
    """
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        parts: Any = json.loads(raw.decode())
    except (ValueError, binascii.Error, RecursionError):
        raise _refused() from None
    if not isinstance(parts, list):
        raise _refused()
    values = cast("list[Any]", parts)
    if len(values) != len(kinds) or not all(map(_is, values, kinds)):
        raise _refused()
    return tuple(values)


def _is(value: Any, kind: type) -> bool:
    # JSON's true is Python's True, which is an int; a lone surrogate is text that no query can carry.
    if type(value) is not kind:
        return False
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    return abs(value) <= _MAX_INT


def _refused() -> CursorError:
    return CursorError(
        "the cursor is none of this question's",
        "use `next_cursor` of the page before, with the same parameters, or leave it out for the first page",
    )
