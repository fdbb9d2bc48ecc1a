"""`whodid sql`: a SELECT for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.asked import in_folder
from whodid.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_folder(tmp_path_factory.mktemp("selected"))


def sql(folder: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["sql", *arguments, "--data-dir", str(folder)], input=stdin)


TOOLS = "SELECT gen_ai_tool_name AS tool, count() AS n FROM spans WHERE tool LIKE '%l%' GROUP BY 1 ORDER BY 1"


def test_a_table_for_people(folder: Path) -> None:
    done = sql(folder, TOOLS)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["tool", "n"]
    assert "lookup_order" in done.stdout


@pytest.mark.parametrize("more", [(), ("--json",), ("--csv",)])
def test_nothing_that_a_span_says_steers_the_terminal(folder: Path, more: tuple[str, ...]) -> None:
    done = sql(folder, TOOLS, *more)
    assert "script" in done.stdout
    assert not {char for char in done.stdout if not char.isprintable()} - {"\n"}


def test_json_from_standard_input(folder: Path) -> None:
    found = json.loads(sql(folder, "-", "--json", stdin="SELECT count() AS n FROM spans").stdout)
    assert found == {"columns": ["n"], "rows": [[3]], "truncated": False}


def test_csv_does_not_calculate(folder: Path) -> None:
    assert sql(folder, TOOLS, "--csv").stdout.splitlines()[1].startswith("'=cmd|")


def test_more_rows_are_said_to_be_there(folder: Path) -> None:
    done = sql(folder, "SELECT span_id FROM spans", "--limit", "1")
    assert "more than 1 rows" in done.stderr


def test_of_another_tenant_nothing_is_read(folder: Path) -> None:
    done = sql(folder, "SELECT count() AS n FROM spans", "--tenant", "other", "--csv")
    assert done.stdout == "n\n0\n"


@pytest.mark.parametrize(
    "query", ["DROP TABLE spans", "SELECT * FROM system.users", "SELECT nothing FROM spans"]
)
def test_a_refusal_names_the_cause_and_a_hint(folder: Path, query: str) -> None:
    done = sql(folder, query)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "\n\nhint: " in done.stderr
