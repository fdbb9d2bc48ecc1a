"""Columns: Arrow arrays out of what `wire` noted, compiled: texts are copied once, where they belong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import Array, Strings, pa
from whodid.processor.bodies import Bytes
from whodid.processor.stages.wire import (
    ENTRY_CODE,
    ENTRY_KIND,
    ENTRY_OWNER,
    ENTRY_TABLE,
    ENTRY_VALUE,
    field,
    is_utf8,
)
from whodid.processor.stages.words import Int, compiled, copy

Places = npt.NDArray[np.int64]

MAX_TEXT_BYTES = 2**31 - 1

_NOTHING: Bytes = np.zeros(0, dtype=np.uint8)


def strings(
    data: Bytes, starts: Places, sizes: Places, order: Places | None = None, behind: Bytes = _NOTHING
) -> Strings:
    """The texts at these places, which have to be UTF-8. Raises OverflowError beyond 2 GiB.

    `order`: the rows in the order in which their texts stand in the data. Reading that from end to end and
    writing to as many places as there are columns is three times as fast as the other way round.
    `behind`: what follows the data, as places go; both in one would be a copy of a whole segment.
    """
    offsets, content = _gathered(data, starts, sizes, order, behind)
    return pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(content))


def binaries(data: Bytes, starts: Places, sizes: Places) -> Array:
    """The bytes at these places. Raises OverflowError beyond 2 GiB."""
    offsets, content = _gathered(data, starts, sizes)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )


def json_lists(
    data: Bytes, starts: Places, sizes: Places, lists: Places, base: Int, content: Any
) -> tuple[npt.NDArray[np.bool_], int]:
    """Writes the values at `lists`, AnyValues with an array, as JSON into `content` where that is simple.

    Which were written: those that are plain strings without anything to escape. Their starts (behind `base`)
    and sizes are replaced. And how much of the content is in use.
    """
    written = np.zeros(len(lists), dtype=np.bool_)
    used = _json_lists(data, starts, sizes, lists, base, content, written)
    return written, int(used)


def _gathered(
    data: Bytes, starts: Places, sizes: Places, order: Places | None = None, behind: Bytes = _NOTHING
) -> tuple[Any, Any]:
    total = int(sizes.sum())
    if total > MAX_TEXT_BYTES:
        raise OverflowError(f"{total} bytes of text in one column")
    offsets = np.zeros(len(starts) + 1, dtype=np.int32)
    np.cumsum(sizes, out=offsets[1:])
    content = np.empty(total, dtype=np.uint8)
    starts, sizes = np.ascontiguousarray(starts), np.ascontiguousarray(sizes)
    order = np.arange(len(starts)) if order is None else order
    _copy(data, behind, starts, sizes, order, offsets, content)
    return offsets, content


def fixed(data: Bytes, starts: Places, sizes: Places, width: int) -> Array:
    """Ids of one width, cut or filled with zeros where they are not."""
    content = np.zeros((len(starts), width), dtype=np.uint8)
    _copy_fixed(data, np.ascontiguousarray(starts), np.ascontiguousarray(sizes), content)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(starts), [None, pa.py_buffer(content)])


@compiled
def _copy(
    data: Any, behind: Any, starts: Any, sizes: Any, order: Any, offsets: Any, content: Any
) -> None:  # fmt: skip
    for position in range(len(order)):
        row = order[position]
        start, to = starts[row], np.int64(offsets[row])
        if start < len(data):
            copy(data, start, sizes[row], content, to)
        else:
            copy(behind, start - len(data), sizes[row], content, to)


@compiled
def _copy_fixed(data: Any, starts: Any, sizes: Any, content: Any) -> None:
    for row in range(len(starts)):
        for step in range(min(sizes[row], content.shape[1])):
            content[row, step] = data[starts[row] + step]


@compiled
def sort_entries(
    entries: Any, table: Int, ranks: Any, nexts: Any, order: Any, owners: Any, codes: Any, kinds: Any,
    starts: Any, sizes: Any,
) -> None:  # fmt: skip
    """Takes the entries of one table apart into columns, in the order of their keys' ranks, else as they are.

    `nexts`: zeros, one more than there are ranks. `order` gets the rows in the order of the entries.
    """
    for entry in range(len(entries)):
        if entries[entry, ENTRY_TABLE] == table:
            nexts[ranks[entries[entry, ENTRY_CODE]] + 1] += 1
    for rank in range(len(ranks)):
        nexts[rank + 1] += nexts[rank]
    row = 0
    for entry in range(len(entries)):
        if entries[entry, ENTRY_TABLE] == table:
            rank = ranks[entries[entry, ENTRY_CODE]]
            to = nexts[rank]
            nexts[rank] += 1
            order[row] = to
            row += 1
            owners[to] = entries[entry, ENTRY_OWNER]
            codes[to] = rank
            kinds[to] = entries[entry, ENTRY_KIND]
            starts[to] = entries[entry, ENTRY_VALUE]
            sizes[to] = entries[entry, ENTRY_VALUE + 1]


def sorted_positions(numbers: npt.NDArray[Any], count: int) -> Places:
    """A stable order of numbers below `count`: each number's positions together (a counting sort)."""
    order = np.empty(len(numbers), dtype=np.int64)
    _sort_positions(numbers, np.zeros(count + 1, dtype=np.int64), order)
    return order


@compiled
def _sort_positions(numbers: Any, nexts: Any, order: Any) -> None:
    for position in range(len(numbers)):
        nexts[numbers[position] + 1] += 1
    for number in range(len(nexts) - 1):
        nexts[number + 1] += nexts[number]
    for position in range(len(numbers)):
        number = numbers[position]
        order[nexts[number]] = position
        nexts[number] += 1


@compiled
def _json_lists(data: Any, starts: Any, sizes: Any, lists: Any, base: Int, content: Any, written: Any) -> Int:
    used = 0
    for position in range(len(lists)):
        row = lists[position]
        end = starts[row] + sizes[row]
        _, _, first, after = field(data, starts[row], end)
        if after != end:
            continue
        size = _json_list(data, first, end, content, used)
        if size < 0:
            continue
        written[position] = True
        starts[row] = base + used
        sizes[row] = size
        used += size
    return used


@compiled
def _json_list(data: Any, at: Int, end: Int, content: Any, used: Int) -> Int:
    """Writes an ArrayValue; its length, or -1 where an element is no plain string."""
    to = used
    content[to] = 0x5B
    to += 1
    while at < end:
        number, wire, first, at = field(data, at, end)
        if at < 0 or number != 1 or wire != 2:
            return -1
        inner, kind, start, after = field(data, first, at)
        if after != at or inner != 1 or kind != 2 or not is_utf8(data, start, at):
            return -1
        if to > used + 1:
            content[to] = 0x2C
            to += 1
        content[to] = 0x22
        to += 1
        for step in range(start, at):
            byte = data[step]
            if byte < 0x20 or byte == 0x22 or byte == 0x5C:
                return -1
            content[to] = byte
            to += 1
        content[to] = 0x22
        to += 1
    content[to] = 0x5D
    return to + 1 - used
