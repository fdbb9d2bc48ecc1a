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

# As their issuers document them: OpenAI and Anthropic, AWS, GitHub, Slack, Google, PEM, JWT (RFC 7519).
_SENSITIVE = (
    r"sk-[A-Za-z0-9_-]{20,}"
    r"|AKIA[0-9A-Z]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(-----END [A-Z ]*PRIVATE KEY-----)?"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
)
_MAPS = (
    "events.attributes",
    "events.attributes_other",
    "links.attributes",
    "links.attributes_other",
    "resource_attributes",
    "resource_attributes_other",
    "scope_attributes",
    "scope_attributes_other",
)
_TEXTS = ("name", "status_message", "trace_state")


def redact(batch: Batch) -> Batch:
    """Puts `[redacted]` in the place of what looks like a secret, in every text of the batch.

    What a span's own attributes held is reported; a canonical column repeats one of those.
    """
    texts, changed = _clean(batch.attributes.texts)
    findings = _attribute_findings(batch.attributes, changed) if changed.any() else []
    spans = batch.spans
    for name in _TEXTS:
        cleaned, changed = _clean(spans.column(name).combine_chunks())
        if changed.any():
            findings.append(_finding(name, np.flatnonzero(changed)))
            spans = spans.set_column(spans.schema.get_field_index(name), name, cleaned)
    for name in _MAPS:
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
    return bool(_has_beginning(np.frombuffer(data, dtype=np.uint8), _BEGINNINGS))


_BEGINNINGS = np.zeros(1 << 16, dtype=np.bool_)
"""By two bytes, the first the lower: whether a secret may begin with them."""
for _pair in (b"sk", b"AK", b"gh", b"gi", b"xo", b"AI", b"--", b"ey"):
    _BEGINNINGS[int.from_bytes(_pair, "little")] = True


@compiled
def _has_beginning(data: Any, beginnings: Any) -> bool:
    """Whether there is anywhere what every secret of `_SENSITIVE` begins with."""
    for at in range(len(data) - 2):
        if not beginnings[data[at] | np.int64(data[at + 1]) << 8]:
            continue
        third = data[at + 2]
        first = data[at]
        if first == 0x73:  # sk-
            found = third == 0x2D
        elif first == 0x41:  # AKIA, AIza
            found = third == (0x49 if data[at + 1] == 0x4B else 0x7A)
        elif first == 0x67:  # ghp_ and its like, github_pat_
            found = at + 3 < len(data) and (data[at + 3] == 0x5F or third == 0x74)
        elif first == 0x78:  # xox
            found = third == 0x78
        elif first == 0x2D:  # -----BEGIN
            found = third == 0x2D
        else:  # eyJ
            found = third == 0x4A
        if found:
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
