"""Whether a value has the syntax that a standard prescribes for its attribute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import Strings, pa, pc
from whodid.processor.batch import Findings, Mask
from whodid.processor.rules.telling import per_value, pick
from whodid.processor.rules.view import View, encode, valid
from whodid.semconv import attributes as attr
from whodid.semconv import expressions, formats
from whodid.semconv.definitions import Format
from whodid.semconv.expressions import Expression
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import FindingRule

_EXPECTED = {
    Format.SPIFFE_ID: "a SPIFFE ID such as spiffe://acme.example/agent/support",
    Format.DIGEST: "`sha256:` and 64 lower-case hexadecimal digits",
    Format.RFC3339: "a time in UTC such as 2026-11-24T15:00:00Z",
    Format.TRACE_ID: "32 lower-case hexadecimal digits, not all zeros",
    Format.SPAN_ID: "16 lower-case hexadecimal digits, not all zeros",
}

Bytes = npt.NDArray[np.uint8]

_BLOCK_BYTES = 65_536
"""What is worked on at once. Larger blocks get their memory from the system each time, which takes longer."""

_DIGITS = "0123456789abcdef"

_HEXADECIMAL = {Format.DIGEST: ("sha256:", 64), Format.TRACE_ID: ("", 32), Format.SPAN_ID: ("", 16)}
"""What stands before the digits, and how many there are."""


@dataclass(frozen=True, slots=True)
class _Demand:
    name: str
    format: Format
    when: Expression | None = None


_DEMANDS = (
    *(
        _Demand(attribute.name, attribute.format)
        for attribute in ATTRIBUTES.values()
        if attribute.format is not None
    ),
    # The identity's format depends on what kind of identity it is.
    _Demand(
        attr.ATTRIBUTION_AGENT_IDENTITY_ID,
        Format.SPIFFE_ID,
        expressions.parse(f'{attr.ATTRIBUTION_AGENT_IDENTITY_TYPE} == "spiffe"'),
    ),
)


def invalid_format(view: View) -> Iterator[Findings]:
    """A value does not have its attribute's syntax."""
    for demand in _DEMANDS:
        values = view.values(demand.name)
        if values is None:
            continue
        suspicious = valid(values)
        if demand.when is not None:
            suspicious = suspicious & view.where(demand.when)
        rows = np.flatnonzero(suspicious & ~_surely_right(view, demand, values))
        if len(rows):
            encoded = encode(pick(values, rows))
            texts = cast(list[str], encoded.values.to_pylist())
            wrong = np.array([not formats.matches(demand.format, text) for text in texts])
            rows = rows[wrong[encoded.codes]]
            expected = _EXPECTED[demand.format]
            yield from per_value(FindingRule.INVALID_FORMAT, demand.name, rows, pick(values, rows), expected)


def _surely_right(view: View, demand: _Demand, values: Strings) -> Mask:
    """Which spans' values are right, as far as a look at the column tells: nearly always all."""
    if demand.format is Format.RFC3339:
        return view.instants(demand.name).known
    if demand.format not in _HEXADECIMAL:
        encoded = encode(values)
        texts = cast(list[str], encoded.values.to_pylist())
        # The last is for the spans without a value: that is where -1 points to.
        right = [*(formats.matches(demand.format, text) for text in texts), False]
        return np.array(right)[encoded.codes]
    has_value = valid(values)
    found = np.zeros(len(values), dtype=np.bool_)
    found[has_value] = _surely_hexadecimal(values.drop_null(), *_HEXADECIMAL[demand.format])
    return found


def _surely_hexadecimal(values: Strings, prefix: str, digit_count: int) -> Mask:
    """Which values are the prefix and so many digits; without a prefix the first must not be a zero."""
    size = len(prefix) + digit_count
    fits = np.asarray(pc.equal(pc.binary_length(values), size))
    fitting = values if fits.all() else values.filter(pa.array(fits))
    characters = _bytes(fitting).reshape(-1, size)
    begins = np.ones(len(characters), dtype=np.bool_)
    for position, character in enumerate(prefix.encode()):
        begins &= characters[:, position] == character
    if not prefix:
        begins &= characters[:, 0] != ord("0")
    digits_in_prefix = sum(character in _DIGITS for character in prefix)
    if _count_digits(characters.reshape(-1)) != len(characters) * (digits_in_prefix + digit_count):
        begins &= _is_digit(characters[:, len(prefix) :]).all(axis=1)  # somewhere there is a wrong one
    found = np.zeros(len(values), dtype=np.bool_)
    found[fits] = begins
    return found


def _count_digits(characters: Bytes) -> int:
    return sum(
        int(np.count_nonzero(_is_digit(characters[start : start + _BLOCK_BYTES])))
        for start in range(0, len(characters), _BLOCK_BYTES)
    )


def _is_digit(characters: Bytes) -> Mask:
    # Unsigned: what is below "0" is far above 10.
    return ((characters - ord("0")) < 10) | ((characters - ord("a")) < 6)


def _bytes(values: Any) -> Bytes:
    """The characters of strings without nulls, one behind the other."""
    _, offsets, data = values.buffers()
    first, last = np.frombuffer(offsets, np.int32)[[values.offset, values.offset + len(values)]]
    return np.frombuffer(data, np.uint8)[first:last]
