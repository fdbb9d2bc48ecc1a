"""Scan: walks OTLP's messages once, compiled, and notes in `wire`'s tables where everything is.

What it takes, it takes exactly as protobuf's own parser would. Whatever is unusual (a group, a known field
in another wire type, a value written in pieces, text that is no UTF-8) it declines, and `decode` asks that
parser.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from whodid.processor.stages.wire import (
    BYTES,
    ENTRIES,
    ENTRY_CODE,
    ENTRY_KIND,
    ENTRY_OWNER,
    ENTRY_TABLE,
    ENTRY_VALUE,
    EVENT_NAME,
    EVENT_SPAN,
    EVENT_TIME,
    EVENTS,
    FIXED32,
    FIXED64,
    KEYS,
    KIND_EMPTY,
    KIND_STRING,
    LINK_ID,
    LINK_SPAN,
    LINK_STATE,
    LINK_TRACE_ID,
    LINKS,
    OTHER_ENTRIES,
    PREVIOUS,
    RESOURCE_BYTES,
    RESOURCE_URL,
    RESOURCES,
    SCOPE_BYTES,
    SCOPE_NAME,
    SCOPE_RESOURCE,
    SCOPE_URL,
    SCOPE_VERSION,
    SCOPES,
    SEED,
    SPAN_CODE,
    SPAN_DROPPED_ATTRIBUTES,
    SPAN_END,
    SPAN_FLAGS,
    SPAN_ID,
    SPAN_KIND,
    SPAN_MESSAGE,
    SPAN_NAME,
    SPAN_PARENT_ID,
    SPAN_SCOPE,
    SPAN_START,
    SPAN_STATE,
    SPAN_TRACE_ID,
    SPANS,
    VARINT,
    Tables,
    field,
    fixed,
    is_utf8,
    varint,
)
from whodid.processor.stages.words import Int, compiled, is_ascii, same


@compiled
def scan(data: Any, start: Int, end: Int, tables: Tables) -> bool:
    """Fills the tables with one request, behind what is in use, and moves `used`; False where it declines."""
    at = start
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 1 and (wire != BYTES or not _resource_spans(data, first, at, tables)):
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
        if at < 0 or (1 <= number <= 3 and wire != BYTES):
            return False
        if number == 1:
            resources[resource, RESOURCE_BYTES] += at - first
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
        if at < 0 or (1 <= number <= 3 and wire != BYTES):
            return False
        if number == 1:
            scopes[scope, SCOPE_BYTES] += at - first
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
        if at < 0 or (1 <= number <= 3 and wire != BYTES):
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
    code = np.int64(following[used[PREVIOUS]]) - 1
    if code < 0 or keys[code, 1] != key_size:
        return False
    if not same(data, np.int64(keys[code, 0]), key, key_size) or not is_ascii(data, text, end):
        return False
    used[PREVIOUS] = code + 1
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
            if wire != BYTES:
                return False
            taken = _plain(data, first, at, span, entries, keys, following, used)
            if not taken and not _entry(data, first, at, SPANS, span, tables):
                return False
        elif number in (1, 2, 4):
            if wire != BYTES:
                return False
            column = SPAN_TRACE_ID if number == 1 else SPAN_ID if number == 2 else SPAN_PARENT_ID
            spans[span, column] = first
            spans[span, column + 1] = at - first
        elif number in (3, 5):
            column = SPAN_STATE if number == 3 else SPAN_NAME
            if wire != BYTES or not _text(data, first, at, spans, span, column):
                return False
        elif number in (7, 8):
            if wire != FIXED64:
                return False
            spans[span, SPAN_START if number == 7 else SPAN_END] = fixed(data, first, 8)
        elif number in (6, 10, 12, 14):
            if wire != VARINT:
                return False
            value, _ = varint(data, first, at)
            if number == 6:
                spans[span, SPAN_KIND] = np.int64(np.int32(value & 0xFFFFFFFF))
            else:
                spans[span, SPAN_DROPPED_ATTRIBUTES + (number - 10) // 2] = value & 0xFFFFFFFF
        elif number == 16:
            if wire != FIXED32:
                return False
            spans[span, SPAN_FLAGS] = fixed(data, first, 4)
        elif number == 11:
            if wire != BYTES or not _event(data, first, at, span, tables):
                return False
        elif number == 13:
            if wire != BYTES or not _link(data, first, at, span, tables):
                return False
        elif number == 15 and (wire != BYTES or not _status(data, first, at, spans, span)):
            return False
    return True


@compiled
def _status(data: Any, at: Int, end: Int, spans: Any, span: Int) -> bool:
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0:
            return False
        if number == 2:
            if wire != BYTES or not _text(data, first, at, spans, span, SPAN_MESSAGE):
                return False
        elif number == 3:
            if wire != VARINT:
                return False
            value, _ = varint(data, first, at)
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
            if wire != FIXED64:
                return False
            events[event, EVENT_TIME] = fixed(data, first, 8)
        elif number == 2:
            if wire != BYTES or not _text(data, first, at, events, event, EVENT_NAME):
                return False
        elif number == 3 and (wire != BYTES or not _entry(data, first, at, EVENTS, event, tables)):
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
        if at < 0 or (1 <= number <= 4 and wire != BYTES):
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
        if number == 1 and (wire != BYTES or not _entry(data, first, at, RESOURCES, resource, tables)):
            return False
        if number == 3 and (wire != BYTES or not _entity_ref(data, first, at)):
            return False
    return True


@compiled
def _entity_ref(data: Any, at: Int, end: Int) -> bool:
    """An EntityRef, which is only texts; nothing of it is kept."""
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or (1 <= number <= 4 and (wire != BYTES or not is_utf8(data, first, at))):
            return False
    return True


@compiled
def _entry(data: Any, at: Int, end: Int, table: Int, owner: Int, tables: Tables) -> bool:
    """A KeyValue. A value that is one plain field is taken as it stands; pieces of one are declined."""
    kind = OTHER_ENTRIES if table else ENTRIES
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
        if at < 0 or (1 <= number <= 2 and wire != BYTES):
            return False
        if number == 1:
            if not is_utf8(data, first, at):
                return False
            key_start, key_end = first, at
        elif number == 2:
            values += 1
            if values > 1 or not _value(data, first, at, entries, entry, tables.stack):
                return False
    entries[entry, ENTRY_CODE] = _code(data, key_start, key_end - key_start, tables)
    return True


@compiled
def _code(data: Any, start: Int, size: Int, tables: Tables) -> Int:
    """A key's number. Spans of a program mostly repeat the keys of the one before: `following` learns it."""
    slots, keys = tables.slots, tables.keys
    mask = len(slots) - 1
    slot = _hash(data, start, size, tables.used[SEED]) & mask
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
    tables.following[tables.used[PREVIOUS]] = code + 1
    tables.used[PREVIOUS] = code + 1
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
def _value(data: Any, at: Int, end: Int, entries: Any, entry: Int, stack: Any) -> bool:
    """An AnyValue. A string's text is noted; of every other kind all of its bytes are."""
    entries[entry, ENTRY_VALUE] = at
    entries[entry, ENTRY_VALUE + 1] = end - at
    if at == end:
        return True
    number, wire, first, after = field(data, at, end)
    if after != end:
        return False  # cut off, or in pieces
    if number == 1 and wire == BYTES:
        entries[entry, ENTRY_KIND] = KIND_STRING
        return _text(data, first, end, entries, entry, ENTRY_VALUE)
    if number in (2, 3):
        entries[entry, ENTRY_KIND] = number
        return wire == VARINT
    if number == 4:
        entries[entry, ENTRY_KIND] = number
        return wire == FIXED64
    if number in (5, 6):
        entries[entry, ENTRY_KIND] = number
        return wire == BYTES and _sound(data, first, end, number - 4, stack)
    if number == 7:
        entries[entry, ENTRY_KIND] = number
        return wire == BYTES
    return False


@compiled
def _sound(  # noqa: C901 - four messages that hold one another
    data: Any, at: Int, end: Int, message: Int, stack: Any
) -> bool:
    """Whether protobuf's own parser will take what is in an array or a map, for it is read after its answer.

    `message`: 0 AnyValue, 1 ArrayValue, 2 KeyValueList, 3 KeyValue. `stack`: as long as it may be deep.
    It does not call itself: a compiled function that does crashes when it comes from numba's cache.
    """
    depth = 0
    while True:
        while at == end:
            if depth == 0:
                return True
            depth -= 1
            end, message = stack[depth, 0], stack[depth, 1]
        number, wire, first, after = field(data, at, end)
        if after < 0:
            return False
        inner = -1
        if message == 0:
            if (2 <= number <= 3 and wire != VARINT) or (number == 4 and wire != FIXED64):
                return False
            if 5 <= number <= 6:
                inner = number - 4
        elif message == 3:
            if number == 2:
                inner = 0
        elif number == 1:
            inner = 0 if message == 1 else 3
        is_text = number == 1 and message in (0, 3)
        if (inner >= 0 or is_text or (message == 0 and number == 7)) and wire != BYTES:
            return False
        if is_text and not is_utf8(data, first, after):
            return False
        at = after
        if inner >= 0:
            if depth == len(stack):
                return False
            stack[depth, 0], stack[depth, 1] = end, message
            depth += 1
            at, end, message = first, after, inner


@compiled
def _text(data: Any, start: Int, end: Int, table: Any, row: Int, column: Int) -> bool:
    table[row, column] = start
    table[row, column + 1] = end - start
    return is_utf8(data, start, end)
