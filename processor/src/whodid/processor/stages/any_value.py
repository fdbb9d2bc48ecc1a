"""Reads OTLP's AnyValue from raw protobuf bytes, a column at a time."""

from __future__ import annotations

import base64
import json

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.processor.batch import Kind

_STRING_TAG = 0x0A
"""Field 1, length-delimited: a string value's first byte."""

_ONE_BYTE_LENGTH = 1 << 7
_TWO_BYTE_LENGTH = 1 << 14
_THREE_BYTE_LENGTH = 1 << 21


def read(values: Array) -> tuple[npt.NDArray[np.uint8], Strings]:
    """The kind and the text of each value: a string as it is, everything else as JSON.

    A string in the form that every encoder writes is sliced out without looking at it; whatever is not,
    be it another kind, a repeated field or an overlong length, goes through protobuf's own parser, once
    for each different value.
    """
    headers = _string_headers(values)
    kinds = np.where(headers > 0, np.uint8(Kind.STRING), np.uint8(Kind.EMPTY))
    pieces: list[Array] = []
    positions: list[npt.NDArray[np.int64]] = []
    for header in (2, 3, 4):
        chosen = np.flatnonzero(headers == header)
        if len(chosen):
            # An explicit stop: an open one is wrong in pyarrow.
            payload = pc.binary_slice(values.take(pa.array(chosen)), header, 2**31 - 1)
            pieces.append(payload.cast(pa.string()))
            positions.append(chosen)
    others = np.flatnonzero(headers == 0)
    if len(others):
        other_kinds, texts = _parse(values.take(pa.array(others)))
        kinds[others] = other_kinds
        pieces.append(texts)
        positions.append(others)
    if not pieces:
        return kinds, pa.array([], pa.string())
    order = np.argsort(np.concatenate(positions), kind="stable")
    return kinds, pa.concat_arrays(pieces).take(pa.array(order))


def _string_headers(values: Array) -> npt.NDArray[np.int64]:
    """Per value how many bytes stand before the string's text, 0 where it is no plainly written string."""
    count = len(values)
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    _, offsets_buffer, data_buffer = values.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[values.offset : values.offset + count + 1]
    starts = offsets[:-1].astype(np.int64)
    sizes = np.diff(offsets).astype(np.int64)
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer else np.zeros(1, dtype=np.uint8)
    # Four zero bytes behind the end, so that a header can be read without asking whether it is whole.
    data = np.concatenate([data, np.zeros(4, dtype=np.uint8)])
    tag, first, second, third = (data[starts + i].astype(np.int64) for i in range(4))
    one, two, three = first, (first & 127) | second << 7, (first & 127) | (second & 127) << 7 | third << 14
    headers = np.zeros(count, dtype=np.int64)
    headers[(first < 128) & (one == sizes - 2)] = 2
    headers[(first >= 128) & (second < 128) & (two == sizes - 3) & (two >= _ONE_BYTE_LENGTH)] = 3
    is_three = (first >= 128) & (second >= 128) & (third < 128)
    headers[is_three & (three == sizes - 4) & (three >= _TWO_BYTE_LENGTH) & (three < _THREE_BYTE_LENGTH)] = 4
    headers[(tag != _STRING_TAG) | (sizes < 2)] = 0
    return headers


def _parse(values: Array) -> tuple[npt.NDArray[np.uint8], Strings]:
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
