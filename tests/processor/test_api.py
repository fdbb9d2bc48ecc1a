"""The HTTP API: every question, its parameters, its problems, its limits, its description."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from tests.asked import app, fill
from whodid.processor import openapi
from whodid.store import Limits, Reader, Store
from whodid.store.questions import QUESTIONS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('api') / 'store'}")
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def client(store: Store, tmp_path: Path) -> TestClient:
    return TestClient(app(store, tmp_path), base_url="http://localhost", raise_server_exceptions=False)


def refused(client: TestClient, path: str, status: int) -> dict[str, Any]:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["hint"]
    return body


def test_a_question_is_answered(client: TestClient) -> None:
    body = client.get("/api/v1/who?id=action-1").json()
    assert body["principal"]["id"]["value"] == "alice@acme.example"


def test_a_time_may_be_so_long_ago(client: TestClient) -> None:
    assert client.get("/api/v1/credential?id=key-1&since=1h").json()["use_count"] == 2
    refused(client, "credential?id=key-1&since=2100-01-01T00:00:00Z", 404)


def test_the_pages_of_a_listing_hold_each_item_once(client: TestClient) -> None:
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = client.get("/api/v1/credential", params={"id": "key-1", "limit": 1, "cursor": cursor}).json()
        seen += [item["action_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["action-1", "action-2"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("who", "id: Field required"),
        ("who?id=x&idd=y", "no parameter 'idd'"),
        ("who?id=x&id=y", "id is given twice"),
        ("who?id=x&tenant=%27", "tenant"),
        ("who?id=x&format=csv", "format has to be json"),
        ("who?id=x&sql=1", "sql has to be true or false"),
        ("credential?id=key-1&limit=0", "limit"),
        ("credential?id=key-1&limit=1001", "limit"),
        ("credential?id=key-1&cursor=bad", "cursor"),
        ("credential?id=key-1&only=nothing", "only"),
        ("credential?id=key-1&since=yesterday", "since"),
        ("credential?id=key-1&since=2026-01-01", "since"),
        ("credential?id=key-1&since=9999-01-01T00:00:00Z", "1970 and 2200"),
        ("credential?id=key-1&since=1h&until=2h", "until is not after since"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, path: str, said: str) -> None:
    assert said in refused(client, path, 400)["title"]


def test_what_is_not_there(client: TestClient) -> None:
    assert refused(client, "who?id=nobody", 404)["type"] == "urn:whodid:problem:unknown-id"
    assert refused(client, "nothing", 404)["type"] != "urn:whodid:problem:unknown-id"


def test_an_ambiguous_id_lists_what_it_may_mean(client: TestClient) -> None:
    body = refused(client, "who?id=req-1", 409)
    assert sorted(each["ask"] for each in body["candidates"]) == ["action-1", "action-2"]


def test_a_method_that_is_not_there(client: TestClient) -> None:
    answer = client.post("/api/v1/who?id=action-1")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_tenant_knows_nothing_of_it(client: TestClient) -> None:
    refused(client, "who?id=action-1&tenant=other", 404)


def test_a_question_that_would_read_too_much_says_what_to_narrow(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def narrow(self: Store, tenant: str | None = None) -> Reader:
        return Reader(self, tenant or "", Limits(max_rows_read=1))

    monkeypatch.setattr(Store, "reader", narrow)
    body = refused(client, "credential?id=key-1", 422)
    assert body["title"] == "the question went beyond its limit of rows read"
    assert "since" in body["hint"]


def test_the_store_s_own_words_are_not_in_an_answer_of_a_bug(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(Store, "reader", broken)
    assert "secret" not in str(refused(client, "who?id=action-1", 500))


def test_the_sql_instead_of_the_answer(client: TestClient) -> None:
    statements = client.get("/api/v1/who?id=action-1&sql=true").json()["statements"]
    assert statements[0]["query"] == "candidates"
    assert statements[0]["parameters"]["tenant"] == ""
    assert "tenant_id = {tenant:String}" in statements[0]["text"]


def test_csv_holds_text_that_does_nothing(client: TestClient) -> None:
    answer = client.get("/api/v1/credential?id=key-1&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["tool"] for row in rows] == [
        "lookup_order",
        "'=cmd|'/c calc'!A1\\x1b[2J\\u202e<script>",
    ]
    assert rows[0]["principal"] == "alice@acme.example"
    assert rows[0]["principal.evidence"] == "propagated"


def test_csv_says_where_the_next_page_is(client: TestClient) -> None:
    answer = client.get("/api/v1/credential?id=key-1&format=csv&limit=1")
    assert answer.links["next"]["url"].startswith("?cursor=")


def test_the_questions_are_listed(client: TestClient) -> None:
    listed = client.get("/api/v1").json()["questions"]
    assert [each["name"] for each in listed] == list(QUESTIONS)


class TestDescription:
    def test_it_has_every_question_with_every_parameter(self, client: TestClient) -> None:
        document = client.get("/api/v1/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        assert set(document["paths"]) == {f"/api/v1/{name}" for name in (*QUESTIONS, "sql")}
        for question in QUESTIONS.values():
            operation = document["paths"][f"/api/v1/{question.name}"]["get"]
            named = {each["name"]: each for each in operation["parameters"]}
            assert set(question.parameters.model_fields) < set(named)
            assert all(each["description"] for each in named.values())

    def test_its_schemas_are_schemas_and_nothing_points_nowhere(self) -> None:
        document = openapi.document()
        for schema in document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)

        def targets(value: Any) -> Iterator[str]:
            if isinstance(value, dict):
                for key, each in value.items():  # pyright: ignore[reportUnknownVariableType]
                    if key == "$ref":
                        yield str(each)  # pyright: ignore[reportUnknownArgumentType]
                    yield from targets(each)
            elif isinstance(value, list):
                for each in value:  # pyright: ignore[reportUnknownVariableType]
                    yield from targets(each)

        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(targets(document)) <= known
