"""Normalise: canonical names for what arrives in a dialect, the originals kept; a column a known name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.processor.batch import Attributes, Batch, Kind, Mask, Rows
from whodid.processor.stages.dialects import DIALECTS, GENERAL, Dialect, Rename
from whodid.semconv import attributes as attr
from whodid.semconv.definitions import Attribute, AttributeType, Column
from whodid.semconv.registry import ATTRIBUTES

KINDS = {
    AttributeType.STRING: frozenset((Kind.STRING,)),
    AttributeType.INT: frozenset((Kind.INT,)),
    AttributeType.DOUBLE: frozenset((Kind.DOUBLE, Kind.INT)),
    AttributeType.BOOLEAN: frozenset((Kind.BOOL,)),
    AttributeType.STRINGS: frozenset((Kind.ARRAY,)),
    AttributeType.ANY: frozenset(set(Kind) - {Kind.EMPTY}),
}

DIALECT = "dialect"
"""The batch's column, not an attribute, that names the dialect a span came in."""


def normalise(batch: Batch) -> Batch:
    """Fills `columns` with the registry's hot attributes: as sent, or else from what a dialect calls them.

    A canonical name that has no column of its own is added to the attributes.
    """
    attributes = batch.attributes
    columns: dict[str, Array] = {}
    _lift(attributes, ATTRIBUTES[attr.GEN_AI_OPERATION_NAME], columns)
    dialects = pa.nulls(batch.row_count, pa.string())
    renames = [(rename, np.ones(batch.row_count, dtype=np.bool_)) for rename in GENERAL]
    for dialect in reversed(DIALECTS):
        kinds = attributes.strings(dialect.span_kind)
        if kinds is not None:
            spoken = np.asarray(pc.is_valid(kinds))
            dialects = pc.if_else(spoken, dialect.name, dialects)
            _fill(columns, attr.GEN_AI_OPERATION_NAME, _operations(kinds, dialect))
            renames = [*((rename, spoken) for rename in dialect.renames), *renames]
    for rename, within in renames:
        if ATTRIBUTES[rename.target].column is None:
            attributes = _add(attributes, rename, within & _of_operation(columns, rename, batch.row_count))
    lifted = np.zeros(len(attributes.codes), dtype=np.bool_)
    for attribute in ATTRIBUTES.values():
        if attribute.column is not None:
            lifted[_lift(attributes, attribute, columns)] = True
    for rename, within in renames:
        if ATTRIBUTES[rename.target].column is not None:
            _rename(attributes, columns, rename, within & _of_operation(columns, rename, batch.row_count))
    spans = batch.spans.append_column(DIALECT, pc.fill_null(dialects, ""))
    return replace(batch, spans=spans, attributes=attributes, columns=columns, lifted=lifted)


def _lift(attributes: Attributes, attribute: Attribute, columns: dict[str, Array]) -> Rows:
    """Puts an attribute's rightly typed values into a column; returns the positions of their entries.

    What has another type stays where it is.
    """
    positions = attributes.positions(attribute.name, KINDS[attribute.type])
    if positions is None:
        return np.zeros(0, dtype=np.int64)
    column = _typed(attributes.at(positions), attribute)
    # The operation's column may hold a dialect's answer already.
    columns[attribute.name] = (
        pc.coalesce(column, columns[attribute.name]) if attribute.name in columns else column
    )
    return positions[np.asarray(pc.is_valid(column))]


def _typed(texts: Strings, attribute: Attribute) -> Array:
    """An attribute's texts in its column's type; null for an empty string, which says nothing."""
    if attribute.column is Column.INT:
        return texts.cast(pa.int64())
    if attribute.column is Column.ARRAY:
        return _string_lists(texts)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _string_lists(texts: Strings) -> Array:
    """JSON arrays of strings as lists; null where an element is no string. Each is read once."""
    encoded = texts.dictionary_encode()
    lists: list[list[str] | None] = []
    for text in cast(list[str], encoded.dictionary.to_pylist()):
        values: Any = json.loads(text)
        lists.append(values if all(isinstance(value, str) for value in values) else None)
    return pa.array(lists, pa.list_(pa.string())).take(encoded.indices)


def _operations(kinds: Strings, dialect: Dialect) -> Array:
    """Span kinds as operations; a kind that no operation corresponds to stays without one."""
    found = pc.index_in(kinds, pa.array(list(dialect.operations)))
    return pa.array(list(dialect.operations.values())).take(found)


def _add(attributes: Attributes, rename: Rename, within: Mask) -> Attributes:
    """The attributes with a dialect's under its canonical name too, on spans that do not use that name."""
    positions = attributes.positions(rename.source, KINDS[ATTRIBUTES[rename.target].type])
    if positions is None:
        return attributes
    said = np.zeros(attributes.owner_count, dtype=np.bool_)
    said[attributes.owners[attributes.entries(rename.target)]] = True
    source = positions[within & ~said & (positions >= 0)]
    return attributes.with_entries(rename.target, source) if len(source) else attributes


def _rename(attributes: Attributes, columns: dict[str, Array], rename: Rename, within: Mask) -> None:
    attribute = ATTRIBUTES[rename.target]
    kinds = KINDS[AttributeType.STRING if rename.json_field else attribute.type]
    positions = attributes.positions(rename.source, kinds)
    if positions is None:
        return
    texts = attributes.at(np.where(within, positions, -1))
    if rename.json_field:
        texts = _json_field(texts, rename.json_field)
    _fill(columns, rename.target, _typed(texts, attribute))


def _of_operation(columns: dict[str, Array], rename: Rename, row_count: int) -> Mask:
    operations = columns.get(attr.GEN_AI_OPERATION_NAME)
    if not rename.operations:
        return np.ones(row_count, dtype=np.bool_)
    if operations is None:
        return np.zeros(row_count, dtype=np.bool_)
    return np.asarray(pc.is_in(operations, pa.array(sorted(rename.operations))))


def _fill(columns: dict[str, Array], name: str, values: Array) -> None:
    """Puts values where a column has none: what was sent under the canonical name is never replaced."""
    columns[name] = pc.coalesce(columns[name], values) if name in columns else values


def _json_field(texts: Strings, field: str) -> Strings:
    encoded = texts.dictionary_encode()
    values = [_string_in(text, field) for text in cast(list[str], encoded.dictionary.to_pylist())]
    return pa.array(values, pa.string()).take(encoded.indices)


def _string_in(text: str, field: str) -> str | None:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    found: Any = cast(dict[str, Any], value).get(field) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
