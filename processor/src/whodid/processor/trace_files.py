"""OTLP traces in files: the requests in protobuf, JSON, JSON lines or the collector's frames, bounded."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whodid.processor.arrow import pa
from whodid.processor.errors import WhodidError
from whodid.processor.receivers import otlp_json
from whodid.processor.stages.decode import MalformedRequestError, check

MAX_FRAME_BYTES = 64 << 20
"""A longer frame is no frame. The first byte of a length is then at most 4, with which no protobuf begins."""
MAX_PROBLEMS = 100
"""What is wrong with a file is told this often; beyond that it is counted."""

_LENGTH_BYTES = 4
_SAMPLE_BYTES = 64 << 10
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHER_SIGNALS = {"resourceMetrics": "metrics", "resourceLogs": "logs", "resourceProfiles": "profiles"}
_HINT = "give OTLP traces as protobuf, JSON, JSON lines or the collector's length-prefixed frames"


class Format(StrEnum):
    """How a file holds its requests."""

    PROTOBUF = "protobuf"
    """One serialized ExportTraceServiceRequest (or TracesData, which has the same fields)."""
    JSON = "json"
    """One OTLP/JSON document."""
    JSON_LINES = "jsonl"
    """One OTLP/JSON document a line (OpenTelemetry's File Exporter specification), as of the collector."""
    FRAMES = "length-prefixed"
    """The collector's `format: proto`: before each message its length, 4 bytes, big-endian."""


class UnreadableError(WhodidError):
    """Nothing in the file can be checked."""


class DamagedError(UnreadableError):
    """It cannot be decompressed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something is; both None for the file as a whole."""

    line: int | None = None
    """From 1."""
    offset_bytes: int | None = None
    """In the file as it is after decompression."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as protobuf."""

    body: bytes
    span_count: int
    place: Place


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of a file that is no OTLP."""

    cause: str
    hint: str
    place: Place = field(default_factory=Place)


@dataclass(slots=True)
class Contents:
    """What a file holds."""

    format: Format | None = None
    """None for an empty file."""
    size_bytes: int = 0
    """After decompression."""
    requests: list[Request] = field(default_factory=list[Request])
    problems: list[Problem] = field(default_factory=list[Problem])
    untold_count: int = 0
    """How many more problems there are."""

    @property
    def span_count(self) -> int:
        return sum(request.span_count for request in self.requests)

    def add_problem(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.untold_count += 1


def read(file: BinaryIO, known: Format | None, *, max_bytes: int) -> Contents:
    """The requests in a file of the format `known`, or else of the one that it looks like.

    gzip and zstd are undone. What is wrong with a part of the file is among the problems. Raises OSError, and
    UnreadableError when the whole is longer than `max_bytes` or cannot be decompressed.
    """
    content = _decompressed(_bounded(file, max_bytes), max_bytes).removeprefix(codecs.BOM_UTF8)
    contents = Contents(size_bytes=len(content))
    if not content.strip():
        return contents
    contents.format = known or _detect(content)
    for place, part in _parts(content, contents, max_bytes):
        try:
            request = _request(part, place, contents.format)
        except MalformedRequestError as error:
            contents.add_problem(Problem(error.cause, error.hint, place))
        else:
            contents.requests.append(request)
    return contents


def _bounded(stream: Any, max_bytes: int) -> bytes:
    """All of a stream. It is asked once for one byte too many, so no more than that is ever in memory."""
    content: bytes = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableError(
            "there is more to read than --max-bytes allows", "check it in parts, or raise --max-bytes"
        )
    return content


def _decompressed(content: bytes, max_bytes: int) -> bytes:
    """Raises DamagedError, or UnreadableError when there is too much."""
    name, stream = "", io.BytesIO(content)
    try:
        if content.startswith(_GZIP):
            name, stream = "gzip", gzip.GzipFile(fileobj=stream)
        elif content.startswith(_ZSTD):
            name, stream = "zstd", pa.CompressedInputStream(pa.BufferReader(content), "zstd")
        else:
            return content
        return _bounded(stream, max_bytes)
    # What gzip, zlib and Arrow raise on what is cut off or no such stream.
    except (EOFError, OSError, zlib.error) as error:
        raise DamagedError(f"the {name} stream is damaged: {error}", "was it copied completely?") from None


def _detect(content: bytes) -> Format:
    if content[0] <= MAX_FRAME_BYTES >> 24:
        return Format.FRAMES
    # A request begins with the byte that is also a line feed, and may go on with what looks like a brace.
    if content[0] == ord("\n") and _is_protobuf(content):
        return Format.PROTOBUF
    if not content.lstrip().startswith(b"{") and not _is_text(content[:_SAMPLE_BYTES]):
        return Format.PROTOBUF
    return Format.JSON if _is_one_document(content) else Format.JSON_LINES


def _is_protobuf(content: bytes) -> bool:
    try:
        check(content)
    except MalformedRequestError:
        return False
    return True


def _is_text(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return not any(byte < 9 for byte in sample)


def _is_one_document(content: bytes) -> bool:
    """Whether this JSON is one document, possibly a broken one over several lines, and not one a line."""
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        lines = (line for line in io.BytesIO(content) if line.strip())
        next(lines, None)
        return not any(line.startswith(b"{") for line in lines)
    return True


def _parts(content: bytes, contents: Contents, max_bytes: int) -> Iterator[tuple[Place, bytes]]:
    """The requests as they are in the file."""
    if contents.format is Format.JSON_LINES:
        for number, line in enumerate(io.BytesIO(content), start=1):
            if line.strip():
                yield Place(line=number), line
    elif contents.format is Format.FRAMES:
        yield from _frames(content, contents, max_bytes)
    else:
        yield Place(), content


def _frames(content: bytes, contents: Contents, max_bytes: int) -> Iterator[tuple[Place, bytes]]:
    """The messages between the lengths. With `compression: zstd` the collector compresses each by itself."""
    offset = 0
    while offset < len(content):
        place = Place(offset_bytes=offset)
        first = offset + _LENGTH_BYTES
        length, left = int.from_bytes(content[offset:first], "big"), len(content) - first
        if length > MAX_FRAME_BYTES or length > left:
            cause = (
                f"no message of {length} bytes, as its length says, is here: {max(left, 0)} bytes are left"
            )
            hint = "was the file copied while it was written? Behind a wrong length nothing can be found"
            contents.add_problem(Problem(cause, hint, place))
            return
        offset = first + length
        message = content[first:offset]
        try:
            body = _decompressed(message, max_bytes - contents.size_bytes + length)
        except DamagedError as error:
            contents.add_problem(Problem(error.cause, error.hint, place))
            continue
        contents.size_bytes += len(body) - length
        yield place, body


def _request(part: bytes, place: Place, format_: Format) -> Request:
    """Raises MalformedRequestError."""
    is_json = format_ in (Format.JSON, Format.JSON_LINES)
    if format_ is Format.FRAMES:  # either may be in them; no request in protobuf begins with a brace
        is_json = part.startswith(b"{")
    body = _from_json(part) if is_json else part
    check(body)
    message = ExportTraceServiceRequest.FromString(body)
    if body and not message.resource_spans:
        raise MalformedRequestError("there are no OTLP traces in it", _HINT)
    spans = (scope.spans for resource in message.resource_spans for scope in resource.scope_spans)
    return Request(body, sum(len(each) for each in spans), place)


def _from_json(text: bytes) -> bytes:
    body = otlp_json.to_protobuf(text)
    if not body:
        names = cast("dict[str, Any]", json.loads(text))
        for name, signal in _OTHER_SIGNALS.items():
            if name in names:
                raise MalformedRequestError(f"it holds {signal}, and only traces can be checked", _HINT)
        if names and not {"resourceSpans", "resource_spans"} & set(names):
            raise MalformedRequestError("the JSON has no resourceSpans", _HINT)
    return body
