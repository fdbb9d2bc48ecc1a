"""The batch as the rules look at it: values, conditions and operations, each worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.processor.batch import Batch, Kind, Mask, Rows
from whodid.processor.rules.instants import Instants, read
from whodid.processor.stages.normalise import without_empty
from whodid.semconv import attributes as attr
from whodid.semconv import expressions
from whodid.semconv.expressions import AllOf, AnyOf, Expression, Not, OneOf, Present
from whodid.semconv.registry import ATTRIBUTES, OPERATIONS

Codes = npt.NDArray[np.int64]

SPAN_COLUMNS = dict(zip(expressions.SPAN_FIELDS, ("kind", "status_code"), strict=True))
"""What a condition calls a span's own fields, and their columns."""

MATCHES = {operation.name: expressions.parse(operation.match) for operation in OPERATIONS.values()}

_NOWHERE = -1

_EMPTY_JSON = ("", "[]", "{}")


@dataclass(frozen=True, slots=True)
class Encoded:
    """An attribute's values, each once."""

    codes: Codes
    """Per span the position of its value in `values`; -1 where it has none."""
    values: Strings


class View:
    """A batch's values by attribute. Everything is kept for the next rule that asks for it."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.row_count = batch.row_count
        self._encoded: dict[str, Encoded | None] = {}
        self._values: dict[str, Strings | None] = {}
        self._instants: dict[str, Instants] = {}
        self._positions: dict[str, dict[str, int]] = {}
        self._masks: dict[Expression, Mask] = {}

    def values(self, name: str) -> Strings | None:
        """Per span its string for an attribute, null where it has none or an empty one; None if none has."""
        if name not in self._values:
            self._values[name] = self._find_values(name)
        return self._values[name]

    def agreed(self, name: str) -> Strings | None:
        """The same, of what all spans of an action have to say alike.

        A tool has two names where an agent calls it by another than its MCP server does: `mcp__crm__lookup`
        is the server's `lookup`. The server's own span says its own, which is no contradiction.
        """
        values = self.values(name)
        if values is None or name != attr.GEN_AI_TOOL_NAME or not self.present(attr.MCP_METHOD_NAME).any():
            return values
        return pc.if_else(pa.array(self.present(attr.MCP_METHOD_NAME)), pa.scalar(None, pa.string()), values)

    def texts(self, name: str) -> Strings:
        """The same, of nulls if no span has the attribute."""
        values = self.values(name)
        return pa.nulls(self.row_count, pa.string()) if values is None else values

    def text(self, name: str, row: int | np.int64) -> str | None:
        """One span's string for an attribute."""
        values = self.values(name)
        return None if values is None else cast(str | None, values[int(row)].as_py())

    def lists(self, name: str) -> Array | None:
        """Per span its list of strings for an attribute that has a column of lists; None if none has."""
        column = self.batch.columns.get(name)
        return column if column is not None and pa.types.is_list(column.type) else None

    def encoded(self, name: str) -> Encoded | None:
        """The values of an attribute, each once; None if none has any."""
        if name not in self._encoded:
            column = self.values(name)
            self._encoded[name] = None if column is None else encode(column)
        return self._encoded[name]

    def codes(self, name: str) -> Codes:
        """Per span a number that equal values share; -1 where it has none."""
        encoded = self.encoded(name)
        return np.full(self.row_count, -1, dtype=np.int64) if encoded is None else encoded.codes

    def present(self, name: str) -> Mask:
        """Which spans have a value that is not empty for an attribute, of whatever type it is."""
        return self.where(Present(name))

    def operation(self, name: str) -> Mask:
        """Which spans are of an operation."""
        return self.where(MATCHES[name])

    def where(self, condition: Expression) -> Mask:
        """Which spans a condition holds for."""
        found = self._masks.get(condition)
        if found is None:
            found = self._masks[condition] = self._evaluate(condition)
        return found

    def instants(self, name: str) -> Instants:
        """The times in an attribute. One that cannot be read is not known."""
        if name not in self._instants:
            self._instants[name] = self._read_instants(name)
        return self._instants[name]

    def times_ns(self, field: str) -> npt.NDArray[np.int64]:
        """A column of times of the spans, since 1970."""
        return np.asarray(self._field(field).cast(pa.int64()))

    def start(self, row: int | np.int64) -> str:
        """When a span began, RFC 3339."""
        return self.moment(int(self.batch.spans.column("start_time")[int(row)].value))

    def end(self, row: int | np.int64) -> str:
        """When a span ended, RFC 3339."""
        return self.moment(int(self.batch.spans.column("end_time")[int(row)].value))

    @staticmethod
    def moment(time_ns: int) -> str:
        """A time since 1970, RFC 3339."""
        return f"{np.datetime64(time_ns, 'ns')}Z"

    def ids(self, *fields: str) -> Array:
        """The spans' own ids, one behind the other where several are asked for."""
        joined = np.concatenate([self.numbers(field) for field in fields], axis=1)
        buffers = [None, pa.py_buffer(joined.tobytes())]
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(joined.shape[1] * 8), self.row_count, buffers)

    def numbers(self, field: str) -> npt.NDArray[np.int64]:
        """A column of the spans' own ids, each as one or two numbers; all zeros where there is none."""
        column = self._field(field)
        width = column.type.byte_width
        start = column.offset * width
        data = np.frombuffer(column.buffers()[1], np.uint8)[start : start + self.row_count * width]
        return data.view(np.int64).reshape(self.row_count, width // 8)

    def _field(self, name: str) -> Array:
        return self.batch.spans.column(name).combine_chunks()

    def _find_values(self, name: str) -> Strings | None:
        column = self.batch.columns.get(name)
        if column is not None:
            return column if pa.types.is_string(column.type) else None
        if name in ATTRIBUTES and ATTRIBUTES[name].column is not None:
            return None
        texts = self.batch.attributes.strings(name)
        return None if texts is None else without_empty(texts)

    def _read_instants(self, name: str) -> Instants:
        encoded = self.encoded(name)
        if encoded is None:
            nobody = np.zeros(self.row_count, dtype=np.bool_)
            return Instants(nobody, np.zeros(self.row_count, dtype=np.int64))
        times_us = read(encoded.values)
        # One more at the end, for the spans without a value: that is where -1 points to.
        known = np.append(np.asarray(times_us.is_valid()), False)
        known_us = np.append(np.asarray(times_us.fill_null(0)), 0)
        return Instants(known[encoded.codes], known_us[encoded.codes])

    def _evaluate(self, condition: Expression) -> Mask:
        match condition:
            case Present(name):
                return self._present(name)
            case OneOf(name, values):
                return self._one_of(name, values)
            case Not(part):
                return ~self.where(part)
            case AllOf(parts):
                return self._all_of(parts)
            case AnyOf(parts):
                return np.logical_or.reduce([self.where(part) for part in parts])

    def _all_of(self, parts: tuple[Expression, ...]) -> Mask:
        found = self.where(parts[0])
        for part in parts[1:]:
            if not found.any():
                break
            found = found & self.where(part)
        return found

    def _one_of(self, name: str, values: tuple[str, ...]) -> Mask:
        if name in SPAN_COLUMNS:
            return np.asarray(pc.is_in(self._field(SPAN_COLUMNS[name]), pa.array(values)))
        encoded = self.encoded(name)
        if encoded is None:
            return np.zeros(self.row_count, dtype=np.bool_)
        if name not in self._positions:
            texts = cast(list[str], encoded.values.to_pylist())
            self._positions[name] = {text: position for position, text in enumerate(texts)}
        found = [self._positions[name].get(value, _NOWHERE) for value in values]
        masks = [encoded.codes == position for position in found if position != _NOWHERE]
        return np.logical_or.reduce(masks) if masks else np.zeros(self.row_count, dtype=np.bool_)

    def _present(self, name: str) -> Mask:
        if name in SPAN_COLUMNS:
            return np.asarray(pc.not_equal(self._field(SPAN_COLUMNS[name]), ""))
        column = self.batch.columns.get(name)
        if column is None:
            present = np.zeros(self.row_count, dtype=np.bool_)
        elif pa.types.is_list(column.type):
            present = np.asarray(pc.fill_null(pc.greater(pc.list_value_length(column), 0), False))
        else:
            present = valid(column)
        # What stands in no column: the registry gives the attribute none, or the value has another type.
        attributes = self.batch.attributes
        entries = attributes.entries(name)
        lifted = self.batch.lifted[entries]
        if not lifted.all():
            rest: Rows = np.flatnonzero(~lifted) + entries.start
            empty = np.asarray(pc.is_in(attributes.texts.take(pa.array(rest)), pa.array(_EMPTY_JSON)))
            says = (attributes.kinds[rest] != Kind.EMPTY) & ~empty
            present = present.copy()
            present[attributes.owners[rest[says]]] = True
        return present


def encode(values: Any) -> Encoded:
    """An Arrow array's values, each once."""
    encoded = values.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1) if encoded.null_count else encoded.indices
    return Encoded(np.asarray(codes).astype(np.int64), encoded.dictionary)


def first_rows(keys: Array, rows: Rows, wanted: Array) -> Rows:
    """Per wanted value the first of `rows` that has it in `keys`, or -1; a null is nobody's value."""
    found = pc.index_in(wanted, keys.take(pa.array(rows)), skip_nulls=True)
    positions = np.asarray(pc.fill_null(found, -1)).astype(np.int64)
    if not len(rows):
        return positions
    return np.where(positions >= 0, rows[positions], -1)


def valid(column: Array) -> Mask:
    """Where an array has a value; most have one everywhere."""
    return np.asarray(column.is_valid()) if column.null_count else np.ones(len(column), dtype=np.bool_)


def differ(left: Strings, right: Strings) -> Mask:
    """Where both have a value and not the same one."""
    return np.asarray(pc.fill_null(pc.not_equal(left, right), False))


def uses(name: str) -> tuple[str, ...]:
    """The operations whose spans say this attribute."""
    return tuple(
        operation.name for operation in OPERATIONS.values() if any(use.name == name for use in operation.uses)
    )
