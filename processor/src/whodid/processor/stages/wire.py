"""Wire: walks OTLP's protobuf bytes once, compiled, and notes where everything is.

What it takes, it takes exactly as protobuf's own parser would. Whatever is unusual (a group, a known field in
another wire type, a value written in pieces, text that is no UTF-8) it declines, and `decode` asks protobuf's
own parser. Every read is bounded by the message that it is in; `NUMBA_DISABLE_JIT=1` runs the same code as
Python, where an index out of bounds is an error.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from whodid.processor.stages.words import Int, compiled, is_ascii, same

# What there is to count. The first five are also the tables that an attribute's owner may be in.
SPANS, RESOURCES, SCOPES, EVENTS, LINKS, ENTRIES, _OTHER_ENTRIES, KEYS, _PREVIOUS, _SEED = range(10)
OWNERS = (SPANS, RESOURCES, SCOPES, EVENTS, LINKS)

# Columns of the tables. A text is two columns: where it starts, and its length.
SPAN_SCOPE, SPAN_KIND, SPAN_START, SPAN_END, SPAN_CODE, SPAN_FLAGS = range(6)
SPAN_DROPPED_ATTRIBUTES, SPAN_DROPPED_EVENTS, SPAN_DROPPED_LINKS = 6, 7, 8
SPAN_TRACE_ID, SPAN_ID, SPAN_PARENT_ID, SPAN_STATE, SPAN_NAME, SPAN_MESSAGE = 9, 11, 13, 15, 17, 19
_SPAN_WIDTH = 21
RESOURCE_URL, _RESOURCE_WIDTH = 0, 2
SCOPE_RESOURCE, SCOPE_NAME, SCOPE_VERSION, SCOPE_URL, _SCOPE_WIDTH = 0, 1, 3, 5, 7
EVENT_SPAN, EVENT_TIME, EVENT_NAME, _EVENT_WIDTH = 0, 1, 2, 4
LINK_SPAN, LINK_TRACE_ID, LINK_ID, LINK_STATE, _LINK_WIDTH = 0, 1, 3, 5, 7
ENTRY_TABLE, ENTRY_OWNER, ENTRY_CODE, ENTRY_KIND, ENTRY_VALUE, _ENTRY_WIDTH = 0, 1, 2, 3, 4, 6


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


def tables(counts: Any, seed: Int) -> Tables:
    """Empty tables for what was counted."""

    def table(what: int, width: int, kind: Any = np.int64) -> Any:
        return np.empty((int(counts[what]), width), dtype=kind)

    entries = int(counts[ENTRIES] + counts[_OTHER_ENTRIES])
    used = np.zeros(len(counts), dtype=np.int64)
    used[_SEED] = seed
    return Tables(
        used,
        table(SPANS, _SPAN_WIDTH),
        table(RESOURCES, _RESOURCE_WIDTH),
        table(SCOPES, _SCOPE_WIDTH),
        table(EVENTS, _EVENT_WIDTH),
        table(LINKS, _LINK_WIDTH),
        table(ENTRIES, _ENTRY_WIDTH, np.int32),
        table(_OTHER_ENTRIES, _ENTRY_WIDTH, np.int32),
        np.empty((entries, 2), dtype=np.int32),
        # Zeros that nobody looks at cost nothing: room for the worst case is free.
        np.zeros(1 << (2 * entries + 1).bit_length(), dtype=np.int32),
        np.zeros(entries + 1, dtype=np.int32),
    )


def counts() -> Any:
    """For `count` to add to."""
    return np.zeros(10, dtype=np.int64)


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

KIND_EMPTY, KIND_STRING = 0, 1


@compiled
def _varint(data: Any, at: Int, end: Int) -> tuple[Int, Int]:
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
    if end - at > 2 and data[at] < 128 and data[at] & 7 == _BYTES and data[at] > 7 and data[at + 1] < 128:
        # Nearly every field: a small number, and a length of one byte.
        length = np.int64(data[at + 1])
        if length > end - at - 2:
            return 0, 0, 0, -1
        return np.int64(data[at] >> 3), _BYTES, at + 2, at + 2 + length
    tag, at = _varint(data, at, end)
    if at < 0 or tag < 8 or tag > 0xFFFFFFFF:
        return 0, 0, 0, -1
    number, wire = tag >> 3, tag & 7
    if wire == _BYTES:
        length, at = _varint(data, at, end)
        if at < 0 or length < 0 or length > end - at:
            return 0, 0, 0, -1
        return number, wire, at, at + length
    if wire == _VARINT:
        _, after = _varint(data, at, end)
        return number, wire, at, after
    size = 8 if wire == _FIXED64 else 4 if wire == _FIXED32 else -1
    if size < 0 or size > end - at:
        return 0, 0, 0, -1
    return number, wire, at, at + size


@compiled
def _fixed(data: Any, at: Int, size: Int) -> Int:
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
        if number == 1 and wire == _BYTES and not _count_resource_spans(data, first, at, counts):
            return False
    return True


@compiled
def _count_resource_spans(data: Any, at: Int, end: Int, counts: Any) -> bool:
    counts[RESOURCES] += 1
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if wire != _BYTES:
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
        if wire != _BYTES:
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
        if wire != _BYTES:
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
            counts[_OTHER_ENTRIES] += 1
    return True


@compiled
def scan(data: Any, start: Int, end: Int, tables: Tables) -> bool:
    """Fills the tables with one request, behind what is in use, and moves `used`; False where it declines."""
    at = start
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 1 and (wire != _BYTES or not _resource_spans(data, first, at, tables)):
            return False
    return True


@compiled
def _resource_spans(data: Any, at: Int, end: Int, tables: Tables) -> bool:
    used, resources = tables.used, tables.resources
    resource = used[RESOURCES]
    used[RESOURCES] += 1
    resources[resource, :] = 0
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or (1 <= number <= 3 and wire != _BYTES):
            return False
        if number == 1:
            if not _resource(data, first, at, resource, tables):
                return False
        elif number == 2:
            if not _scope_spans(data, first, at, resource, tables):
                return False
        elif number == 3 and not _text(data, first, at, resources, resource, RESOURCE_URL):
            return False
    return True


@compiled
def _scope_spans(data: Any, at: Int, end: Int, resource: Int, tables: Tables) -> bool:
    used, scopes = tables.used, tables.scopes
    scope = used[SCOPES]
    used[SCOPES] += 1
    scopes[scope, :] = 0
    scopes[scope, SCOPE_RESOURCE] = resource
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or (1 <= number <= 3 and wire != _BYTES):
            return False
        if number == 1:
            if not _scope(data, first, at, scope, tables):
                return False
        elif number == 2:
            if not _span(data, first, at, scope, tables):
                return False
        elif number == 3 and not _text(data, first, at, scopes, scope, SCOPE_URL):
            return False
    return True


@compiled
def _scope(data: Any, at: Int, end: Int, scope: Int, tables: Tables) -> bool:
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or (1 <= number <= 3 and wire != _BYTES):
            return False
        if number == 1:
            if not _text(data, first, at, tables.scopes, scope, SCOPE_NAME):
                return False
        elif number == 2:
            if not _text(data, first, at, tables.scopes, scope, SCOPE_VERSION):
                return False
        elif number == 3 and not _entry(data, first, at, SCOPES, scope, tables):
            return False
    return True


@partial(compiled, inline=True)
def _plain(  # noqa: C901 - one function, for it is called for each attribute
    data: Any, at: Int, end: Int, owner: Int, entries: Any, keys: Any, following: Any, used: Any
) -> bool:
    """Takes a span's KeyValue as nearly all are: the key that is expected next, and a short ASCII string."""
    if end - at < 6 or data[at] != 0x0A or data[at + 1] >= 128:
        return False
    key = at + 2
    key_size = np.int64(data[at + 1])
    value = key + key_size
    if end - value < 4 or data[value] != 0x12:
        return False
    size = np.int64(data[value + 1])
    value += 2
    if size >= 128:
        if data[value] >= 128:
            return False
        size = (size & 127) | np.int64(data[value]) << 7
        value += 1
    if size != end - value or size < 2 or data[value] != 0x0A:
        return False
    text = value + 2
    size = np.int64(data[value + 1])
    if size >= 128:
        if text >= end or data[text] >= 128:
            return False
        size = (size & 127) | np.int64(data[text]) << 7
        text += 1
    if size != end - text:
        return False
    code = np.int64(following[used[_PREVIOUS]]) - 1
    if code < 0 or keys[code, 1] != key_size:
        return False
    if not same(data, np.int64(keys[code, 0]), key, key_size) or not is_ascii(data, text, end):
        return False
    used[_PREVIOUS] = code + 1
    entry = used[ENTRIES]
    used[ENTRIES] += 1
    entries[entry, ENTRY_TABLE] = SPANS
    entries[entry, ENTRY_OWNER] = owner
    entries[entry, ENTRY_KIND] = KIND_STRING
    entries[entry, ENTRY_CODE] = code
    entries[entry, ENTRY_VALUE] = text
    entries[entry, ENTRY_VALUE + 1] = end - text
    return True


@compiled
def _span(data: Any, at: Int, end: Int, scope: Int, tables: Tables) -> bool:  # noqa: C901 - a branch a field
    used, spans, entries = tables.used, tables.spans, tables.entries
    keys, following = tables.keys, tables.following
    span = used[SPANS]
    used[SPANS] += 1
    spans[span, :] = 0
    spans[span, SPAN_SCOPE] = scope
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 9:
            if wire != _BYTES:
                return False
            taken = _plain(data, first, at, span, entries, keys, following, used)
            if not taken and not _entry(data, first, at, SPANS, span, tables):
                return False
        elif number in (1, 2, 4):
            if wire != _BYTES:
                return False
            column = SPAN_TRACE_ID if number == 1 else SPAN_ID if number == 2 else SPAN_PARENT_ID
            spans[span, column] = first
            spans[span, column + 1] = at - first
        elif number in (3, 5):
            column = SPAN_STATE if number == 3 else SPAN_NAME
            if wire != _BYTES or not _text(data, first, at, spans, span, column):
                return False
        elif number in (7, 8):
            if wire != _FIXED64:
                return False
            spans[span, SPAN_START if number == 7 else SPAN_END] = _fixed(data, first, 8)
        elif number in (6, 10, 12, 14):
            if wire != _VARINT:
                return False
            value, _ = _varint(data, first, at)
            if number == 6:
                spans[span, SPAN_KIND] = np.int64(np.int32(value & 0xFFFFFFFF))
            else:
                spans[span, SPAN_DROPPED_ATTRIBUTES + (number - 10) // 2] = value & 0xFFFFFFFF
        elif number == 16:
            if wire != _FIXED32:
                return False
            spans[span, SPAN_FLAGS] = _fixed(data, first, 4)
        elif number == 11:
            if wire != _BYTES or not _event(data, first, at, span, tables):
                return False
        elif number == 13:
            if wire != _BYTES or not _link(data, first, at, span, tables):
                return False
        elif number == 15 and (wire != _BYTES or not _status(data, first, at, spans, span)):
            return False
    return True


@compiled
def _status(data: Any, at: Int, end: Int, spans: Any, span: Int) -> bool:
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 2:
            if wire != _BYTES or not _text(data, first, at, spans, span, SPAN_MESSAGE):
                return False
        elif number == 3:
            if wire != _VARINT:
                return False
            value, _ = _varint(data, first, at)
            spans[span, SPAN_CODE] = np.int64(np.int32(value & 0xFFFFFFFF))
    return True


@compiled
def _event(data: Any, at: Int, end: Int, span: Int, tables: Tables) -> bool:
    used, events = tables.used, tables.events
    event = used[EVENTS]
    used[EVENTS] += 1
    events[event, :] = 0
    events[event, EVENT_SPAN] = span
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 1:
            if wire != _FIXED64:
                return False
            events[event, EVENT_TIME] = _fixed(data, first, 8)
        elif number == 2:
            if wire != _BYTES or not _text(data, first, at, events, event, EVENT_NAME):
                return False
        elif number == 3 and (wire != _BYTES or not _entry(data, first, at, EVENTS, event, tables)):
            return False
    return True


@compiled
def _link(data: Any, at: Int, end: Int, span: Int, tables: Tables) -> bool:
    used, links = tables.used, tables.links
    link = used[LINKS]
    used[LINKS] += 1
    links[link, :] = 0
    links[link, LINK_SPAN] = span
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or (1 <= number <= 4 and wire != _BYTES):
            return False
        if number in (1, 2):
            column = LINK_TRACE_ID if number == 1 else LINK_ID
            links[link, column] = first
            links[link, column + 1] = at - first
        elif number == 3:
            if not _text(data, first, at, links, link, LINK_STATE):
                return False
        elif number == 4 and not _entry(data, first, at, LINKS, link, tables):
            return False
    return True


@compiled
def _resource(data: Any, at: Int, end: Int, resource: Int, tables: Tables) -> bool:
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 1 and (wire != _BYTES or not _entry(data, first, at, RESOURCES, resource, tables)):
            return False
    return True


@compiled
def _entry(data: Any, at: Int, end: Int, table: Int, owner: Int, tables: Tables) -> bool:
    """A KeyValue. A value that is one plain field is taken as it stands; pieces of one are declined."""
    kind = _OTHER_ENTRIES if table else ENTRIES
    entries = tables.others if table else tables.entries
    entry = tables.used[kind]
    tables.used[kind] += 1
    entries[entry, ENTRY_OWNER] = owner
    entries[entry, ENTRY_TABLE] = table
    entries[entry, ENTRY_KIND] = KIND_EMPTY
    entries[entry, ENTRY_VALUE] = 0
    entries[entry, ENTRY_VALUE + 1] = 0
    key_start, key_end = 0, 0
    values = 0
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or (1 <= number <= 2 and wire != _BYTES):
            return False
        if number == 1:
            if not is_utf8(data, first, at):
                return False
            key_start, key_end = first, at
        elif number == 2:
            values += 1
            if values > 1 or not _value(data, first, at, entries, entry):
                return False
    entries[entry, ENTRY_CODE] = _code(data, key_start, key_end - key_start, tables)
    return True


@compiled
def _code(data: Any, start: Int, size: Int, tables: Tables) -> Int:
    """A key's number. Spans of a program mostly repeat the keys of the one before: `following` learns it."""
    slots, keys = tables.slots, tables.keys
    mask = len(slots) - 1
    slot = _hash(data, start, size, tables.used[_SEED]) & mask
    while slots[slot]:
        code = np.int64(slots[slot]) - 1
        if keys[code, 1] == size and same(data, start, np.int64(keys[code, 0]), size):
            break
        slot = (slot + 1) & mask
    if not slots[slot]:
        code = tables.used[KEYS]
        tables.used[KEYS] += 1
        keys[code, 0] = start
        keys[code, 1] = size
        slots[slot] = code + 1
    code = np.int64(slots[slot]) - 1
    tables.following[tables.used[_PREVIOUS]] = code + 1
    tables.used[_PREVIOUS] = code + 1
    return code


@compiled
def _hash(data: Any, start: Int, size: Int, seed: Int) -> Int:
    """FNV-1a from a seed that a sender does not know, mixed once more: names are chosen by senders."""
    value = np.uint64(seed) ^ np.uint64(0xCBF29CE484222325)
    for step in range(size):
        value = (value ^ np.uint64(data[start + step])) * np.uint64(0x100000001B3)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0x9E3779B97F4A7C15)
    value ^= value >> np.uint64(29)
    return np.int64(value & np.uint64(0x7FFFFFFFFFFFFFFF))


@compiled
def _value(data: Any, at: Int, end: Int, entries: Any, entry: Int) -> bool:
    """An AnyValue. A string's text is noted; of every other kind all of its bytes are."""
    entries[entry, ENTRY_VALUE] = at
    entries[entry, ENTRY_VALUE + 1] = end - at
    if at == end:
        return True
    number, wire, first, after = field(data, at, end)
    if after != end:
        return False  # cut off, or in pieces
    if number == 1 and wire == _BYTES:
        entries[entry, ENTRY_KIND] = KIND_STRING
        return _text(data, first, end, entries, entry, ENTRY_VALUE)
    if number in (2, 3):
        entries[entry, ENTRY_KIND] = number
        return wire == _VARINT
    if number == 4:
        entries[entry, ENTRY_KIND] = number
        return wire == _FIXED64
    if number in (5, 6, 7):
        entries[entry, ENTRY_KIND] = number
        return wire == _BYTES
    return False


@compiled
def _text(data: Any, start: Int, end: Int, table: Any, row: Int, column: Int) -> bool:
    table[row, column] = start
    table[row, column + 1] = end - start
    return is_utf8(data, start, end)
