"""A spool segment's file: request bodies, each framed by a marker, its length and its checksum."""

from __future__ import annotations

import datetime
import os
import secrets
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from isal import isal_zlib

from whodid.processor.bodies import Bodies

SUFFIX = ".segment"

MARKER = b"\xf5WD\x01"
"""Begins each frame. 0xF5 occurs in no UTF-8 text, so that it hardly ever stands inside of a request."""

_crc32: Callable[[bytes | memoryview, int], int] = cast("Any", isal_zlib).crc32
_HEADER = struct.Struct("<4sII")  # the marker, the body's length in bytes, the CRC-32 of that length and body
FRAME_BYTES = _HEADER.size


def new_id() -> str:
    """An id that sorts by time and never comes twice: it is also the store's deduplication token."""
    return f"{time.time_ns():020d}-{secrets.token_hex(4)}"


def frame(body: bytes) -> bytes:
    """The header that goes before a body."""
    return _HEADER.pack(MARKER, len(body), _checksum(body))


def _checksum(body: bytes | memoryview) -> int:
    # With the length in it, zeros are no frame: a file that was being extended at a power cut ends in zeros.
    return _crc32(body, _crc32(len(body).to_bytes(4, "little"), 0))


def framed_bytes(bodies: Sequence[bytes]) -> int:
    """What the bodies take in a file."""
    return sum(len(body) + FRAME_BYTES for body in bodies)


@dataclass(frozen=True, slots=True)
class Corrupt:
    """A stretch of a segment's file that holds no whole request."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a segment's file holds."""

    whole: Bodies
    """The requests that are whole, in the order in which they were acknowledged."""
    corrupt: list[Corrupt]
    """What lies before, between or, where a record is there in its full length, behind them."""
    end: int
    """Where the last record ends; what follows was being written when the process ended."""

    @property
    def bodies(self) -> list[bytes]:
        """The whole requests, each by itself."""
        return list(self.whole)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment: it will not change any more."""

    path: Path
    size_bytes: int

    @property
    def id(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    @property
    def opened_at_s(self) -> float | None:
        """When its first request arrived (Unix time); None where the name is not ours."""
        try:
            return int(self.id.partition("-")[0]) / 1e9
        except ValueError:
            return None

    @property
    def arrived_on(self) -> datetime.date | None:
        """The day (UTC) of its first request, the same at every replay; None where the name is not ours."""
        opened_at_s = self.opened_at_s
        if opened_at_s is None:
            return None
        try:
            return datetime.datetime.fromtimestamp(opened_at_s, datetime.UTC).date()
        except (ValueError, OverflowError, OSError):
            return None

    def read(self) -> Parsed:
        """What it holds. Raises OSError."""
        with self.path.open("rb", buffering=0) as file:
            # Not `read_bytes`: the requests stay where they are until their columns are made of them.
            content = np.empty(os.fstat(file.fileno()).st_size, dtype=np.uint8)
            size_bytes = 0
            while read_bytes := file.readinto(content.data[size_bytes:]):
                size_bytes += read_bytes
        return parse(content.data[:size_bytes])

    def requests(self) -> list[bytes]:
        """The bodies that are whole. Raises OSError."""
        return self.read().bodies


def parse(content: bytes | memoryview) -> Parsed:
    """The whole records of a segment's file, and what is corrupt.

    Behind a record that is not what was written the next one is found by its marker, with a checksum that
    fits. What a sender put into a request cannot be taken for a record while that request is whole; in a
    corrupt one it may be, and is then no more than what it might have sent.
    """
    view = memoryview(content).toreadonly()
    bounds: list[tuple[int, int]] = []
    corrupt: list[Corrupt] = []
    offset = end = 0
    while offset < len(content):
        body = _body_at(view, offset)
        if body is None:
            found = _resynchronised(bytes(view), view, offset)
            if found is None:
                break
            corrupt.append(Corrupt(offset, bytes(view[offset:found])))
            offset = end = found
            continue
        first = offset + FRAME_BYTES
        offset = end = first + len(body)
        bounds.append((first, end))
    return Parsed(Bodies(np.frombuffer(view, dtype=np.uint8), bounds), corrupt, end)


def _length_at(view: memoryview, offset: int) -> int | None:
    """The length that the header at this offset gives for its body; None where there is no header."""
    if offset + FRAME_BYTES > len(view):
        return None
    marker, length, _ = _HEADER.unpack_from(view, offset)
    return length if marker == MARKER else None


def _body_at(view: memoryview, offset: int) -> memoryview | None:
    """The body of the whole record at this offset."""
    length = _length_at(view, offset)
    first = offset + FRAME_BYTES
    if length is None or first + length > len(view):
        return None
    body = view[first : first + length]
    return body if _checksum(body) == _HEADER.unpack_from(view, offset)[2] else None


def _resynchronised(content: bytes, view: memoryview, offset: int) -> int | None:
    """Where the corrupt stretch at this offset ends; None where nothing that is whole follows."""
    # Not by the length that the header gives: with one bit wrong it may lead over records that are whole.
    found = content.find(MARKER, offset + 1)
    while found >= 0:
        if _body_at(view, found) is not None:
            return found
        found = content.find(MARKER, found + 1)
    # A record in its full length at the very end was written: if it is not whole, then it is corrupt. But
    # a file that was being extended at a power cut ends in zeros, with its length already right.
    length, first = _length_at(view, offset), offset + FRAME_BYTES
    if length is not None and first + length == len(content) and any(content[first:][-64:]):
        return len(content)
    return None


def sync_data(handle: int) -> None:
    """Makes what was written durable, without the file's times where the system can tell them apart."""
    getattr(os, "fdatasync", os.fsync)(handle)


def sync(path: Path) -> None:
    """Makes a file's bytes or a folder's entries durable: one does not bring the other. May raise OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
