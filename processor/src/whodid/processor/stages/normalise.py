"""Normalise: canonical names for what arrives in a dialect, the originals kept; a column a known name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.processor.batch import Attributes, Batch, Kind, Mask, Rows
from whodid.processor.stages.dialects import GENERAL, Rename
from whodid.processor.stages.recognise import Recognised, mapped, recognise
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

    A canonical name that has no column of its own is added to the attributes. What was sent stays, also an
    operation that is known to be wrong: then it is in the attributes, and the right one in the column.
    """
    attributes = batch.attributes
    claimed, _ = _lift(attributes, ATTRIBUTES[attr.GEN_AI_OPERATION_NAME])
    recognised = recognise(batch, claimed)
    renames = _renames(batch, recognised)
    for rename, within in renames:
        if ATTRIBUTES[rename.target].column is None:
            attributes = _add(attributes, rename, within)
    columns: dict[str, Array] = {}
    lifted = np.zeros(len(attributes.codes), dtype=np.bool_)
    for attribute in ATTRIBUTES.values():
        if attribute.column is not None:
            column, positions = _lift(attributes, attribute)
            lifted[positions] = True
            if column is not None:
                columns[attribute.name] = column
    if recognised.operations is not None:
        columns[attr.GEN_AI_OPERATION_NAME] = recognised.operations
        sent = attributes.entries(attr.GEN_AI_OPERATION_NAME)
        lifted[sent] &= ~recognised.overruled[attributes.owners[sent]]
    for rename, within in renames:
        if ATTRIBUTES[rename.target].column is not None:
            _fill(attributes, columns, rename, within)
    spans = batch.spans.append_column(DIALECT, recognised.dialects)
    return replace(batch, spans=spans, attributes=attributes, columns=columns, lifted=lifted)


def _renames(batch: Batch, recognised: Recognised) -> list[tuple[Rename, Mask]]:
    """The renames of what the batch holds, and the spans that each is about; the first counts."""
    everywhere = np.ones(batch.row_count, dtype=np.bool_)
    speaking = [(dialect.renames, spoken) for dialect, spoken in recognised.speaking]
    names = frozenset(batch.attributes.names)
    return [
        (rename, spoken & _of_operation(recognised.operations, rename) if rename.operations else spoken)
        for renames, spoken in (*speaking, (GENERAL, everywhere))
        for rename in renames
        if rename.source in names
    ]


def _of_operation(operations: Array | None, rename: Rename) -> Any:
    if operations is None:
        return False
    return np.asarray(pc.is_in(operations, pa.array(sorted(rename.operations))))


def _lift(attributes: Attributes, attribute: Attribute) -> tuple[Array | None, Rows]:
    """An attribute's rightly typed values as a column, None where there are none, and where they stood.

    What has another type stays where it is.
    """
    positions = attributes.positions(attribute.name, KINDS[attribute.type])
    if positions is None:
        return None, np.zeros(0, dtype=np.int64)
    column = _typed(attributes.at(positions), attribute)
    return column, positions[np.asarray(pc.is_valid(column))] if column.null_count else positions


def _typed(texts: Strings, attribute: Attribute) -> Array:
    """An attribute's texts in its column's type; null for an empty string, which says nothing."""
    if attribute.column is Column.INT:
        return texts.cast(pa.int64())
    if attribute.column is Column.ARRAY:
        return _string_lists(texts)
    return without_empty(texts)


def without_empty(texts: Strings) -> Strings:
    """The texts, null where one is empty. Where none is, as they are and not copied."""
    empty = pc.equal(pc.binary_length(texts), 0)
    return pc.if_else(empty, pa.scalar(None, pa.string()), texts) if pc.any(empty).as_py() else texts


def _string_lists(texts: Strings) -> Array:
    """JSON arrays of strings as lists; null where an element is no string. Each is read once."""
    encoded = texts.dictionary_encode()
    lists: list[list[str] | None] = []
    for text in cast(list[str], encoded.dictionary.to_pylist()):
        values: Any = json.loads(text)
        lists.append(values if all(isinstance(value, str) for value in values) else None)
    return pa.array(lists, pa.list_(pa.string())).take(encoded.indices)


def _add(attributes: Attributes, rename: Rename, within: Mask) -> Attributes:
    """The attributes with a dialect's under its canonical name too, on spans that do not use that name."""
    positions = attributes.positions(rename.source, KINDS[ATTRIBUTES[rename.target].type])
    if positions is None:
        return attributes
    said = np.zeros(attributes.owner_count, dtype=np.bool_)
    said[attributes.owners[attributes.entries(rename.target)]] = True
    source = positions[within & ~said & (positions >= 0)]
    return attributes.with_entries(rename.target, source) if len(source) else attributes


def _fill(attributes: Attributes, columns: dict[str, Array], rename: Rename, within: Mask) -> None:
    """Puts values where a column has none: what was sent under the canonical name is never replaced."""
    attribute = ATTRIBUTES[rename.target]
    kinds = KINDS[AttributeType.STRING if rename.json_field else attribute.type]
    positions = attributes.positions(rename.source, kinds)
    if positions is None:
        return
    texts = attributes.at(np.where(within, positions, -1))
    if rename.json_field:
        texts = _json_field(texts, rename.json_field)
    if rename.values:
        texts = mapped(texts, rename.values)
    values = _typed(texts, attribute)
    name = rename.target
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
