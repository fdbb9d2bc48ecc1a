"""The API held against its own description by schemathesis: thousands of requests that nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks
from starlette.applications import Starlette

from tests.asked import app, fill
from whodid.store import Store
from whodid.store.questions import QUESTIONS

# Its types are partly unknown to a strict checker.
_library: Any = checks
_CHECKS = [
    _library.not_a_server_error,
    _library.status_code_conformance,
    _library.content_type_conformance,
    _library.response_schema_conformance,
]
EXAMPLES = 20
"""Requests a question, valid ones and as many invalid ones."""

HEADERS = {"host": "localhost"}
POSTED = ("decisions", "sql")
"""Asked with a body as well."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('schema') / 'store'}")
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def served(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    return app(store, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def described(served: Starlette) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", served, headers=HEADERS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, "GET") for name in (*QUESTIONS, "sql")), *((name, "POST") for name in POSTED)],
)
def test_what_is_answered_is_what_is_described(
    described: Any, name: str, method: str, mode: GenerationMode
) -> None:
    operation = described[f"/api/v1/{name}"][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        database=None,
    )
    def hold(case: Any) -> None:
        case.call_and_validate(checks=_CHECKS, headers=HEADERS)

    hold()


def test_every_operation_of_the_description_is_called(described: Any) -> None:
    operations = [result.ok() for result in described.get_all_operations()]
    named = {(each.path.removeprefix("/api/v1/"), each.method.upper()) for each in operations}
    assert named == {*((name, "GET") for name in (*QUESTIONS, "sql")), *((name, "POST") for name in POSTED)}


@pytest.mark.parametrize(
    "query",
    [
        "who?id=action-1",
        "chain?id=action-1",
        "credential?id=key-1&since=1h",
        "credential?id=key-1&sql=true",
        "blast-radius?kind=credential&id=key-1",
        "unattributed?missing=task",
        "sql?query=SELECT+*+FROM+spans",
    ],
)
def test_an_answer_about_what_is_there_is_what_is_described(described: Any, query: str) -> None:
    name, _, given_ = query.partition("?")
    case = described[f"/api/v1/{name}"]["GET"].Case(query=dict(parse_qsl(given_)))
    answer = case.call_and_validate(checks=_CHECKS, headers=HEADERS)
    assert answer.status_code == 200


def test_policies_that_cannot_be_read_are_the_callers_mistake(described: Any) -> None:
    """Found by chance among the requests above: it was answered with 500."""
    case = described["/api/v1/decisions"]["GET"].Case(query={"policy": "no policy", "sql": "true"})
    answer = case.call_and_validate(checks=_CHECKS, headers=HEADERS)
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["title"]
