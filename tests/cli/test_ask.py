"""`whodid ask`: any question, for people and programs, and text that does nothing but be read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.asked import in_folder
from whodid.cli.main import main
from whodid.store.questions import QUESTIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_folder(tmp_path_factory.mktemp("asked"))


def ask(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["ask", *arguments, "--data-dir", str(folder)])


def test_every_question_is_a_command_with_its_parameters() -> None:
    listed = CliRunner().invoke(main, ["ask", "--help"]).stdout
    for question in QUESTIONS.values():
        assert f"\n  {question.name} " in listed
        help_ = CliRunner().invoke(main, ["ask", question.name, "--help"]).stdout
        for name in question.parameters.model_fields:
            assert f"--{name.replace('_', '-')} " in help_


def test_who_looks_as_the_verb_of_that_name_has_it(folder: Path) -> None:
    asked = ask(folder, "who", "--id", "action-1")
    verb = CliRunner().invoke(main, ["who", "action-1", "--data-dir", str(folder)])
    assert asked.exit_code == 0
    assert asked.stdout == verb.stdout
    assert "alice@acme.example" in asked.stdout


def test_a_table_for_people(folder: Path) -> None:
    done = ask(folder, "credential", "--id", "key-1", "--since", "1h")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "use count" in done.stdout
    assert "lookup_order" in done.stdout
    assert "no span says how long the credential is good" in done.stdout


@pytest.mark.parametrize("more", [(), ("--json",), ("--csv",), ("--sql",)])
def test_nothing_that_a_span_says_steers_the_terminal(folder: Path, more: tuple[str, ...]) -> None:
    done = ask(folder, "credential", "--id", "key-1", *more)
    assert done.exit_code == 0
    assert not {char for char in done.stdout if not char.isprintable()} - {"\n"}


def test_json(folder: Path) -> None:
    answer = json.loads(ask(folder, "credential", "--id", "key-1", "--json").stdout)
    assert [item["action_id"] for item in answer["items"]] == ["action-1", "action-2"]


def test_csv_does_not_calculate(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(ask(folder, "credential", "--id", "key-1", "--csv").stdout)))
    assert rows[0]["tool"] == "lookup_order"
    assert rows[1]["tool"].startswith("'=cmd|")


def test_one_page_says_where_the_next_begins(folder: Path) -> None:
    first = ask(folder, "credential", "--id", "key-1", "--limit", "1", "--json")
    cursor = json.loads(first.stdout)["next_cursor"]
    assert f"more: --cursor {cursor}" in first.stderr
    second = ask(folder, "credential", "--id", "key-1", "--limit", "1", "--cursor", cursor, "--json")
    assert [item["action_id"] for item in json.loads(second.stdout)["items"]] == ["action-2"]


def test_all_pages_at_once(folder: Path) -> None:
    done = ask(folder, "credential", "--id", "key-1", "--limit", "1", "--all", "--json")
    answer = json.loads(done.stdout)
    assert [item["action_id"] for item in answer["items"]] == ["action-1", "action-2"]
    assert (answer["next_cursor"], done.stderr) == (None, "")


def test_the_sql_behind_an_answer(folder: Path) -> None:
    shown = ask(folder, "who", "--id", "action-1", "--sql").stdout
    assert "-- candidates" in shown
    assert "--   id = 'action-1'" in shown
    assert "tenant_id = {tenant:String}" in shown


def test_of_another_tenant_nothing_is_known(folder: Path) -> None:
    done = ask(folder, "who", "--id", "action-1", "--tenant", "other")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is in the store" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("whoo",), 2, "Did you mean who?"),
        (("who",), 2, "Missing option '--id'"),
        (("credential", "--id", "key-1", "--since", "soon"), 1, "hint: a time is"),
        (("credential", "--id", "key-1", "--cursor", "x"), 1, "error: the cursor is none"),
        (("credential", "--id", "key-1", "--limit", "many"), 1, "error: limit: "),
        (("who", "--id", "action-1", "--tenant", "a'b"), 1, "error: tenant is no tenant's name"),
        (("who", "--id", "req-1"), 1, "'req-1' means 2 actions"),
    ],
)
def test_a_mistake_is_named(folder: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = ask(folder, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
