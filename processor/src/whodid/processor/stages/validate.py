"""Validate: holds each span against what the conventions say, and the batch's spans against one another."""

from __future__ import annotations

from dataclasses import replace

from whodid.processor import rules
from whodid.processor.batch import Batch, Severity


def validate(batch: Batch, severity: Severity = Severity.VIOLATION) -> Batch:
    """Adds what the rules of at least this severity find. Finds, never drops."""
    return replace(batch, findings=(*batch.findings, *rules.find(batch, severity)))
