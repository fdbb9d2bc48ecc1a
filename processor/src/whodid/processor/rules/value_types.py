"""Whether a value has the type that the registry gives its attribute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from whodid.processor.arrow import pa, pc
from whodid.processor.batch import Attributes, Findings, Kind, Mask, Rows, is_one_of
from whodid.processor.rules.view import View, encode
from whodid.processor.stages.normalise import KINDS
from whodid.semconv import attributes as attr
from whodid.semconv.definitions import Attribute, AttributeType
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import FindingRule

_WORDS = {
    Kind.STRING: "string",
    Kind.BOOL: "boolean",
    Kind.INT: "int",
    Kind.DOUBLE: "double",
    Kind.ARRAY: "array of other things than strings",
    Kind.MAP: "map",
    Kind.BYTES: "bytes",
}


def type_mismatch(view: View) -> Iterator[Findings]:
    """An attribute has another type than the registry gives it."""
    attributes = view.batch.attributes
    for name in attributes.names:
        attribute = ATTRIBUTES.get(name)
        if attribute is None or name == attr.ATTRIBUTION_EVIDENCE_LEVEL:  # that one `enrich` reports
            continue
        entries = attributes.entries(name)
        kinds = attributes.kinds[entries]
        # An empty value says nothing, and is no business of this rule.
        wrong = ~is_one_of(KINDS[attribute.type] | {Kind.EMPTY})[kinds]
        if attribute.type is AttributeType.STRINGS:
            wrong |= _of_other_things(attributes, entries, ~view.batch.lifted[entries])
        if wrong.any():
            yield from _tell(attributes, attribute, np.flatnonzero(wrong) + entries.start)


def _of_other_things(attributes: Attributes, entries: slice, suspicious: Mask) -> Mask:
    """Which of the suspicious entries are arrays, but not of strings."""
    wrong = np.zeros(len(suspicious), dtype=np.bool_)
    found: Rows = np.flatnonzero(suspicious & (attributes.kinds[entries] == Kind.ARRAY))
    if len(found):
        encoded = encode(attributes.texts.take(pa.array(found + entries.start)))
        bad = [not _is_list_of_strings(text) for text in cast(list[str], encoded.values.to_pylist())]
        wrong[found] = np.array(bad)[encoded.codes]
    return wrong


def _is_list_of_strings(text: str) -> bool:
    values: Any = json.loads(text)
    return all(isinstance(value, str) for value in values)


def _tell(attributes: Attributes, attribute: Attribute, entries: Rows) -> Iterator[Findings]:
    texts = attributes.texts.take(pa.array(entries))
    kinds = np.where(np.asarray(pc.equal(texts, "")), Kind.EMPTY, attributes.kinds[entries])
    for kind, word in _WORDS.items():
        rows = np.unique(attributes.owners[entries[kinds == kind]])
        message = f"{attribute.name} is of type {word}; expected {attribute.type}"
        yield Findings(FindingRule.TYPE_MISMATCH, attribute.name, message, rows)
