"""Validate: holds each span against what its operation has to say. Finds, never drops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from whodid.processor.arrow import pa, pc
from whodid.processor.batch import Batch, Findings, Kind, Severity
from whodid.processor.stages.normalise import KINDS
from whodid.semconv import attributes as attr
from whodid.semconv.definitions import AttributeType, Requirement
from whodid.semconv.registry import ATTRIBUTES, OPERATIONS


def validate(batch: Batch) -> Batch:
    """Adds the findings of every rule."""
    found = tuple(finding for rule in RULES for finding in rule(batch) if len(finding.rows))
    return replace(batch, findings=batch.findings + found)


def missing_required(batch: Batch) -> Iterator[Findings]:
    """A required attribute of the span's operation is absent."""
    operations = batch.columns.get(attr.GEN_AI_OPERATION_NAME)
    if operations is None:
        return
    for operation in OPERATIONS.values():
        of_operation = np.asarray(pc.fill_null(pc.equal(operations, operation.name), False))
        if not of_operation.any():
            continue
        for name in operation.with_requirement(Requirement.REQUIRED):
            rows = np.flatnonzero(of_operation & batch.missing(name))
            message = f"{operation.name} has to say {name}"
            yield Findings("missing_required", Severity.VIOLATION, name, message, rows)


def type_mismatch(batch: Batch) -> Iterator[Findings]:
    """An attribute has another type than the registry gives it."""
    for name in batch.attributes.names:
        attribute = ATTRIBUTES.get(name)
        if attribute is None or name == attr.ATTRIBUTION_EVIDENCE_LEVEL:  # that one `enrich` reports
            continue
        entries = batch.attributes.entries(name)
        kinds = batch.attributes.kinds[entries]
        says_nothing = (kinds == Kind.EMPTY) | np.asarray(pc.equal(batch.attributes.texts[entries], ""))
        wrong = ~np.isin(kinds, list(KINDS[attribute.type]))
        if attribute.type is AttributeType.STRINGS:
            wrong |= ~batch.lifted[entries]  # an array, but not of strings
        rows = np.unique(batch.attributes.owners[entries][wrong & ~says_nothing])
        yield Findings("type_mismatch", Severity.VIOLATION, name, f"{name} is no {attribute.type}", rows)


def undefined_value(batch: Batch) -> Iterator[Findings]:
    """A closed enum has a value that nobody defined, which an auditor cannot act on."""
    for attribute in ATTRIBUTES.values():
        column = batch.columns.get(attribute.name)
        if not attribute.closed or column is None:
            continue
        wrong = pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, pa.array(attribute.values))))
        message = f"{attribute.name} is none of {', '.join(attribute.values)}"
        rows = np.flatnonzero(np.asarray(wrong))
        yield Findings("undefined_value", Severity.VIOLATION, attribute.name, message, rows)


RULES: tuple[Callable[[Batch], Iterator[Findings]], ...] = (missing_required, type_mismatch, undefined_value)
