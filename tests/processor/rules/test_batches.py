"""What a batch does not hold is not missed, and what it holds is never lost."""

from __future__ import annotations

import pytest

from tests.processor.rules.records import valid, violations
from whodid.processor import pipeline


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


def test_findings_never_make_a_span_disappear() -> None:
    records = valid()
    for name in records.spans:
        records.say(name, ATTRIBUTION_PRINCIPAL_ID=5, ATTRIBUTION_TASK_OBJECTIVE_HASH="x")
    assert pipeline.run(records.bodies()).spans.num_rows == len(records.spans)
