"""A spool segment's file: request bodies, each framed by its length and checksum."""

from __future__ import annotations

import datetime
import os
import secrets
import struct
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIX = ".segment"
_HEADER = struct.Struct("<II")  # the body's length in bytes, the CRC-32 of that length and the body


def new_id() -> str:
    """An id that sorts by time and never comes twice: it is also the store's deduplication token."""
    return f"{time.time_ns():020d}-{secrets.token_hex(4)}"


def frame(body: bytes) -> bytes:
    """The header that goes before a body."""
    return _HEADER.pack(len(body), _checksum(body))


def _checksum(body: bytes) -> int:
    # With the length in it, zeros are no frame: a file that was being extended at a power cut ends in zeros.
    return zlib.crc32(body, zlib.crc32(len(body).to_bytes(4, "little")))


FRAME_BYTES = _HEADER.size


def framed_bytes(bodies: Sequence[bytes]) -> int:
    """What the bodies take in a file."""
    return sum(len(body) + FRAME_BYTES for body in bodies)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment: it will not change any more."""

    path: Path
    size_bytes: int

    @property
    def id(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    @property
    def arrived_on(self) -> datetime.date | None:
        """The day (UTC) of its first request, the same at every replay; None where the name is not ours."""
        try:
            arrived_s = int(self.id.partition("-")[0]) / 1e9
            return datetime.datetime.fromtimestamp(arrived_s, datetime.UTC).date()
        except (ValueError, OverflowError, OSError):
            return None

    def requests(self) -> list[bytes]:
        """The bodies, in the order in which they were acknowledged. Raises OSError."""
        return parse(self.path.read_bytes())[0]


def parse(content: bytes) -> tuple[list[bytes], int]:
    """The whole frames at the start of the content, and where they end."""
    bodies: list[bytes] = []
    offset = 0
    while offset + FRAME_BYTES <= len(content):
        length, checksum = _HEADER.unpack_from(content, offset)
        first = offset + FRAME_BYTES
        body = content[first : first + length]
        if len(body) != length or _checksum(body) != checksum:
            break
        bodies.append(body)
        offset = first + length
    return bodies, offset


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
