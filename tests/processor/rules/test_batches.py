"""What a batch does not hold is not missed, and what it holds is never lost."""

from __future__ import annotations

import random

import pytest

from tests.processor.rules.records import ALICE, valid, violations
from tests.spans import Value
from whodid.processor import pipeline
from whodid.processor.batch import Severity
from whodid.semconv.registry import ATTRIBUTES


@pytest.mark.parametrize("name", list(valid().spans))
def test_a_span_that_is_not_in_the_batch_is_not_missed(name: str) -> None:
    records = valid()
    del records.spans[name]
    records.resources.pop(name, None)
    assert violations(records) == set()


@pytest.mark.parametrize("name", list(valid().spans))
def test_a_span_alone_is_valid(name: str) -> None:
    records = valid()
    records.spans = {name: records[name]}
    records.resources = {each: resource for each, resource in records.resources.items() if each == name}
    assert violations(records) == set()


STRANGE: tuple[Value, ...] = (
    *(None, "", "x", "2026-11-24T15:00:00Z", "sha256:", 0, -1, True, 1.5, b"\xff", [], [None], ["a"], [[1]]),
    *({}, {"a": None}, "granted", "blocked", "human_approved", "call-1", "action-1", "approval-4", ALICE),
)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_said_is_judged(seed: int) -> None:
    draw = random.Random(seed)
    records = valid()
    for name in draw.sample(list(records.spans), 12):
        span = records[name]
        for attribute in draw.sample(list(ATTRIBUTES), 8):
            span.attributes[attribute] = draw.choice(STRANGE)
        span.parent_id = draw.choice((b"", b"12", records["chat"].span_id, span.span_id))
        span.trace_id = draw.choice((records.trace_id, bytes(16), b"1"))
        span.start_ns = draw.choice((0, 1, span.start_ns, 2**63))
    found = records.find(Severity.INFORMATION)
    assert found
    assert all(len(each.message) < 600 for each in found)


def test_findings_never_make_a_span_disappear() -> None:
    records = valid()
    for name in records.spans:
        records.say(name, ATTRIBUTION_PRINCIPAL_ID=5, ATTRIBUTION_TASK_OBJECTIVE_HASH="x")
    assert pipeline.run(records.bodies()).spans.num_rows == len(records.spans)
