"""The model: everything generated from it is fresh, and a wrong model is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from whodid.semconv import generate, model
from whodid.semconv.definitions import Requirement
from whodid.semconv.registry import ATTRIBUTES, OPERATIONS

SEMCONV = Path(__file__).parents[2] / "semconv"


def test_what_is_generated_is_fresh() -> None:
    assert generate.stale(model.load(SEMCONV / "model"), SEMCONV) == []


def test_a_stale_file_is_noticed_and_mended(tmp_path: Path) -> None:
    shutil.copytree(SEMCONV, tmp_path / "semconv")
    constants = tmp_path / "semconv" / generate.PYTHON_FOLDER / "attributes.py"
    constants.write_text(constants.read_text().replace("attribution.task.id", "attribution.job.id"))
    loaded = model.load(tmp_path / "semconv" / "model")

    assert generate.write(loaded, tmp_path / "semconv") == [generate.PYTHON_FOLDER / "attributes.py"]
    assert generate.stale(loaded, tmp_path / "semconv") == []


def test_the_generated_registry_is_the_model() -> None:
    loaded = model.load(SEMCONV / "model")
    assert loaded.attributes == ATTRIBUTES
    assert {operation.name: operation for operation in loaded.operations} == OPERATIONS


def test_what_an_operation_requires_has_a_column() -> None:
    # The validator looks for a required attribute among the columns.
    for operation in OPERATIONS.values():
        for name in operation.with_requirement(Requirement.REQUIRED):
            assert ATTRIBUTES[name].column is not None, name


def test_columns_have_names_of_their_own() -> None:
    names = [attribute.column_name for attribute in ATTRIBUTES.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ref: attribution.task.id", "ref: attribution.tsk.id", "no attribute attribution.tsk.id"),
        ("ref_group: attribution.who", "ref_group: attribution.whom", "no attribute group attribution.whom"),
        (
            "file_format: definition/2",
            "file_format: definition/1",
            "spans.yaml:1: file_format: 'definition/1' cannot stand here",
        ),
    ],
)
def test_a_wrong_model_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    shutil.copytree(SEMCONV, tmp_path / "semconv")
    spans = tmp_path / "semconv" / "model" / "spans.yaml"
    spans.write_text(spans.read_text().replace(old, new))
    with pytest.raises(model.ModelError, match=message):
        model.load(tmp_path / "semconv" / "model")


def test_an_attribute_defined_twice_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SEMCONV, tmp_path / "semconv")
    again = tmp_path / "semconv" / "model" / "zz.yaml"
    again.write_text((SEMCONV / "model" / "task.yaml").read_text())
    with pytest.raises(model.ModelError, match="already defined"):
        model.load(tmp_path / "semconv" / "model")
