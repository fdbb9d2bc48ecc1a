"""Redact: well-known forms of secrets never reach the store in clear."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from whodid.processor.arrow import Strings, pa, pc
from whodid.processor.batch import Attributes, Batch, Findings, Mask, Rows
from whodid.processor.stages.words import compiled
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
    texts, changed = _clean(batch.attributes.texts)
    findings = _attribute_findings(batch.attributes, changed) if changed.any() else []
    spans = batch.spans
    for name in TEXTS:
        cleaned, changed = _clean(spans.column(name).combine_chunks())
        if changed.any():
            findings.append(_finding(name, np.flatnonzero(changed)))
            spans = spans.set_column(spans.schema.get_field_index(name), name, cleaned)
    for name in MAPS:
        cleaned = _clean_nested(spans.column(name).combine_chunks())
        spans = spans.set_column(spans.schema.get_field_index(name), name, cleaned)
    return replace(
        batch,
        spans=spans,
        attributes=replace(batch.attributes, texts=texts),
        columns={name: _clean_nested(column) for name, column in batch.columns.items()},
        findings=(*batch.findings, *findings),
    )


def without_secrets(text: str) -> str:
    """The same for a text that is quoted in a finding."""
    return re.sub(_SENSITIVE, REDACTED, text)


def _clean(texts: Any) -> tuple[Strings, Mask]:
    """The texts without secrets, and which of them had one."""
    if not _may_hold_secret(texts):
        return texts, np.zeros(len(texts), dtype=np.bool_)
    cleaned = pc.replace_substring_regex(texts, _SENSITIVE, REDACTED)
    return cleaned, np.asarray(pc.fill_null(pc.not_equal(cleaned, texts), False))


def _may_hold_secret(texts: Any) -> bool:
    """One look through all the texts at once: nearly always the answer is no, and that is all it costs."""
    data = texts.buffers()[2]
    if data is None or data.size == 0:
        return False
    # An array may be a part of a longer one; what stands around it at worst costs a closer look.
    return bool(_has_beginning(np.frombuffer(data, dtype=np.uint8), _PAIRS, _THIRDS))


_PAIRS = np.zeros(1 << 16, dtype=np.uint8)
"""By two bytes, the first the lower: the row of `_THIRDS` where a secret begins with them, or 0."""
_THIRDS = np.zeros((len(_SECRETS) + 1, 1 << 8), dtype=np.bool_)
for _row, (_beginning, _) in enumerate(_SECRETS, start=1):
    _pair = int.from_bytes(_beginning[:2].encode(), "little")
    _PAIRS[_pair] = _PAIRS[_pair] or _row
    _THIRDS[_PAIRS[_pair], ord(_beginning[2])] = True


@compiled
def _has_beginning(data: Any, pairs: Any, thirds: Any) -> bool:
    """Whether the first three bytes of a secret stand anywhere."""
    for at in range(len(data) - 2):
        row = pairs[data[at] | np.int64(data[at + 1]) << 8]
        if row and thirds[row, data[at + 2]]:
            return True
    return False


def _clean_nested(column: Any) -> Any:
    """The same for lists and maps of texts, however deep; an array without texts is returned as it is."""
    if pa.types.is_string(column.type):
        return _clean(column)[0]
    if pa.types.is_map(column.type):
        return pa.MapArray.from_arrays(column.offsets, column.keys, _clean(column.items)[0])
    if pa.types.is_list(column.type) and len(column):
        return pa.ListArray.from_arrays(column.offsets, _clean_nested(column.values), mask=column.is_null())
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
