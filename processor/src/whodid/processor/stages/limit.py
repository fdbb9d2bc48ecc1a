"""Limit: what is too long or too much in a span is cut, with a finding; never what attributes an action.

After `redact`, so that no half of a secret stays behind at the end of a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.processor.batch import Attributes, Batch, Findings, Kind, Mask, Rows
from whodid.processor.settings import DEFAULT_LIMITS, LimitSettings
from whodid.processor.stages.redact import MAPS, TEXTS
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import FindingRule

CUT = "$cut"
"""The one key of the map that stands for a list, a map or bytes: its value is how their JSON began."""

_DROPPED = "dropped_attributes_count"
_MAX_DROPPED = 2**32 - 1


def limit(batch: Batch, limits: LimitSettings = DEFAULT_LIMITS) -> Batch:
    """Cuts what is beyond the limits, in the same way each time."""
    return _cut_texts(_cut_values(_cut_attributes(batch, limits.max_attributes), limits), limits)


def _cut_attributes(batch: Batch, max_attributes: int) -> Batch:
    """Of a span's attributes that the conventions do not know, the first by name, until there are enough."""
    attributes = batch.attributes
    counts = np.bincount(attributes.owners, minlength=attributes.owner_count)
    if not (counts > max_attributes).any():
        return batch
    kept = _known(attributes)
    if len(batch.lifted):
        kept |= batch.lifted
    rooms = np.maximum(max_attributes - np.bincount(attributes.owners[kept], minlength=len(counts)), 0)
    others: Rows = np.flatnonzero(~kept & (counts > max_attributes)[attributes.owners])
    others = others[np.argsort(attributes.owners[others], kind="stable")]  # still by name within each span
    owners = attributes.owners[others]
    places = np.arange(len(others)) - np.searchsorted(owners, owners)
    cut = others[places >= rooms[owners]]
    if not len(cut):
        return batch
    dropped = np.bincount(attributes.owners[cut], minlength=len(counts))
    message = f"the span has more than {max_attributes} attributes; the last ones by name are not kept"
    finding = Findings(FindingRule.BEYOND_LIMIT, "attributes", message, np.flatnonzero(dropped))
    keep = np.ones(len(attributes.owners), dtype=np.bool_)
    keep[cut] = False
    said = np.asarray(batch.spans.column(_DROPPED)).astype(np.int64)
    counted = pa.array(np.minimum(said + dropped, _MAX_DROPPED).astype(np.uint32))
    return replace(
        batch,
        spans=batch.spans.set_column(batch.spans.schema.get_field_index(_DROPPED), _DROPPED, counted),
        attributes=replace(
            attributes,
            owners=attributes.owners[keep],
            codes=attributes.codes[keep],
            kinds=attributes.kinds[keep],
            texts=attributes.texts.take(pa.array(np.flatnonzero(keep))),
        ),
        lifted=batch.lifted[keep] if len(batch.lifted) else batch.lifted,
        findings=(*batch.findings, finding),
    )


def _known(attributes: Attributes) -> Mask:
    """Entries that the conventions define; of a key that comes twice the last, which is what counts."""
    known = np.array([name in ATTRIBUTES for name in attributes.names], dtype=np.bool_)[attributes.codes]
    again = (attributes.codes[1:] == attributes.codes[:-1]) & (
        attributes.owners[1:] == attributes.owners[:-1]
    )
    known[:-1] &= ~again
    return known


def _cut_values(batch: Batch, limits: LimitSettings) -> Batch:
    """Of the spans' attributes. What stands in a column, and what the conventions add, stays whole."""
    attributes = batch.attributes
    long = _too_long(attributes.texts, limits.max_value_bytes)
    if len(batch.lifted):
        long &= ~batch.lifted
    if not long.any():
        return batch
    whole = np.array([_is_evidence(name) for name in attributes.names], dtype=np.bool_)
    long &= ~whole[attributes.codes]
    is_text = attributes.kinds == Kind.STRING
    texts = _cut(attributes.texts, long & is_text, limits.max_value_bytes, is_json=False)
    texts = _cut(texts, long & ~is_text, limits.max_value_bytes, is_json=True)
    kinds = attributes.kinds.copy()
    kinds[long & ~is_text] = Kind.MAP
    findings: list[Findings] = []
    for code in cast("list[int]", np.unique(attributes.codes[long]).tolist()):
        owners = attributes.owners[long & (attributes.codes == code)]
        findings.append(_finding(attributes.names[code], limits, np.unique(owners)))
    changed = replace(attributes, texts=texts, kinds=kinds)
    return replace(batch, attributes=changed, findings=(*batch.findings, *findings))


def _is_evidence(name: str) -> bool:
    return name.startswith("attribution.") and name in ATTRIBUTES


def _cut_texts(batch: Batch, limits: LimitSettings) -> Batch:
    """Of the spans' fields, events, links, resources and scopes."""
    spans, findings = batch.spans, list(batch.findings)
    for name in (*TEXTS, *MAPS):
        column: Any = spans.column(name).combine_chunks()
        cut, rows = _cut_nested(column, limits.max_value_bytes, is_json=name.endswith("_other"))
        if len(rows):
            spans = spans.set_column(spans.schema.get_field_index(name), name, cut)
            findings.append(_finding(name, limits, rows))
    return replace(batch, spans=spans, findings=tuple(findings))


def _cut_nested(column: Any, max_bytes: int, *, is_json: bool) -> tuple[Any, Rows]:
    """The same texts, maps, lists or dictionaries of maps, and the rows in which something was cut."""
    if pa.types.is_string(column.type):
        long = _too_long(column, max_bytes)
        rows: Rows = np.flatnonzero(long)
        return (_cut(column, long, max_bytes, is_json=is_json) if len(rows) else column), rows
    if pa.types.is_dictionary(column.type):
        cut, places = _cut_nested(column.dictionary, max_bytes, is_json=is_json)
        if not len(places):
            return column, places
        rows = np.flatnonzero(np.isin(np.asarray(column.indices), places))
        return pa.DictionaryArray.from_arrays(column.indices, cut), rows
    inner = column.items if pa.types.is_map(column.type) else column.values
    cut, places = _cut_nested(inner, max_bytes, is_json=is_json)
    if not len(places):
        return column, places
    offsets = np.asarray(column.offsets)
    owners: Rows = np.unique(np.searchsorted(offsets, places, side="right") - 1)
    if pa.types.is_map(column.type):
        return pa.MapArray.from_arrays(column.offsets, column.keys, cut), owners
    return pa.ListArray.from_arrays(column.offsets, cut), owners


def _too_long(texts: Any, max_bytes: int) -> Mask:
    lengths: Array = pc.fill_null(pc.binary_length(texts), 0)
    return np.asarray(lengths) > max_bytes


def _cut(texts: Strings, long: Mask, max_bytes: int, *, is_json: bool) -> Strings:
    if not long.any():
        return texts
    replacements = pa.array(list(_beginnings(texts, long, max_bytes, is_json=is_json)), pa.string())
    return pc.replace_with_mask(texts, pa.array(long), replacements)


def _beginnings(texts: Strings, long: Mask, max_bytes: int, *, is_json: bool) -> Iterator[str]:
    for text in cast("list[str]", texts.filter(pa.array(long)).to_pylist()):
        beginning = text.encode()[:max_bytes].decode(errors="ignore")  # not in the middle of a character
        yield (
            json.dumps({CUT: beginning}, ensure_ascii=False, separators=(",", ":")) if is_json else beginning
        )


def _finding(name: str, limits: LimitSettings, rows: Rows) -> Findings:
    message = f"{name} is longer than {limits.max_value_bytes} bytes; how it begins is kept"
    return Findings(FindingRule.BEYOND_LIMIT, name, message, rows)
