"""What holds for every question: it is documented, tested, described, and bound to one tenant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import QUESTIONS, AnyQuestion
from whodid.store.questions.asking import RESERVED
from whodid.store.questions.question import Paged

ROOT = Path(__file__).parents[3]
STORE = ROOT / "processor" / "src" / "whodid" / "store"
SQL = sorted((STORE / "sql").rglob("*.sql"))
PAGES = ROOT / "docs" / "questions"
TESTS = {"who": "test_questions.py", "trace": "test_questions.py"}
"""Where the oldest ones are tested; every other has a file of its own name."""

every_question = pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda each: each.name)


@every_question
def test_it_has_a_page_with_its_parameters_and_how_far_to_trust_it(question: AnyQuestion) -> None:
    page = (PAGES / f"{question.name}.md").read_text()
    assert page.startswith(f"# {question.name}")
    # What all listings have in common stands once, on the page before all pages.
    for name in question.parameters.model_fields.keys() - Paged.model_fields.keys():
        assert f"`{name}`" in page, name
    assert any(level.value in page for level in EvidenceLevel)
    assert "whodid ask" in page
    assert f"[{question.name}]({question.name}.md)" in (PAGES / "README.md").read_text()


@every_question
def test_it_is_tested(question: AnyQuestion) -> None:
    name = TESTS.get(question.name)
    file = ROOT / "tests" / "store"
    file = file / name if name else file / "questions" / f"test_{question.name.replace('-', '_')}.py"
    assert question.name.replace("-", "_") in file.read_text()


@every_question
def test_its_parameters_have_help_and_names_of_their_own(question: AnyQuestion) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", question.name)
    assert question.title.endswith("?")
    for name, field in question.parameters.model_fields.items():
        assert field.description, name
        assert name not in {*RESERVED, "json", "csv", "all", "data_dir"}


def test_every_page_is_a_question_s() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {"README", *QUESTIONS}


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.stem)
def test_a_query_says_the_tenant_for_every_table_that_it_reads(path: Path) -> None:
    text = re.sub(r"--.*", "", path.read_text())
    read = re.findall(r"\{database\}\.\w+", text)
    assert read or path.parent.name == "parts" or "{% include" in text, "a query reads something"
    assert len(re.findall(r"\btenant_id = \{tenant:String\}", text)) == len(read)
    # A table that is named otherwise would not be counted.
    assert not re.findall(
        r"(?i)\b(?:FROM|JOIN)\s+(?:\w+\.)(?:spans|findings|trace_index|actions_hourly|id_times)\b", text
    )


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.stem)
def test_no_value_gets_into_a_query_s_text(path: Path) -> None:
    assert not re.findall(r"\{\{-? *given", path.read_text())
    columns = {"columns[given.driver[8:]][0]", "says(given.driver)", "asked(given)"}
    columns |= {'asked(given, ["id", "outcome"])', "in_its_times(given)", "settings(given)"}
    for written in re.findall(r"\{\{-?(.+?)-?\}\}", path.read_text()):
        assert "given" not in written or written.strip() in columns, written


def test_every_query_is_one_of_a_question() -> None:
    modules = "\n".join(path.read_text() for path in (STORE / "questions").glob("*.py"))
    queries = "\n".join(path.read_text() for path in SQL)
    for path in SQL:
        if path.parent.name == "parts":
            assert re.search(rf'\{{%-? (include|from) "parts/{path.name}"', queries), path.name
        else:
            assert f'"{path.stem}"' in modules, path.name
