"""OTLP/HTTP: POST /v1/traces, as protobuf or JSON, compressed or not. Statuses as in OTLP 1.10."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from whodid.processor.receivers import otlp_json, status
from whodid.processor.stages.decode import MalformedRequestError
from whodid.processor.telemetry import HTTP

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.rpc.status_pb2 import Status

    from whodid.processor.intake import Intake
    from whodid.processor.settings import ReceiverSettings

PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
# What zlib calls them: OTLP asks for gzip, and its exporters offer deflate as well.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_ACCEPTED = {PROTOBUF: b"", JSON: b"{}"}  # an ExportTraceServiceResponse without partial success


class _Refusal(HTTPException):
    """An answer other than 200 that the sender has only itself to thank for."""


def app(intake: Intake, settings: ReceiverSettings) -> Starlette:
    """The ASGI application."""

    max_bytes = settings.max_request_bytes

    async def export(request: Request) -> Response:
        try:
            kind = _media_type(request)
            body_bytes = await take(request, kind, _encoding(request, kind))
        except _Refusal as error:
            intake.telemetry.refused(HTTP, str(error.status_code))
            raise
        except status.REFUSALS as error:
            intake.telemetry.refused(HTTP, type(error).__name__)
            raise
        intake.telemetry.accepted(HTTP, body_bytes)
        return Response(_ACCEPTED[kind], media_type=kind)

    async def take(request: Request, kind: str, encoding: str) -> int:
        with intake.in_hand() as add:
            body = await _read(request, max_bytes, settings.body_timeout_s, add)
            try:
                if encoding in _WINDOW_BITS:
                    body = _unzip(body, encoding, max_bytes)
                    add(len(body))
                wire = otlp_json.to_protobuf(body) if kind == JSON else body
            except MalformedRequestError as error:
                await intake.refuse(body, error.cause)
                raise
            await intake.accept(wire)
            return len(body)

    return Starlette(
        routes=[Route(PATH, export, methods=["POST"])],
        exception_handlers={
            HTTPException: _refused,
            ClientDisconnect: _gone,
            **dict.fromkeys(status.REFUSALS, _not_taken),
        },
    )


def _encoding(request: Request, kind: str) -> str:
    if kind not in _ACCEPTED:
        raise _Refusal(415, f"the content type has to be {PROTOBUF} or {JSON}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", *_WINDOW_BITS):
        known = ", ".join(_WINDOW_BITS)
        raise _Refusal(415, f"the content encoding has to be {known} or none", {"Accept-Encoding": known})
    return encoding


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(request: Request, max_bytes: int, timeout_s: float, add: Callable[[int], None]) -> bytes:
    """The body, never more than `max_bytes` of it in memory, whatever its length is said to be."""
    too_long = _Refusal(413, f"the request is longer than {max_bytes} bytes", {"Connection": "close"})
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 20 or int(declared) > max_bytes):
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                add(len(chunk))
                body += chunk
                if len(body) > max_bytes:
                    raise too_long
    except TimeoutError:
        raise _Refusal(408, f"the body did not arrive within {timeout_s:g} s") from None
    return bytes(body)


def _unzip(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Several gzip members, as RFC 1952 allows; stops as soon as the result is longer than `max_bytes`."""
    out = bytearray()
    while body:
        member = zlib.decompressobj(_WINDOW_BITS[encoding])
        try:
            out += member.decompress(body, max_bytes + 1 - len(out))
        except zlib.error as error:
            raise MalformedRequestError(
                f"the body is no {encoding}: {error}", "check content-encoding"
            ) from None
        if len(out) > max_bytes:
            raise _Refusal(413, f"the request is longer than {max_bytes} bytes after decompression")
        if not member.eof:
            raise MalformedRequestError(f"the {encoding} is cut off", "send the whole body")
        body = member.unused_data
    return bytes(out)


def _answer(request: Request, code: int, body: Status, headers: dict[str, str] | None = None) -> Response:
    """A Status in the request's own content type; JSON, which people can read, where that is neither."""
    if _media_type(request) == PROTOBUF:
        return Response(body.SerializeToString(), code, headers, PROTOBUF)
    return Response(json_format.MessageToJson(body, indent=None), code, headers, JSON)


async def _not_taken(request: Request, error: Exception) -> Response:
    refusal = status.of(error)  # type: ignore[arg-type]
    retry_after_s: int | None = getattr(error, "retry_after_s", None)
    if retry_after_s is None:
        return _answer(request, 400, refusal)
    return _answer(request, 503, refusal, {"Retry-After": str(retry_after_s)})


async def _refused(request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself (no such path, wrong method), and _Refusal."""
    known: Any = error
    message: str = known.detail
    if known.status_code == 404:
        message = f"only traces are taken, at {PATH}"
    return _answer(request, known.status_code, status.status(status.INVALID_ARGUMENT, message), known.headers)


async def _gone(_request: Request, _error: Exception) -> Response:
    """The sender hung up while sending: there is nobody to answer, and nothing to log."""
    return Response(status_code=400)
