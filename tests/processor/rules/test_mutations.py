"""Each rule broken in every way that it names: found by exactly the rule meant, on the span meant."""

from __future__ import annotations

import pytest

from tests.processor.rules import broken_records, broken_values
from tests.processor.rules.mutants import Mutant
from tests.processor.rules.records import Found, valid
from whodid.processor.batch import Severity
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingRule

MUTANTS = (*broken_values.MUTANTS, *broken_records.MUTANTS)


def test_a_valid_record_has_no_violation() -> None:
    assert valid().find(Severity.VIOLATION) == set()


def test_what_a_valid_record_could_say() -> None:
    # All its attributes are in development, some are unknown to upstream: none of that is a finding.
    assert {each.rule for each in valid().find(Severity.INFORMATION)} == {FindingRule.MISSING_RECOMMENDED}


@pytest.fixture(scope="module")
def already() -> set[Found]:
    """What a valid record could say and does not."""
    return valid().find(Severity.INFORMATION)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_found_by_exactly_the_rules_meant(mutant: Mutant, already: set[Found]) -> None:
    records = valid()
    mutant.change(records)
    found = records.find(Severity.INFORMATION) - already
    assert {each.rule for each in found} == mutant.rules
    meant = [each for each in found if (each.record, each.attribute) == (mutant.record, mutant.attribute)]
    assert meant, found


def test_every_rule_has_a_mutant() -> None:
    assert {rule for mutant in MUTANTS for rule in mutant.rules} == {FindingRule(id_) for id_ in RULES}


def test_a_mutant_s_name_is_its_own() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))
