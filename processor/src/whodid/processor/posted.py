"""A question's parameters in the body of a POST, for those that are too long for an address."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NoReturn, cast

from starlette.requests import ClientDisconnect

from whodid.processor.errors import WhodidError
from whodid.store.questions.asking import RESERVED, ParameterError, is_many

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.processor.settings import ApiSettings
    from whodid.store.questions import AnyQuestion

MAX_IN_ADDRESS_CHARACTERS = 8_192
"""What servers and proxies take in an address; uvicorn's own bound on the whole head is 64 KiB."""

JSON = "application/json"


class MediaTypeError(WhodidError):
    """The body is of another kind than JSON."""


class BodyTooLongError(WhodidError):
    """The body is longer than `api.max_body_bytes`."""


class BodyTimeoutError(WhodidError):
    """The body did not arrive, or not within `api.body_timeout_s`."""


def takes(question: AnyQuestion) -> bool:
    """Whether one of the question's parameters may be longer than an address."""
    return any(
        getattr(each, "max_length", 0) > MAX_IN_ADDRESS_CHARACTERS
        for field in question.parameters.model_fields.values()
        for each in field.metadata
    )


async def parameters(request: Request, question: AnyQuestion, settings: ApiSettings) -> list[tuple[str, str]]:
    """The body's parameters as names and texts, as an address would have them.

    Raises MediaTypeError, BodyTooLongError, BodyTimeoutError and ParameterError.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise MediaTypeError(f"the content type has to be {JSON}", "send the parameters as a JSON object")
    for name in request.query_params:
        if name not in RESERVED:
            raise ParameterError(
                "of a POST, the question's parameters are in its body",
                f"the address may have {', '.join(RESERVED)}",
            )
    return _texts(question, await _read(request, settings))


async def _read(request: Request, settings: ApiSettings) -> bytes:
    """The body, never more than is allowed of it in memory, whatever its length is said to be."""
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > settings.max_body_bytes:
                    raise BodyTooLongError(
                        f"the body is longer than {settings.max_body_bytes} bytes",
                        "ask with less, or raise api.max_body_bytes",
                    )
    except TimeoutError:
        raise BodyTimeoutError(
            f"the body did not arrive within {settings.body_timeout_s:g} s", "send it faster"
        ) from None
    except ClientDisconnect:
        raise BodyTimeoutError("the sender hung up within the body", "send all of it") from None
    return bytes(body)


def _texts(question: AnyQuestion, body: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in _object(body):
        field = question.parameters.model_fields.get(name)
        if isinstance(value, list) and field is not None and is_many(field):
            found += [(name, _text(name, each)) for each in cast("list[Any]", value)]
        else:
            found.append((name, _text(name, value)))
    return found


def _object(body: bytes) -> list[tuple[str, Any]]:
    """The members of the outermost object, a name twice as two."""
    try:
        # Pairs, so that a name that comes twice is seen; those within are refused with their value.
        pairs: Any = json.loads(body.decode(), object_pairs_hook=tuple, parse_constant=_no_number)
        json.dumps(pairs, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise ParameterError("the body is no JSON in UTF-8", "send an object of parameters") from None
    if not isinstance(pairs, tuple):
        raise ParameterError("the body is no JSON object", "send an object of parameters")
    return list(cast("tuple[tuple[str, Any], ...]", pairs))


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise ParameterError(f"{name[:80]} is no text, number or truth value", "leave out what has no value")
