"""AnyValue: the texts of OTLP's attribute values, a column at a time."""

from __future__ import annotations

import base64
import json

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from whodid.processor.arrow import Array, Strings, pa
from whodid.processor.batch import Kind
from whodid.processor.stages import columns


def texts(
    data: npt.NDArray[np.uint8],
    kinds: npt.NDArray[np.uint8],
    starts: columns.Places,
    sizes: columns.Places,
    order: columns.Places,
) -> tuple[npt.NDArray[np.uint8], Strings]:
    """The kind and the text of each value: a string as it is, everything else as JSON.

    `starts` and `sizes` say where in the data a string's text is, or all of another value's bytes; `order`,
    in which order they stand there (`columns.strings`). Lists of plain strings are written by a loop of their
    own; what is left goes through protobuf's own parser, once for each different value. Raises DecodeError
    where that cannot read one.
    """
    others = np.flatnonzero(kinds != Kind.STRING)
    if not len(others):
        return kinds, columns.strings(data, starts, sizes, order)
    kinds, starts, sizes = kinds.copy(), starts.copy(), sizes.copy()
    lists = others[kinds[others] == Kind.ARRAY]
    room = int(3 * sizes[lists].sum()) + 2 * len(lists)
    content = np.empty(room, dtype=np.uint8)
    written, used = columns.json_lists(data, starts, sizes, lists, len(data), content)
    others = np.concatenate([others[kinds[others] != Kind.ARRAY], lists[~written]])
    kinds[others], parsed = _parse(columns.binaries(data, starts[others], sizes[others]))
    offsets = np.frombuffer(parsed.buffers()[1], dtype=np.int32)[: len(others) + 1]
    starts[others] = len(data) + used + offsets[:-1]
    sizes[others] = np.diff(offsets)
    buffer = parsed.buffers()[2]
    tail = np.frombuffer(buffer, dtype=np.uint8) if buffer else content[:0]
    return kinds, columns.strings(data, starts, sizes, order, np.concatenate([content[:used], tail]))


def _parse(values: Array) -> tuple[npt.NDArray[np.uint8], Strings]:
    if not len(values):
        return np.zeros(0, dtype=np.uint8), pa.array([], pa.string()).take(pa.array([], pa.int64()))
    encoded = values.dictionary_encode()
    parsed = [to_text(AnyValue.FromString(value)) for value in encoded.dictionary.to_pylist()]
    kinds = np.array([kind for kind, _ in parsed], dtype=np.uint8)
    texts = pa.array([text for _, text in parsed], pa.string())
    indices = np.asarray(encoded.indices)
    return kinds[indices], texts.take(encoded.indices)


def to_text(value: AnyValue) -> tuple[Kind, str]:
    """A value's kind, and its text: a string as it is, everything else as JSON."""
    match value.WhichOneof("value"):
        case "string_value":
            return Kind.STRING, value.string_value
        case "bool_value":
            return Kind.BOOL, _json(value)
        case "int_value":
            return Kind.INT, _json(value)
        case "double_value":
            return Kind.DOUBLE, _json(value)
        case "array_value":
            return Kind.ARRAY, _json(value)
        case "kvlist_value":
            return Kind.MAP, _json(value)
        case "bytes_value":
            return Kind.BYTES, _json(value)
        case _:
            return Kind.EMPTY, "null"


def _json(value: AnyValue) -> str:
    """JSON that keeps the types apart: a double has a point or an exponent, bytes are `{"$bytes": "…"}`."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: _plain(each.value) for each in value.kvlist_value.values}
        case "bytes_value":
            return {"$bytes": base64.b64encode(value.bytes_value).decode()}
        case None:
            return None
        case name:
            return getattr(value, name)
