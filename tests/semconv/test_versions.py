"""Versions: what is released, what changed, and the schema file by which older spans are brought up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.semconv.broken import SEMCONV
from whodid.semconv import model, snapshot, telemetry_schema
from whodid.semconv.differences import Change, between
from whodid.semconv.snapshot import Promise, Snapshot

URL = "https://whodid.dev/schemas/"


def version(number: str, **attributes: Promise) -> Snapshot:
    return Snapshot(number, URL + number, {f"attribution.{name}": each for name, each in attributes.items()})


class TestSnapshot:
    def test_it_is_read_as_it_was_written(self) -> None:
        ours = snapshot.of_model(model.load(SEMCONV / "model"))
        assert snapshot.from_json(snapshot.to_json(ours)) == ours
        assert ours.attributes["attribution.action.mode"].closed
        assert ours.spans["attribution.execute_tool"]["attribution.action.id"] == "required"
        assert ours.events["attribution.finding"]["attribution.finding.rule"] == "required"
        assert "user.id" not in ours.attributes  # upstream's to promise

    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{}", '{"attributes": {"a": {"size": 1}}}', '{"attributes": {}, "version": "latest"}'],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(snapshot.SnapshotError, match="no snapshot"):
            snapshot.from_json(text)

    def test_versions_are_in_order(self, tmp_path: Path) -> None:
        (tmp_path / "released").mkdir()
        for number in ("0.10.0", "0.9.0", "0.2.1"):
            (tmp_path / "released" / f"{number}.json").write_text(snapshot.to_json(version(number)))
        assert [each.version for each in snapshot.released(tmp_path)] == ["0.2.1", "0.9.0", "0.10.0"]


STRING = Promise("string")
ENUM = Promise("string", values=("a", "b"))

CHANGES: dict[str, tuple[Promise, Promise, list[tuple[str, str, bool]]]] = {
    "nothing": (STRING, STRING, []),
    "type": (STRING, Promise("int"), [("changed", "type was string and is int", True)]),
    "a value more": (ENUM, replace(ENUM, values=("a", "b", "c")), [("changed", "the value c is new", False)]),
    "a value less": (ENUM, replace(ENUM, values=("a",)), [("changed", "the value b is gone", True)]),
    "closed": (ENUM, replace(ENUM, closed=True), [("changed", "it is closed now", True)]),
    "opened": (replace(ENUM, closed=True), ENUM, [("changed", "it is no longer closed", False)]),
    "format": (
        STRING,
        Promise("string", format="digest"),
        [("changed", "format was free and is digest", True)],
    ),
    "an open enum": (STRING, ENUM, [("changed", "it is an enum now", False)]),
    "a closed enum": (
        STRING,
        replace(ENUM, closed=True),
        [("changed", "it is an enum now", True), ("changed", "it is closed now", True)],
    ),
    "deprecated": (STRING, Promise("string", deprecated="obsoleted"), [("deprecated", "obsoleted", False)]),
    "renamed": (
        STRING,
        Promise("string", deprecated="renamed", renamed_to="attribution.b"),
        [("renamed", "to attribution.b", False)],
    ),
    "used again": (
        Promise("string", deprecated="obsoleted"),
        STRING,
        [("changed", "it was obsoleted, and is in use again", True)],
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_changed_about_an_attribute(case: str) -> None:
    old, new, expected = CHANGES[case]
    assert between(version("1.0.0", a=old), version("1.1.0", a=new)) == [
        Change(kind, "attributes", "attribution.a", detail, breaking) for kind, detail, breaking in expected
    ]


def test_what_changed_about_names_and_levels() -> None:
    old = replace(
        version("1.0.0", a=STRING), spans={"s": {"x": "required"}}, rules={"r": "violation", "q": "violation"}
    )
    new = replace(
        version("1.1.0", b=STRING),
        spans={"s": {"x": "opt_in", "y": "required"}},
        events={"e": {}},
        rules={"r": "improvement"},
    )
    assert between(old, new) == [
        Change("removed", "attributes", "attribution.a", breaking=True),
        Change("added", "attributes", "attribution.b"),
        Change("changed", "spans", "s", "x was required and is opt_in"),
        Change("changed", "spans", "s", "y was not mentioned and is required"),
        Change("added", "events", "e"),
        Change("removed", "rules", "q", breaking=True),
        Change("changed", "rules", "r", "severity was violation and is improvement"),
    ]


class TestTelemetrySchema:
    """OpenTelemetry specification, "Schema File Format", 1.1.0."""

    def test_ours(self) -> None:
        loaded = model.load(SEMCONV / "model")
        schema = yaml.safe_load((SEMCONV / "schemas" / f"{loaded.version}.yaml").read_text())
        assert schema["file_format"] == "1.1.0"
        assert schema["schema_url"] == loaded.schema_url
        assert next(iter(schema["versions"])) == loaded.version
        assert schema["schema_url"].endswith(f"/{loaded.version}")

    def test_each_version_says_what_it_renamed(self) -> None:
        renamed = Promise("string", deprecated="renamed", renamed_to="attribution.b")
        versions = [
            version("0.9.0", a=STRING),
            version("0.10.0", a=renamed, b=STRING),
            version("0.11.0", a=renamed, b=STRING),
        ]
        change = {"changes": [{"rename_attributes": {"attribute_map": {"attribution.a": "attribution.b"}}}]}
        assert yaml.safe_load(telemetry_schema.render(versions, "0.11.0")) == {
            "file_format": "1.1.0",
            "schema_url": URL + "0.11.0",
            "versions": {"0.11.0": None, "0.10.0": {"all": change}, "0.9.0": None},
        }

    def test_an_older_file_knows_nothing_of_what_came_later(self) -> None:
        versions = [version("0.9.0", a=STRING), version("0.10.0", a=STRING)]
        schema = yaml.safe_load(telemetry_schema.render(versions, "0.9.0"))
        assert (schema["schema_url"], list(schema["versions"])) == (URL + "0.9.0", ["0.9.0"])

    def test_a_name_that_was_born_old_is_no_change(self) -> None:
        renamed = Promise("string", deprecated="renamed", renamed_to="attribution.b")
        versions = [version("0.9.0", b=STRING), version("0.10.0", a=renamed, b=STRING)]
        assert yaml.safe_load(telemetry_schema.render(versions, "0.10.0"))["versions"]["0.10.0"] is None
