"""The invariants of `check`, `decode` and the pipeline, over many inputs at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from tests.fuzz import mutations, oracle
from whodid.processor import pipeline
from whodid.processor.stages.decode import MalformedRequestError, check, decode

GROUP = 64
"""Requests in one run of the pipeline, as they come from the spool: an input can spoil its neighbours."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A broken invariant, and the input that breaks it."""

    what: str
    body: bytes


class TooLenientError(Exception):
    """`check` let something pass that is no request."""


def fuzz(
    draw: random.Random, inputs: int, working_on: Callable[[Sequence[bytes]], None]
) -> tuple[Counter[str], list[Defect]]:
    """Returns what was counted and every defect. `working_on` is told what is tried next."""
    counts: Counter[str] = Counter()
    defects: list[Defect] = []
    for first in range(0, inputs, GROUP):
        accepted: list[bytes] = []
        for _ in range(min(GROUP, inputs - first)):
            body = mutations.make(draw)
            working_on([body])
            counts["inputs"] += 1
            try:
                passed = passes(body, counts)
            except Exception as error:  # noqa: BLE001 - any other exception is a defect
                what, known = _said(error), {defect.what for defect in defects}
                defects.append(Defect(what, _small(what, body, known, _check_says)))
                continue
            if passed:
                accepted.append(body)
        working_on(accepted)
        if accepted and (what := wrong(accepted)) is not None:
            alone = [(found, body) for body in accepted if (found := wrong([body])) is not None]
            known = {defect.what for defect in defects}
            defects += [Defect(each, _small(each, body, known, _pipeline_says)) for each, body in alone] or [
                Defect(f"only together: {what}", b"".join(accepted))
            ]
    return counts, defects


def _small(what: str, body: bytes, known: set[str], says: Callable[[bytes], str | None]) -> bytes:
    """The first input that shows a defect is made small; the others are only counted."""
    if what in known:
        return body
    known.add(what)
    return oracle.minimised(body, lambda smaller: says(smaller) == what)


def _check_says(body: bytes) -> str | None:
    try:
        passes(body, Counter())
    except Exception as error:  # noqa: BLE001 - as in `fuzz`
        return _said(error)
    return None


def _pipeline_says(body: bytes) -> str | None:
    return wrong([body]) if oracle.read(body) is not None and _check_says(body) is None else None


def _said(error: Exception) -> str:
    return f"check: {type(error).__name__}: {error}"[:300]


def passes(body: bytes, counts: Counter[str]) -> bool:
    """Whether `check` lets the body pass, counted beside protobuf's own opinion.

    Raises whatever `check` raises but MalformedRequestError, and TooLenientError.
    """
    sound = oracle.read(body) is not None
    try:
        check(body)
    except MalformedRequestError:
        counts["refused, though protobuf reads it" if sound else "refused"] += 1
        return False
    if not sound:
        raise TooLenientError("accepted, though protobuf refuses it")
    counts["accepted"] += 1
    return True


def wrong(bodies: Sequence[bytes]) -> str | None:
    """What is wrong with how requests that `check` let pass come out of `decode` and the pipeline."""
    try:
        batch = decode(bodies)
        sealed = pipeline.run(bodies)
    except Exception as error:  # noqa: BLE001 - any exception at all is a defect
        return f"passed by check, refused by the pipeline: {type(error).__name__}: {error}"[:300]
    spans = [
        span
        for body in bodies
        for resource in cast(Any, oracle.read(body)).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    counted = np.bincount(batch.attributes.owners, minlength=batch.row_count).tolist()
    if batch.row_count != len(spans) or sealed.spans.num_rows != len(spans):
        return f"{len(spans)} spans were sent, {batch.row_count} decoded, {sealed.spans.num_rows} sealed"
    expected = {
        "trace_id": [span.trace_id[:16].ljust(16, b"\0") for span in spans],
        "span_id": [span.span_id[:8].ljust(8, b"\0") for span in spans],
        "name": [span.name for span in spans],
    }
    for name, values in expected.items():
        if batch.spans.column(name).to_pylist() != values:
            return f"{name} is decoded otherwise than by protobuf"
    if counted != [len(span.attributes) for span in spans]:
        return "another number of attributes than by protobuf"
    return None
