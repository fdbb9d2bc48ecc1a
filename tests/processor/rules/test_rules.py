"""The list of the rules: complete, documented, and each says what it is registered for."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.processor.rules import broken_records, broken_values
from tests.processor.rules.mutants import Mutant
from tests.processor.rules.records import valid
from whodid.processor import pipeline
from whodid.processor.batch import Findings, Severity
from whodid.processor.rules import CHECKS
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingRule as Id

ROOT = Path(__file__).parents[3]
OF_OTHER_STAGES = {
    Id.INVALID_ID,
    Id.EVIDENCE_CLAIMED,
    Id.SECRET_REDACTED,
    Id.TIME_OUTSIDE_WINDOW,
    Id.BEYOND_LIMIT,
}


def test_each_rule_is_registered_once() -> None:
    registered = [id_ for check in CHECKS for id_ in check.ids]
    assert len(registered) == len(set(registered))
    assert set(registered) == set(Id) - OF_OTHER_STAGES


@pytest.mark.parametrize("id_", list(RULES))
@pytest.mark.parametrize("page", ["semconv/docs/findings.md", "docs/validator.md"])
def test_each_rule_is_documented(page: str, id_: str) -> None:
    assert f"| `{id_}` |" in (ROOT / page).read_text()


def test_the_comparison_with_live_check_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "validator.md").read_text()
    comparison = page.partition("## Beside OTel Weaver's live-check")[2].partition("## What it costs")[0]
    named = [
        name
        for row in comparison.splitlines()
        if row.startswith("| ") and "shown by" not in row and "---" not in row
        for name in re.findall("`([^`]+)`", row.split(" | ")[-1])
    ]
    mutants = {mutant.name for mutant in (*broken_values.MUTANTS, *broken_records.MUTANTS)}
    assert len(named) >= 14
    for name in named:
        path, is_test, function = name.partition("::")
        exists = f"def {function}(" in (ROOT / path).read_text() if is_test else name in mutants
        assert exists, name


@pytest.mark.parametrize("id_", list(RULES))
def test_each_rule_bears_on_a_control(id_: str) -> None:
    assert RULES[id_].controls


def test_a_finding_is_as_bad_as_the_conventions_say() -> None:
    for id_ in Id:
        assert Findings(id_, "", "", np.zeros(0, dtype=np.int64)).severity == RULES[id_].severity


def test_the_same_records_give_the_same_findings() -> None:
    records = valid()
    for each in (*broken_values.MUTANTS, *broken_records.MUTANTS)[::20]:
        each.change(records)
    bodies = records.bodies()
    first, second = (pipeline.run(bodies, severity=Severity.INFORMATION).findings for _ in range(2))
    assert first.num_rows > 0
    assert first.equals(second)


@pytest.mark.parametrize(
    "mutant", (*broken_values.MUTANTS, *broken_records.MUTANTS)[::10], ids=lambda mutant: mutant.name
)
def test_every_message_says_what_is_expected(mutant: Mutant) -> None:
    records = valid()
    mutant.change(records)
    for found in records.find() - valid().find():
        if found.rule not in OF_OTHER_STAGES:
            assert "; " in found.message
            assert "expected" in found.message or "requires" in found.message or "recommends" in found.message
        assert len(found.message) < 500


def test_a_batch_without_spans_has_no_findings() -> None:
    assert pipeline.run([b""], severity=Severity.INFORMATION).findings.num_rows == 0
