"""`whodid semconv`: what its commands print, and what they exit with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from whodid.cli.main import main

SEMCONV = Path(__file__).parents[2] / "semconv"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["semconv", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the conventions that may be broken."""
    for name in ("model", "upstream", "released"):
        if (SEMCONV / name).exists():
            shutil.copytree(SEMCONV / name, tmp_path / "semconv" / name)
    return tmp_path / "semconv"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("verb", [("check",), ("generate",), ("show", "attribution.task.id"), ("diff", "x")])
def test_a_folder_without_a_model(tmp_path: Path, verb: tuple[str, ...]) -> None:
    done = run(*verb, "--folder", str(tmp_path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "error: there is no model in" in done.stderr or "error: x is neither" in done.stderr


class TestCheck:
    def test_our_own_model_is_in_order(self) -> None:
        done = run("check", "--folder", str(SEMCONV))
        assert (done.exit_code, done.output) == (0, "")

    def test_every_problem_is_told_with_its_line(self, folder: Path) -> None:
        edit(
            folder / "model" / "task.yaml",
            "key: attribution.task.parent.id",
            "key: attribution.Task.parent.id",
        )
        done = run("check", "--folder", str(folder))
        line = (folder / "model" / "task.yaml").read_text().split("attribution.Task")[0].count("\n") + 1
        assert done.exit_code == 1
        assert (
            f"{folder}/model/task.yaml:{line}: attribution.Task.parent.id is no name for an attribute\n"
            " hint: lower-case words, joined by `.` and `_`, with a namespace in front: attribution.NAME\n"
        ) in done.stdout
        assert "there is no attribute attribution.task.parent.id\n hint: did you mean " in done.stdout
        assert "problems in the conventions\n" in done.stderr


class TestGenerate:
    def test_the_checkout_is_fresh(self) -> None:
        done = run("generate", "--check", "--folder", str(SEMCONV))
        assert (done.exit_code, done.stdout) == (0, "")

    def test_stale_files_are_named_and_mended(self, folder: Path) -> None:
        done = run("generate", "--check", "--folder", str(folder))
        assert done.exit_code == 1
        for name in ("README.md", "spans.md", "normalisation.md", "action-record.schema.json"):
            assert str(folder / "docs" / name) in done.stdout
        assert f"hint: whodid semconv generate --folder {folder}" in done.stderr
        assert run("generate", "--folder", str(folder)).exit_code == 0
        assert run("generate", "--check", "--folder", str(folder)).exit_code == 0

    def test_a_page_of_a_group_that_is_gone_goes_too(self, folder: Path) -> None:
        assert run("generate", "--folder", str(folder)).exit_code == 0
        left_over, written_by_hand = folder / "docs" / "gone.md", folder / "docs" / "guide.md"
        shutil.copy(folder / "docs" / "task.md", left_over)
        written_by_hand.write_text("# A guide\n")
        assert run("generate", "--check", "--folder", str(folder)).stdout == f"{left_over}\n"
        assert run("generate", "--folder", str(folder)).stdout == f"{left_over}\n"
        assert (left_over.exists(), written_by_hand.exists()) == (False, True)

    def test_a_broken_model_generates_nothing(self, folder: Path) -> None:
        edit(folder / "model" / "spans.yaml", "ref: attribution.task.id", "ref: attribution.tsk.id")
        done = run("generate", "--folder", str(folder))
        assert done.exit_code == 1
        assert (
            "there is no attribute attribution.tsk.id\n hint: did you mean attribution.task.id" in done.stdout
        )
        assert not (folder / "docs").exists()

    def test_a_released_file_that_is_none(self, folder: Path) -> None:
        (folder / "released").mkdir(exist_ok=True)
        (folder / "released" / "0.0.1.json").write_text("{}")
        done = run("generate", "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (1, "")
        assert "0.0.1.json: it is no snapshot of a version" in done.stderr


class TestRelease:
    @pytest.fixture(autouse=True)
    def unreleased(self, folder: Path) -> None:
        shutil.rmtree(folder / "released", ignore_errors=True)

    def test_a_release_is_written_once(self, folder: Path) -> None:
        release = ("generate", "--release", "0.1.0", "--folder", str(folder))
        assert str(folder / "released" / "0.1.0.json") in run(*release).stdout
        assert run("check", "--folder", str(folder)).exit_code == 0
        assert run("diff", "0.1.0", "--folder", str(folder)).output == ""

        edit(folder / "model" / "task.yaml", "id: replay, value: replay", "id: played, value: played")
        done = run(*release)
        assert done.exit_code == 1
        assert (
            "attribution.result.source is not what was released with 0.1.0: the value replay is gone"
            in done.stdout
        )

    def test_only_the_manifests_version(self, folder: Path) -> None:
        done = run("generate", "--release", "0.2.0", "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (1, "")
        assert "error: the manifest's schema_url is that of 0.1.0, not of 0.2.0\n\nhint: " in done.stderr
        assert not (folder / "released").exists()

    def test_a_released_version_takes_no_additions(self, folder: Path) -> None:
        release = ("generate", "--release", "0.1.0", "--folder", str(folder))
        assert run(*release).exit_code == 0
        edit(
            folder / "model" / "task.yaml",
            "- {id: live,",
            "- {id: old, value: old, stability: development, brief: Old.}\n        - {id: live,",
        )
        done = run(*release)
        assert done.exit_code == 1
        assert "error: 0.1.0 is released, and the model is no longer what it was then" in done.stderr


class TestShow:
    def test_an_attribute(self) -> None:
        done = run("show", "attribution.principal.id", "--folder", str(SEMCONV))
        assert done.exit_code == 0
        assert done.stdout.startswith(
            "attribute: attribution.principal.id\nmeaning: Whose authority is exercised.\n"
        )
        assert "follows: RFC 8693 `sub`" in done.stdout
        used_by = done.stdout.partition("\nused by:\n")[2]
        assert "  attribution.invoke_agent: required\n" in used_by

    def test_an_operation_as_json(self) -> None:
        done = run("show", "execute_tool", "--json", "--folder", str(SEMCONV))
        shown = json.loads(done.stdout)
        assert shown["span"] == "attribution.execute_tool"
        assert shown["known by"] == 'gen_ai.operation.name == "execute_tool"'
        assert shown["attributes"]["attribution.action.id"] == "required"
        assert shown["attributes"]["attribution.approval.id"].startswith("conditionally_required when attr")

    def test_a_rule(self) -> None:
        done = run("show", "chain_broken", "--folder", str(SEMCONV))
        assert done.stdout.startswith("rule: chain_broken\nseverity: violation\nmeaning: ")
        assert "OWASP-ASI03" in done.stdout

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("atribution.task.id", "did you mean attribution.task.id"),
            ("action.mode", "did you mean attribution.action.mode?"),
            ("chain_brokn", "did you mean chain_broken?"),
            ("zzz", "`semconv/docs/README.md` lists every attribute"),
        ],
    )
    def test_a_name_that_is_none(self, name: str, hint: str) -> None:
        done = run("show", name, "--folder", str(SEMCONV))
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"error: nothing in the conventions is named '{name}'\n\nhint: {hint}" in done.stderr


class TestDiff:
    def test_against_another_folder(self, folder: Path) -> None:
        (folder / "model" / "job.yaml").write_text(
            "file_format: definition/2\n"
            "attributes:\n"
            "  - {key: attribution.job.id, type: string, brief: New, examples: [x], stability: alpha}\n"
        )
        done = run("diff", str(SEMCONV), "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (0, "  added attributes: attribution.job.id\n")
        back = run("diff", str(folder), "--folder", str(SEMCONV), "--json")
        assert back.exit_code == 1
        assert json.loads(back.stdout) == [
            {
                "kind": "removed",
                "section": "attributes",
                "name": "attribution.job.id",
                "detail": "",
                "breaking": True,
            }
        ]
        assert f"error: 1 of these changes break what {folder} promises" in back.stderr

    def test_nothing_to_compare_with(self, folder: Path) -> None:
        done = run("diff", "9.9.9", "--folder", str(folder))
        assert (done.exit_code, done.stdout) == (1, "")
        assert (
            "error: 9.9.9 is neither a folder nor a file nor a released version\n\nhint: released: "
            in done.stderr
        )

    def test_a_file_that_is_no_snapshot(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "old.json").write_text("{}")
        done = run("diff", str(tmp_path / "old.json"), "--folder", str(folder))
        assert done.exit_code == 1
        assert "it is no snapshot of a version" in done.stderr
