"""Recognises which dialect each span is in, and what its operation is in canonical words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.processor.batch import Batch, Mask
from whodid.processor.stages.dialects import DIALECTS, Dialect


@dataclass(frozen=True, slots=True)
class Recognised:
    """What can be told of a batch's spans from their scopes and their attributes' names."""

    dialects: Strings
    """Per span the dialect's name; empty for none."""
    speaking: tuple[tuple[Dialect, Mask], ...]
    """The dialects that occur, and the spans in each; a span may be in several."""
    operations: Array | None
    """Per span the operation; None where no span of the batch has one."""
    overruled: Mask
    """The spans whose operation, as sent under the canonical name, is known to be wrong."""


def recognise(batch: Batch, claimed: Array | None) -> Recognised:
    """The dialects, and the operations: those `claimed` under the canonical name, or else the dialect's."""
    scopes = batch.spans.column("scope_name").combine_chunks().dictionary_encode()
    labels = np.zeros(batch.row_count, dtype=np.int8)
    overruled = np.zeros(batch.row_count, dtype=np.bool_)
    speaking: list[tuple[Dialect, Mask]] = []
    operations = claimed
    for number, dialect in enumerate(DIALECTS, start=1):
        spoken = _spoken(batch, dialect, scopes)
        if not spoken.any():
            continue
        speaking.append((dialect, spoken))
        labels[spoken & (labels == 0)] = number
        kinds = batch.attributes.strings(dialect.span_kind) if dialect.span_kind else None
        if kinds is None:
            continue
        if operations is not None:
            operations, wrong = _corrected(operations, kinds, dialect)
            overruled |= wrong
        operations = _first(operations, mapped(kinds, dialect.operations), overruled)
    names = pa.array(["", *(dialect.name for dialect in DIALECTS)])
    return Recognised(names.take(pa.array(labels)), tuple(speaking), operations, overruled)


def mapped(texts: Strings, meanings: Mapping[str, str]) -> Strings:
    """What each text means; null for one that is not among them."""
    return pa.array(list(meanings.values())).take(pc.index_in(texts, pa.array(list(meanings))))


def _spoken(batch: Batch, dialect: Dialect, scopes: Array) -> Mask:
    """The spans of one of the dialect's scopes, or with one of its keys."""
    of_dialect = np.array([_is_scope_of(dialect, name) for name in scopes.dictionary.to_pylist()], np.bool_)
    if of_dialect.any():
        spoken: Mask = of_dialect[np.asarray(scopes.indices)]
    else:
        spoken = np.zeros(batch.row_count, dtype=np.bool_)
    for key in filter(None, (dialect.span_kind, *dialect.keys)):  # a sender may well use an empty name
        spoken[batch.attributes.owners[batch.attributes.entries(key)]] = True
    return spoken


def _is_scope_of(dialect: Dialect, scope: str) -> bool:
    return any(scope == name or (name.endswith(".") and scope.startswith(name)) for name in dialect.scopes)


def _corrected(operations: Array, kinds: Strings, dialect: Dialect) -> tuple[Array, Mask]:
    """The operations without those that the dialect is known to get wrong, and which spans those were."""
    wrong = np.zeros(len(kinds), dtype=np.bool_)
    for correction in dialect.corrections:
        claim = pc.and_(pc.equal(kinds, correction.kind), pc.equal(operations, correction.claimed))
        claim = pc.fill_null(claim, False)
        operations = pc.if_else(claim, pa.scalar(correction.operation, pa.string()), operations)
        wrong |= np.asarray(claim)
    return operations, wrong


def _first(operations: Array | None, more: Array, settled: Mask) -> Array:
    """The operations, and where there is none and nothing is settled, the others."""
    if operations is None:
        return more
    return pc.coalesce(operations, pc.if_else(pa.array(settled), pa.scalar(None, pa.string()), more))
