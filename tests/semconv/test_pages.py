"""The generated pages: everything in the registry is on one, and every link leads somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.semconv.broken import SEMCONV
from whodid.processor.stages.dialects import DIALECTS, GENERAL
from whodid.semconv import aims
from whodid.semconv.markdown import anchor, table
from whodid.semconv.registry import ATTRIBUTES, OPERATIONS, RULES
from whodid.store.records import Answer, WhoRecord
from whodid.store.schema import registry_columns

DOCS = SEMCONV / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, heads among them."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| --- |")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip() for cell in row] for row in cells]


def read(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target, fragment in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text()):
        linked = (path.parent / target).resolve() if target else path
        assert linked.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert fragment in [anchor(heading) for heading in headings], f"{target}#{fragment}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(path: Path) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", path.read_text(), re.MULTILINE):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_every_attribute_has_a_section_on_one_page() -> None:
    headings = [line for path in PAGES for line in path.read_text().splitlines() if line.startswith("## `")]
    for name in ATTRIBUTES:
        assert headings.count(f"## `{name}`") == 1


def test_the_index_lists_what_is_ours() -> None:
    linked = re.findall(r"^\| \[`(.*?)`\]", read("README.md"), re.MULTILINE)
    assert linked == [name for name in ATTRIBUTES if name.startswith("attribution.")]


def test_an_attributes_section() -> None:
    section = read("decision.md").split("## `attribution.credential.not_after`\n")[1].split("\n## ")[0]
    assert section.startswith(
        "\nThe time, RFC 3339 in UTC, until which the credential is good.\n\n- type: string\n"
    )
    for fact in (
        "- format: `rfc3339`",
        "- examples: `2026-11-24T15:00:00Z`",
        "- follows: RFC 3339; RFC 7519 `exp`",
        "- column: `attribution_credential_not_after`",
        "[`attribution.credential.issued`](events.md#attributioncredentialissued)",
    ):
        assert fact in section


def test_an_operations_section() -> None:
    text = read("spans.md")
    for operation in OPERATIONS.values():
        section = text.split(f"## `{operation.name}`\n")[1].split("\n## ")[0]
        assert f"- known by: `{operation.match}`" in section
        listed = rows(section)[1:]
        assert [re.findall("`(.*?)`", row[0])[0] for row in listed] == [use.name for use in operation.uses]
        for use, row in zip(operation.uses, listed, strict=True):
            assert row[1].startswith(use.requirement.replace("_", " "))
            assert use.when is None or f"`{use.when}`" in row[1]


def test_the_rules_are_on_the_findings_page() -> None:
    table_ = {row[0].strip("`"): row[1:] for row in rows(read("findings.md"))}
    for rule in RULES.values():
        assert table_[rule.id] == [rule.severity, rule.brief, ", ".join(rule.controls)]


def test_each_minimum_field_of_aims_has_attributes() -> None:
    (_, *listed) = rows(read("aims.md"))
    assert [row[0] for row in listed] == [field.title for field in aims.FIELDS]
    assert len(listed) == 7
    for row in listed:
        assert set(re.findall("`(.*?)`", row[1])) <= ATTRIBUTES.keys()
        assert "`" in row[1]


def test_the_columns_are_the_stores() -> None:
    (_, *listed) = rows(read("columns.md"))
    assert [row[0].strip("`") for row in listed] == [each.column_name for each in registry_columns()]


def test_normalisation_lists_every_rename() -> None:
    listed = {
        (row[0].strip("`"), row[2].strip("`")) for row in rows(read("normalisation.md")) if len(row) == 4
    }
    for renames in (*(dialect.renames for dialect in DIALECTS), GENERAL):
        for rename in renames:
            assert (rename.source, rename.target) in listed


def test_a_records_schema_is_that_of_the_answers() -> None:
    schema = json.loads(read("action-record.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["required"]) == set(WhoRecord.model_fields)
    answer = Answer(value=["a"], evidence="propagated", spans=["00f067aa0ba902b7"])  # type: ignore[arg-type]
    validator: Any = jsonschema.Draft202012Validator({"$ref": "#/$defs/Answer", "$defs": schema["$defs"]})
    assert validator.is_valid(answer.model_dump(mode="json"))
    assert not validator.is_valid({"value": "a", "evidence": "certain", "spans": []})


def test_a_cell_is_one_line_and_breaks_no_table() -> None:
    assert table(("a",), (("x | y\nz",),)).splitlines()[-1] == "| x \\| y z |"
