"""Wire: protobuf's fields, read compiled, and the tables of what `scan` finds in OTLP's bytes.

Every read is bounded by the message that it is in; `NUMBA_DISABLE_JIT=1` runs the same code as Python, where
an index out of bounds is an error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from whodid.processor.stages.words import Int, compiled, is_ascii

# What there is to count. The first five are also the tables that an attribute's owner may be in.
_COUNTERS = 10
SPANS, RESOURCES, SCOPES, EVENTS, LINKS, ENTRIES, OTHER_ENTRIES, KEYS, PREVIOUS, SEED = range(_COUNTERS)
OWNERS = (SPANS, RESOURCES, SCOPES, EVENTS, LINKS)

# Columns of the tables. A text is two columns: where it starts, and its length.
SPAN_SCOPE, SPAN_KIND, SPAN_START, SPAN_END, SPAN_CODE, SPAN_FLAGS = range(6)
SPAN_DROPPED_ATTRIBUTES, SPAN_DROPPED_EVENTS, SPAN_DROPPED_LINKS = 6, 7, 8
SPAN_TRACE_ID, SPAN_ID, SPAN_PARENT_ID, SPAN_STATE, SPAN_NAME, SPAN_MESSAGE = 9, 11, 13, 15, 17, 19
_SPAN_WIDTH = 21
# How long a resource or a scope is: it is copied to each of its spans.
RESOURCE_URL, RESOURCE_BYTES, _RESOURCE_WIDTH = 0, 2, 3
SCOPE_RESOURCE, SCOPE_NAME, SCOPE_VERSION, SCOPE_URL, SCOPE_BYTES, _SCOPE_WIDTH = 0, 1, 3, 5, 7, 8
EVENT_SPAN, EVENT_TIME, EVENT_NAME, _EVENT_WIDTH = 0, 1, 2, 4
LINK_SPAN, LINK_TRACE_ID, LINK_ID, LINK_STATE, _LINK_WIDTH = 0, 1, 3, 5, 7
ENTRY_TABLE, ENTRY_OWNER, ENTRY_CODE, ENTRY_KIND, ENTRY_VALUE, _ENTRY_WIDTH = 0, 1, 2, 3, 4, 6

MAX_DEPTH = 60
"""How many messages deep an attribute's value may be: two for each array or map in another."""


class Tables(NamedTuple):
    """Where everything is. Only the first `used` rows of a table are filled."""

    used: Any
    spans: Any
    resources: Any
    scopes: Any
    events: Any
    links: Any
    entries: Any
    """Attributes of spans."""
    others: Any
    """Attributes of everything else."""
    keys: Any
    """Where an attribute's name stands, by its number."""
    slots: Any
    """A hash table of the names: a number plus one, 0 where free."""
    following: Any
    """By a name's number plus one, the number plus one of the name that came after it; 0 where none did."""
    stack: Any
    """Where the walk through nested values keeps what it has to come back to."""


def tables(counts: Any, seed: Int) -> Tables:
    """Empty tables for what was counted."""

    def table(what: int, width: int, kind: Any = np.int64) -> Any:
        return np.empty((int(counts[what]), width), dtype=kind)

    entries = int(counts[ENTRIES] + counts[OTHER_ENTRIES])
    used = np.zeros(len(counts), dtype=np.int64)
    used[SEED] = seed
    return Tables(
        used,
        table(SPANS, _SPAN_WIDTH),
        table(RESOURCES, _RESOURCE_WIDTH),
        table(SCOPES, _SCOPE_WIDTH),
        table(EVENTS, _EVENT_WIDTH),
        table(LINKS, _LINK_WIDTH),
        table(ENTRIES, _ENTRY_WIDTH, np.int32),
        table(OTHER_ENTRIES, _ENTRY_WIDTH, np.int32),
        np.empty((entries, 2), dtype=np.int32),
        # Zeros that nobody looks at cost nothing: room for the worst case is free.
        np.zeros(1 << (2 * entries + 1).bit_length(), dtype=np.int32),
        np.zeros(entries + 1, dtype=np.int32),
        np.empty((MAX_DEPTH, 2), dtype=np.int64),
    )


def counts() -> Any:
    """For `count` to add to."""
    return np.zeros(_COUNTERS, dtype=np.int64)


VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_TAG_BYTES = 5  # 32 bits; protobuf takes no longer one, even of zeros

KIND_EMPTY, KIND_STRING = 0, 1


@compiled
def varint(data: Any, at: Int, end: Int) -> tuple[Int, Int]:
    """A varint and the position behind it; -1 where it is cut off or longer than ten bytes."""
    value = np.uint64(0)
    shift = np.uint64(0)
    for step in range(10):
        if at >= end:
            return 0, -1
        byte = np.uint64(data[at])
        at += 1
        if step == 9 and byte > 1:
            return 0, -1
        value |= (byte & np.uint64(127)) << shift
        if byte < 128:
            return np.int64(value), at
        shift += np.uint64(7)
    return 0, -1


@compiled
def field(data: Any, at: Int, end: Int) -> tuple[Int, Int, Int, Int]:
    """The field at a position: its number, its wire type, where its content starts and where it ends.

    The end is -1 where the field is cut off or of a type that is not taken here.
    """
    if end - at > 2 and data[at] < 128 and data[at] & 7 == BYTES and data[at] > 7 and data[at + 1] < 128:
        # Nearly every field: a small number, and a length of one byte.
        length = np.int64(data[at + 1])
        if length > end - at - 2:
            return 0, 0, 0, -1
        return np.int64(data[at] >> 3), BYTES, at + 2, at + 2 + length
    start = at
    tag, at = varint(data, at, end)
    if at < 0 or at - start > _TAG_BYTES or tag < 8 or tag > 0xFFFFFFFF:
        return 0, 0, 0, -1
    number, wire = tag >> 3, tag & 7
    if wire == BYTES:
        length, at = varint(data, at, end)
        if at < 0 or length < 0 or length > end - at:
            return 0, 0, 0, -1
        return number, wire, at, at + length
    if wire == VARINT:
        _, after = varint(data, at, end)
        return number, wire, at, after
    size = 8 if wire == FIXED64 else 4 if wire == FIXED32 else -1
    if size < 0 or size > end - at:
        return 0, 0, 0, -1
    return number, wire, at, at + size


@compiled
def fixed(data: Any, at: Int, size: Int) -> Int:
    """A number of four or eight bytes, the lowest first."""
    value = np.uint64(0)
    for step in range(size):
        value |= np.uint64(data[at + step]) << np.uint64(8 * step)
    return np.int64(value)


@compiled
def is_utf8(data: Any, start: Int, end: Int) -> bool:  # noqa: C901 - RFC 3629's table, a line a row
    """Whether bytes are UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing beyond U+10FFFF)."""
    if is_ascii(data, start, end):
        return True
    at = start
    while at < end:
        first = data[at]
        if first < 0x80:
            at += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high = 0x9F
        elif 0xF0 <= first <= 0xF4:
            more = 3
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more >= end:
            return False
        if data[at + 1] < low or data[at + 1] > high:
            return False
        for step in range(2, more + 1):
            if data[at + step] < 0x80 or data[at + step] > 0xBF:
                return False
        at += more + 1
    return True


@compiled
def count(data: Any, start: Int, end: Int, counts: Any) -> bool:
    """Adds to `counts` how many rows each table of `scan` needs at most; False where `scan` would decline."""
    at = start
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 1 and wire == BYTES and not _count_resource_spans(data, first, at, counts):
            return False
    return True


@compiled
def _count_resource_spans(data: Any, at: Int, end: Int, counts: Any) -> bool:
    counts[RESOURCES] += 1
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if wire != BYTES:
            continue
        if number == 1:
            if not _count_field(data, first, at, 1, counts):
                return False
        elif number == 2:
            counts[SCOPES] += 1
            if not _count_scope_spans(data, first, at, counts):
                return False
    return True


@compiled
def _count_scope_spans(data: Any, at: Int, end: Int, counts: Any) -> bool:
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if wire != BYTES:
            continue
        if number == 1:
            if not _count_field(data, first, at, 3, counts):
                return False
        elif number == 2:
            counts[SPANS] += 1
            if not _count_span(data, first, at, counts):
                return False
    return True


@compiled
def _count_span(data: Any, at: Int, end: Int, counts: Any) -> bool:
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if wire != BYTES:
            continue
        if number == 9:
            counts[ENTRIES] += 1
        elif number == 11:
            counts[EVENTS] += 1
            if not _count_field(data, first, at, 3, counts):
                return False
        elif number == 13:
            counts[LINKS] += 1
            if not _count_field(data, first, at, 4, counts):
                return False
    return True


@compiled
def _count_field(data: Any, at: Int, end: Int, wanted: Int, counts: Any) -> bool:
    """Counts the attributes of anything but a span, which are the message's field `wanted`."""
    while at < end:
        number, _, _, at = field(data, at, end)
        if at < 0:
            return False
        if number == wanted:
            counts[OTHER_ENTRIES] += 1
    return True
