"""Makes hostile requests of sound ones: in their bytes, and in their fields with all lengths put right again.

Only the second kind gets past the first length: it is how strange fields reach the depths of a decoder.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import messages

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 12


@dataclass(slots=True)
class Field:
    """One field on the wire. `value` is a number, the bytes of a text, or the fields within."""

    number: int
    wire_type: int
    value: int | bytes | list[Field]


def make(draw: random.Random) -> bytes:
    """One input: garbage, a sound message, or mostly a message with up to three changes."""
    kind = draw.random()
    if kind < 0.05:
        return draw.randbytes(draw.choice((1, 3, 20, 200)))
    body = messages.message(draw)
    if kind < 0.1:
        return body
    for _ in range(draw.choice((1, 1, 2, 3))):
        body = draw.choice(_IN_BYTES if kind < 0.45 else _IN_FIELDS)(draw, body)
    return body


def in_bytes(draw: random.Random, content: bytes) -> bytes:
    """One change that knows nothing of fields."""
    return draw.choice(_IN_BYTES)(draw, content)


def varint(value: int, padding: int = 0) -> bytes:
    """A number as protobuf writes it, or with `padding` bytes more than it needs."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value | (128 if padding else 0))
    for left in range(padding, 0, -1):
        encoded.append(128 if left > 1 else 0)
    return bytes(encoded)


def parse(body: bytes, depth: int = 0) -> list[Field] | None:
    """The fields, without a schema: what reads as fields is taken for fields. None for what does not."""
    fields: list[Field] = []
    at = 0
    while at < len(body):
        tag, at = _read_varint(body, at)
        number, wire_type = tag >> 3, tag & 7
        value: int | bytes | list[Field]
        if wire_type == _VARINT:
            value, at = _read_varint(body, at)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
            value, at = body[at : at + size], at + size
        elif wire_type == _LENGTH:
            size, at = _read_varint(body, at)
            value, at = body[at : at + size], at + size
            within = parse(value, depth + 1) if value and depth < _MAX_DEPTH else None
            value = value if within is None else within
        else:
            return None
        if at > len(body) or number == 0:
            return None
        fields.append(Field(number, wire_type, value))
    return fields


def write(fields: list[Field]) -> bytes:
    parts: list[bytes] = []
    for field in fields:
        parts.append(varint(field.number << 3 | field.wire_type))
        value = write(field.value) if isinstance(field.value, list) else field.value
        if isinstance(value, int):
            parts.append(varint(value))
        else:
            parts += [varint(len(value)), value] if field.wire_type == _LENGTH else [value]
    return b"".join(parts)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(body) and shift < 70:
        value |= (body[at] & 127) << shift
        shift += 7
        at += 1
        if body[at - 1] < 128:
            return value, at
    return value, len(body) + 1


def _flip_bits(draw: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(draw: random.Random, body: bytes) -> bytes:
    return body[: draw.randrange(len(body) + 1)]


def _remove(draw: random.Random, body: bytes) -> bytes:
    at = draw.randrange(len(body) + 1)
    return body[:at] + body[at + draw.choice((1, 2, 10)) :]


def _insert(draw: random.Random, body: bytes) -> bytes:
    at = draw.randrange(len(body) + 1)
    return body[:at] + draw.choice(_ODD) + body[at:]


def _overwrite(draw: random.Random, body: bytes) -> bytes:
    at, odd = draw.randrange(len(body) + 1), draw.choice(_ODD)
    return body[:at] + odd + body[at + len(odd) :]


def _repeat(draw: random.Random, body: bytes) -> bytes:
    at = draw.randrange(len(body) + 1)
    end = min(len(body), at + draw.choice((1, 10, 100)))
    return body[:end] + body[at:]


def _splice(draw: random.Random, body: bytes) -> bytes:
    other = messages.message(draw)
    return body[: draw.randrange(len(body) + 1)] + other[draw.randrange(len(other) + 1) :]


_ODD = (
    *(
        b"\x00",
        b"\xff",
        b"\x80",
        b"\x7f",
        b"\xff\xff\xff\xff\x0f",
        b"\xff\xff\xff\xff\x07",
        b"\x80" * 9 + b"\x01",
    ),
    *(
        b"\xff" * 9 + b"\x01",
        b"\xff" * 10,
        b"\xff" * 11,
        b"\x80\x80\x80\x80\x10",
        b"\x0b",
        b"\x0c",
        b"\x0a\x00",
    ),
    *(b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\x2a\x02\x0a\x00"),
)
"""Lengths at the limits, varints that do not end, ends of groups, texts that are no UTF-8."""


def _in_fields(
    change: Callable[[random.Random, list[Field]], None],
) -> Callable[[random.Random, bytes], bytes]:
    """The change, made to one of the lists of fields in a body, at any depth."""

    def mutate(draw: random.Random, body: bytes) -> bytes:
        top = parse(body)
        if not top:
            return _flip_bits(draw, body)
        lists: list[list[Field]] = [top]
        for each in lists:
            lists += [field.value for field in each if isinstance(field.value, list)]
        change(draw, draw.choice([each for each in lists if each]))
        return write(top)

    return mutate


def _double(draw: random.Random, fields: list[Field]) -> None:
    fields.insert(draw.randrange(len(fields) + 1), draw.choice(fields))


def _drop(draw: random.Random, fields: list[Field]) -> None:
    del fields[draw.randrange(len(fields))]


def _shuffle(draw: random.Random, fields: list[Field]) -> None:
    draw.shuffle(fields)


def _renumber(draw: random.Random, fields: list[Field]) -> None:
    draw.choice(fields).number = draw.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 100, 19_000, 2**29 - 1))


def _retype(draw: random.Random, fields: list[Field]) -> None:
    """Another wire type, with a value that goes with it."""
    field = draw.choice(fields)
    kinds: list[tuple[int, int | bytes]] = [
        (_VARINT, draw.choice((0, 1, 2**31, 2**32, 2**63, 2**64 - 1))),
        (_FIXED64, draw.randbytes(8)),
        (_FIXED32, draw.randbytes(4)),
        (_LENGTH, draw.randbytes(draw.choice((0, 1, 8, 16)))),
    ]
    field.wire_type, field.value = draw.choice(kinds)


def _replace(draw: random.Random, fields: list[Field]) -> None:
    field = draw.choice(fields)
    if field.wire_type == _VARINT:
        field.value = draw.choice((0, 1, 127, 128, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1))
    elif field.wire_type == _LENGTH:
        field.value = draw.choice(
            (b"", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"a", draw.randbytes(9), *_ODD)
        )


def _nest(draw: random.Random, fields: list[Field]) -> None:
    """One field within itself, up to beyond the depth that protobuf's parser takes."""
    field = draw.choice(fields)
    if isinstance(field.value, list):
        deep = write(field.value)
        number = draw.choice((field.number, 1, 5, 6))
        for _ in range(draw.choice((1, 3, 20, 49, 50, 51, 98, 99, 100, 101, 300))):
            inner = varint(number << 3 | _LENGTH) + varint(len(deep)) + deep
            # An array value's or a list's only field is field 1.
            deep = varint(1 << 3 | _LENGTH) + varint(len(inner)) + inner if number in (5, 6) else inner
        field.value = deep


def _split(draw: random.Random, fields: list[Field]) -> None:
    """A message in two pieces, which a parser has to merge."""
    at = draw.randrange(len(fields))
    field = fields[at]
    if isinstance(field.value, list) and len(field.value) > 1:
        middle = draw.randrange(1, len(field.value))
        pieces = [Field(field.number, _LENGTH, part) for part in (field.value[:middle], field.value[middle:])]
        fields[at : at + 1] = pieces


def _unknown(draw: random.Random, fields: list[Field]) -> None:
    field = Field(draw.choice((50, 1000, 2**29 - 1)), _LENGTH, draw.randbytes(draw.randrange(10)))
    fields.insert(draw.randrange(len(fields) + 1), field)


def _group(draw: random.Random, fields: list[Field]) -> None:
    """A group, whole or never ended: a wire type that OTLP does not use, and parsers still have to skip."""
    number = draw.choice((1, 2, 9, 77))
    end = draw.choice((varint(number << 3 | 4), b"", varint(number + 1 << 3 | 4)))
    # A field of fixed size is written without its length: in this way the group's tags get out as they are.
    within = varint(number << 3 | 3) * draw.choice((0, 0, 150)) + b"\x08\x01"
    fields.insert(draw.randrange(len(fields) + 1), Field(number, 3, within + end))


_IN_BYTES = (_flip_bits, _flip_bits, _cut, _remove, _insert, _overwrite, _repeat, _splice)
_IN_FIELDS = tuple(
    _in_fields(change)
    for change in (
        *(_double, _drop, _shuffle, _renumber, _retype, _retype, _replace, _replace, _nest, _split, _unknown),
        _group,
    )
)
