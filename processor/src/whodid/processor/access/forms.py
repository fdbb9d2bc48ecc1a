"""A small form's fields, read with a bound on size and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BYTES = 16 * 1024
MAX_FIELDS = 50
TIMEOUT_S = 15.0


class FormError(WhodidError):
    """The body is no form that is taken here (400)."""


async def form(request: Request, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """The fields of an `application/x-www-form-urlencoded` body. Raises FormError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormError("the request is no form", "send it from the page")
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise FormError(f"the form is longer than {max_bytes} bytes", "send less")
    except (TimeoutError, ClientDisconnect):
        raise FormError("the form did not arrive", "send it again") from None
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise FormError("the form cannot be read", "send it from the page") from None
    if len(dict(pairs)) < len(pairs):
        raise FormError("a field is given twice", "send it from the page")
    return dict(pairs)
