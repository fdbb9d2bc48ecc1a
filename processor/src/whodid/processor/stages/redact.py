"""Redact: well-known forms of secrets never reach the store in clear."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from whodid.processor.arrow import Strings, pa, pc
from whodid.processor.batch import Attributes, Batch, Findings, Mask, Rows
from whodid.processor.stages.words import Int, compiled
from whodid.semconv.values import FindingRule

REDACTED = "[redacted]"

# As their issuers document them: OpenAI and Anthropic, AWS, GitHub, Slack, Google, PEM, JWT (RFC 7519). What
# each begins with, in three bytes or more, and what follows, as a regular expression. The search and the
# quick look before it are both made of this list: what the one finds, the other cannot miss.
_SECRETS = (
    ("sk-", r"[A-Za-z0-9_-]{20,}"),
    ("AKIA", r"[0-9A-Z]{16}"),
    *((f"gh{kind}_", r"[A-Za-z0-9]{36,}") for kind in "pousr"),
    ("github_pat_", r"[A-Za-z0-9_]{22,}"),
    *((f"xox{kind}-", r"[A-Za-z0-9-]{10,}") for kind in "abprs"),
    ("AIza", r"[0-9A-Za-z_-]{35}"),
    ("-----BEGIN ", r"[A-Z ]*PRIVATE KEY-----[^-]*(-----END [A-Z ]*PRIVATE KEY-----)?"),
    ("eyJ", r"[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
)
_SENSITIVE = "|".join(re.escape(beginning) + rest for beginning, rest in _SECRETS)
MAPS = (
    "events.attributes",
    "events.attributes_other",
    "links.attributes",
    "links.attributes_other",
    "resource_attributes",
    "resource_attributes_other",
    "scope_attributes",
    "scope_attributes_other",
)
TEXTS = ("name", "status_message", "trace_state")


def redact(batch: Batch) -> Batch:
    """Puts `[redacted]` in the place of what looks like a secret, in every text of the batch.

    What a span's own attributes held is reported; a canonical column repeats one of those.
    """
    clear: set[int] = set()
    texts, changed = _clean(batch.attributes.texts, clear)
    findings = _attribute_findings(batch.attributes, changed) if changed.any() else []
    spans = batch.spans
    for name in TEXTS:
        cleaned, changed = _clean(spans.column(name).combine_chunks(), clear)
        if changed.any():
            findings.append(_finding(name, np.flatnonzero(changed)))
            spans = spans.set_column(spans.schema.get_field_index(name), name, cleaned)
    for name in MAPS:
        cleaned = _clean_nested(spans.column(name).combine_chunks(), clear)
        spans = spans.set_column(spans.schema.get_field_index(name), name, cleaned)
    return replace(
        batch,
        spans=spans,
        attributes=replace(batch.attributes, texts=texts),
        columns={name: _clean_nested(column, clear) for name, column in batch.columns.items()},
        findings=(*batch.findings, *findings),
    )


def without_secrets(text: str) -> str:
    """The same for a text that is quoted in a finding."""
    return re.sub(_SENSITIVE, REDACTED, text)


def _clean(texts: Any, clear: set[int]) -> tuple[Strings, Mask]:
    """The texts without secrets, and which of them had one."""
    if not _may_hold_secret(texts, clear):
        return texts, np.zeros(len(texts), dtype=np.bool_)
    cleaned = pc.replace_substring_regex(texts, _SENSITIVE, REDACTED)
    return cleaned, np.asarray(pc.fill_null(pc.not_equal(cleaned, texts), False))


def _may_hold_secret(texts: Any, clear: set[int]) -> bool:
    """One look through all the texts at once: nearly always the answer is no, and that is all it costs.

    `clear`: the addresses of buffers without a secret, which a column may share with the attributes.
    """
    _, offsets, content = texts.buffers()
    if content is None or content.size == 0 or content.address in clear:
        return False
    bounds = np.frombuffer(offsets, dtype=np.int32)
    first, last = int(bounds[texts.offset]), int(bounds[texts.offset + len(texts)])
    data = np.frombuffer(content, dtype=np.uint8)[first:last]
    if _has_beginning(data, _PAIRS, _BEGINNINGS, _SIZES):
        return True
    if last - first == content.size:
        clear.add(content.address)
    return False


_BY_PAIR = sorted((beginning.encode() for beginning, _ in _SECRETS), key=lambda each: each[:2])
_SIZES = np.array([len(beginning) for beginning in _BY_PAIR], dtype=np.int64)
_BEGINNINGS = np.zeros((len(_BY_PAIR), _SIZES.max()), dtype=np.uint8)
_PAIRS = np.zeros(1 << 16, dtype=np.uint8)
"""By two bytes, the first the lower: one more than the first row of `_BEGINNINGS` that has them, or 0."""
for _row, _beginning in enumerate(_BY_PAIR):
    _BEGINNINGS[_row, : len(_beginning)] = list(_beginning)
    _pair = int.from_bytes(_beginning[:2], "little")
    _PAIRS[_pair] = _PAIRS[_pair] or _row + 1


@compiled
def _has_beginning(data: Any, pairs: Any, beginnings: Any, sizes: Any) -> bool:
    """Whether what a secret begins with stands anywhere, in its full length: `git` alone is in many texts."""
    for at in range(len(data) - 2):
        found = pairs[data[at] | np.int64(data[at + 1]) << 8]
        if found and _begins(data, at, beginnings, sizes, np.int64(found) - 1):
            return True
    return False


@compiled
def _begins(data: Any, at: Int, beginnings: Any, sizes: Any, row: Int) -> bool:
    """Whether one of the beginnings from this row on that have the same two bytes stands here."""
    while row < len(sizes) and beginnings[row, 0] == data[at] and beginnings[row, 1] == data[at + 1]:
        step = 2
        while step < sizes[row] and at + step < len(data) and data[at + step] == beginnings[row, step]:
            step += 1
        if step == sizes[row]:
            return True
        row += 1
    return False


def _clean_nested(column: Any, clear: set[int]) -> Any:
    """The same for lists, maps and dictionaries of texts; an array without texts is returned as it is."""
    if pa.types.is_string(column.type):
        return _clean(column, clear)[0]
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _clean_nested(column.dictionary, clear))
    if pa.types.is_map(column.type):
        return pa.MapArray.from_arrays(column.offsets, column.keys, _clean(column.items, clear)[0])
    if pa.types.is_list(column.type) and len(column):
        values = _clean_nested(column.values, clear)
        return pa.ListArray.from_arrays(column.offsets, values, mask=column.is_null())
    return column


def _attribute_findings(attributes: Attributes, changed: Mask) -> list[Findings]:
    findings: list[Findings] = []
    for code in range(len(attributes.names)):
        owners = attributes.owners[changed & (attributes.codes == code)]
        if len(owners):
            findings.append(_finding(attributes.names[code], np.unique(owners)))
    return findings


def _finding(attribute: str, rows: Rows) -> Findings:
    message = f"{attribute} held what looks like a secret; {REDACTED} is stored in its place"
    return Findings(FindingRule.SECRET_REDACTED, attribute, message, rows)
