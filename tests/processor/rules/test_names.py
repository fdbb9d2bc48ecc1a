"""Names: old ones, misspelt ones, and those of others, which are nobody's business here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processor.rules.records import Records, why
from whodid.processor.rules import names
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule as Id

ABOUT_NAMES = {Id.DEPRECATED_NAME, Id.MISSPELT_NAME, Id.UNKNOWN_NAME}


def told(*attributes: str) -> dict[str, str]:
    records = Records()
    records.add("plan", why() | {attr.GEN_AI_OPERATION_NAME: "plan"} | dict.fromkeys(attributes, "x"))
    return {each.attribute: each.message for each in records.find() if each.rule in ABOUT_NAMES}


def test_the_name_that_is_meant_is_told() -> None:
    assert told("atribution.principal.id")["atribution.principal.id"] == (
        "atribution.principal.id is unknown; expected attribution.principal.id"
    )
    assert told("gen_ai.system")["gen_ai.system"].endswith("expected gen_ai.provider.name")


@pytest.mark.parametrize(
    "name", ["app.task.id", "distribution.task.id", "attribute", "attribution", "task.id", "gen_ai.tool.nam"]
)
def test_names_of_others_are_left_alone(name: str) -> None:
    assert told(name) == {}


def test_the_nearest_name_is_meant() -> None:
    assert names.nearest("attribution.task.ids") == "attribution.task.id"
    assert names.nearest("attribution.credential.not_afte") == "attribution.credential.not_after"
    assert names.nearest("attribution.quite.another") is None


def test_no_more_than_so_many_are_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_NAMES", 5)
    assert len(told(*(f"attribution.made.up.{number}" for number in range(20)))) == 5


def test_a_name_beyond_all_bounds_is_not_looked_into() -> None:
    assert told(f"attribution.{'x' * 10_000}") == {}


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.integers(0, 2))
def test_edits_are_counted_as_everybody_counts_them(one: str, other: str, edits: int) -> None:
    rows = [list(range(len(other) + 1))]
    for position, character in enumerate(one, start=1):
        row = [position]
        for column, wanted in enumerate(other, start=1):
            replaced = rows[-1][column - 1] + (character != wanted)
            row.append(min(replaced, rows[-1][column] + 1, row[-1] + 1))
        rows.append(row)
    assert names.within(one, other, edits) == (rows[-1][-1] <= edits)
