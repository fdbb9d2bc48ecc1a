"""The HTTP API: every question, its parameters, its problems, its limits, its description."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.testclient import TestClient

from tests.asked import app, fill
from whodid.processor import openapi
from whodid.store import Store
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


def limited(store: Store, tmp_path: Path, **api: Any) -> TestClient:
    """The API with these settings."""
    return TestClient(app(store, tmp_path, **api), base_url="http://localhost", raise_server_exceptions=False)


def refused(client: TestClient, path: str, status: int) -> dict[str, Any]:
    return problem(client.get(f"/api/v1/{path}"), status)


def problem(answer: Any, status: int) -> dict[str, Any]:
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


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("max_rows_read", 1, "rows read"),
        ("max_bytes_read", 1, "bytes read"),
        ("max_query_s", 1e-6, "time"),
    ],
)
def test_a_question_that_would_cost_too_much_says_what_to_narrow(
    store: Store, tmp_path: Path, setting: str, value: float, said: str
) -> None:
    body = refused(limited(store, tmp_path, **{setting: value}), "credential?id=key-1", 422)
    assert body["title"] == f"the question went beyond its limit of {said}"
    assert "since" in body["hint"]


def test_a_question_that_would_take_too_much_memory_is_refused(store: Store, tmp_path: Path) -> None:
    client = limited(store, tmp_path, max_memory_bytes=1 << 20)
    query = "SELECT groupArray(number) FROM numbers(10000000)"
    assert "limit of memory" in problem(client.get("/api/v1/sql", params={"query": query}), 422)["title"]


class TestItems:
    """The setting `api.max_items`."""

    def test_more_are_refused(self, store: Store, tmp_path: Path) -> None:
        client = limited(store, tmp_path, max_items=1)
        assert "tells 1 items at the most" in refused(client, "credential?id=key-1&limit=2", 400)["title"]
        assert "tells 1 items" in refused(client, "sql?query=SELECT+1&limit=2", 400)["title"]

    def test_who_does_not_say_how_many_gets_as_many(self, store: Store, tmp_path: Path) -> None:
        client = limited(store, tmp_path, max_items=1)
        page = client.get("/api/v1/credential?id=key-1").json()
        assert (len(page["items"]), page["next_cursor"] is None) == (1, False)
        assert client.get("/api/v1/who?id=action-1").status_code == 200

    def test_the_description_says_it(self, store: Store, tmp_path: Path) -> None:
        document = limited(store, tmp_path, max_items=7).get("/api/v1/openapi.json").json()
        listed = document["paths"]["/api/v1/credential"]["get"]["parameters"]
        (limit,) = (each["schema"] for each in listed if each["name"] == "limit")
        assert (limit["default"], limit["maximum"]) == (7, 7)


PERMIT = "permit(principal, action, resource);"
LONG = PERMIT + "\n// " + "x" * 200_000


class TestPost:
    """Parameters that are too long for an address."""

    def test_the_policies_of_a_what_if(self, client: TestClient) -> None:
        answer = client.post("/api/v1/decisions?sql=true", json={"policy": LONG, "since": "24h", "limit": 5})
        assert answer.json()["statements"][0]["parameters"]["limit"] == 6
        page = client.post("/api/v1/decisions", json={"policy": LONG, "only_changed": True}).json()
        assert page == client.get("/api/v1/decisions", params={"policy": PERMIT, "only_changed": True}).json()

    def test_a_long_select(self, client: TestClient) -> None:
        query = f"SELECT '{'x' * 10_000}' AS text"
        assert client.post("/api/v1/sql", json={"query": query}).json()["rows"] == [["x" * 10_000]]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "no JSON"),
            (b"[]", "no JSON object"),
            (b"{", "no JSON"),
            (b'{"policy": NaN}', "no JSON"),
            (b'{"limit": 1' + b"0" * 5_000 + b"}", "no JSON"),
            (b'{"id": "\\ud800"}', "no JSON"),
            (b"\xff", "no JSON"),
            (b'{"id": ' + b"[" * 100_000, "no JSON"),
            (b'{"id": null}', "id is no text"),
            (b'{"id": {}}', "id is no text"),
            (b'{"id": ["x"]}', "id is no text"),
            (b'{"id": "x", "id": "y"}', "id is given twice"),
            (b'{"idd": "x"}', "no parameter 'idd'"),
            (b'{"tenant": "x"}', "no parameter 'tenant'"),
            (b'{"limit": 1.5}', "limit"),
            (b'{"limit": 1e999}', "limit"),
            (b'{"policy": "nonsense"}', "cannot be read"),
        ],
    )
    def test_what_is_wrong_is_named(self, client: TestClient, body: bytes, said: str) -> None:
        answer = client.post("/api/v1/decisions", content=body, headers={"content-type": "application/json"})
        assert said in problem(answer, 400)["title"]

    def test_parameters_are_in_one_place(self, client: TestClient) -> None:
        answer = client.post("/api/v1/decisions?id=x", json={})
        assert "in its body" in problem(answer, 400)["title"]

    def test_another_kind_of_body(self, client: TestClient) -> None:
        answer = client.post("/api/v1/decisions", data={"policy": PERMIT})
        assert "application/json" in problem(answer, 415)["title"]

    def test_a_body_that_is_too_long(self, store: Store, tmp_path: Path) -> None:
        client = limited(store, tmp_path, max_body_bytes=1024)
        answer = client.post("/api/v1/decisions", json={"policy": LONG})
        assert "longer than 1024 bytes" in problem(answer, 413)["title"]
        assert answer.headers["connection"] == "close"

    def test_a_body_that_does_not_arrive(self, store: Store, tmp_path: Path) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.001)
                yield b" "

        async def send() -> Response:
            served = app(store, tmp_path, body_timeout_s=0.05)
            async with AsyncClient(transport=ASGITransport(served), base_url="http://localhost") as client:
                headers = {"content-type": "application/json"}
                return await client.post("/api/v1/decisions", content=endless(), headers=headers)

        assert "within 0.05 s" in problem(asyncio.run(send()), 408)["title"]


def test_the_store_s_own_words_are_not_in_an_answer_of_a_bug(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(Store, "reader", broken)
    assert "secret" not in str(refused(client, "who?id=action-1", 500))


def test_the_sql_instead_of_the_answer(client: TestClient) -> None:
    statements = client.get("/api/v1/who?id=action-1&sql=true").json()["statements"]
    assert statements[0]["query"] == "id_times"
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
        document = openapi.document(10_000)
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
