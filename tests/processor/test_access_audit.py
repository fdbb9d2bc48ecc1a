"""Every view of content is on record before it is shown; what cannot be recorded is not shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import Field

from tests.access import Front, bearer, fill, id_of, token
from whodid.processor import pipeline
from whodid.processor.access import audit
from whodid.processor.access.gate import shows_content
from whodid.processor.access.viewer import Kind, Role
from whodid.processor.intake import BusyError
from whodid.processor.settings import Settings
from whodid.processor.spool import SpoolUnavailableError
from whodid.semconv import attributes as attr
from whodid.store import Reader, Store
from whodid.store.free_sql import SELECT, SqlParameters
from whodid.store.questions import QUESTIONS
from whodid.store.questions.question import Parameters, Question
from whodid.store.records import Record

SQL = "/api/v1/sql?query=SELECT+42+AS+secret"


class TextParameters(Parameters):
    """What a question is asked with that withholds what was said."""

    trace_id: str = Field(description="Which trace.")
    span_id: str = Field(description="Which span.")
    content: bool = Field(False, description="What was said, too.")


class Text(Record):
    """What was said."""

    text: str | None


def text(_reader: Reader, parameters: TextParameters) -> Text:
    return Text(text="the secret" if parameters.content else None)


QUESTION = Question("text", "What was said?", TextParameters, Text, text)
ASKED = "/api/v1/text?trace_id=4bf92f3577b34da6a3ce929d0e0e4736&span_id=00f067aa0ba902b7"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('audit') / 'store'}", tenant="acme")
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def withholding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question with the parameter `content` is among the questions."""
    monkeypatch.setitem(QUESTIONS, QUESTION.name, QUESTION)


def attributes(body: bytes) -> dict[str, str]:
    """What a record says; it is one span."""
    message = ExportTraceServiceRequest.FromString(body)
    (group,) = message.resource_spans
    (scope,) = group.scope_spans
    (span,) = scope.spans
    assert (len(span.trace_id), len(span.span_id)) == (16, 8)
    return {each.key: each.value.string_value for each in span.attributes}


@pytest.mark.usefixtures("withholding")
def test_content_is_for_investigators(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    client = front.client()
    viewer, investigator = bearer(token(tmp_path)), bearer(token(tmp_path, role=Role.INVESTIGATOR))
    assert client.get(ASKED, headers=viewer).json() == {"text": None}
    for way in ("content=true", "content=True", "content=1", "content=yes", "content=on", "content=t"):
        answer = client.get(f"{ASKED}&{way}", headers=viewer)
        assert answer.status_code in (400, 403), way
        assert "secret" not in answer.text
    assert client.get(f"{ASKED}&content=false&content=true", headers=viewer).status_code in (400, 403)
    assert client.get(f"{ASKED}&content=true&sql=true", headers=viewer).status_code == 403
    assert front.recorded == []
    assert client.get(ASKED, headers=investigator).json() == {"text": None}
    assert front.recorded == []
    assert client.get(f"{ASKED}&content=true", headers=investigator).json() == {"text": "the secret"}
    assert len(front.recorded) == 1


@pytest.mark.usefixtures("withholding")
def test_the_record_says_who_saw_what(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    given = token(tmp_path, role=Role.ADMIN, tenant="*")
    front.client().get(f"{ASKED}&content=true&tenant=umbrella", headers=bearer(given))
    said = attributes(front.recorded[0])
    assert said.pop(attr.ATTRIBUTION_ACTION_ID)
    arguments = said.pop(attr.GEN_AI_TOOL_CALL_ARGUMENTS)
    assert json.loads(arguments) == {
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "content": True,
    }
    assert said.pop(attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH).startswith("sha256:")
    assert said == {
        attr.GEN_AI_OPERATION_NAME: "view_content",
        attr.ATTRIBUTION_INITIATOR_ID: "alice@acme.example",
        attr.ATTRIBUTION_INITIATOR_TYPE: "human",
        attr.ATTRIBUTION_PRINCIPAL_ID: "alice@acme.example",
        attr.ATTRIBUTION_PRINCIPAL_TYPE: "human",
        attr.ATTRIBUTION_ACTION_MODE: "human_initiated",
        attr.ATTRIBUTION_ACTION_EFFECT: "read",
        attr.ATTRIBUTION_CREDENTIAL_ID: f"token:{id_of(given)}",
        attr.ATTRIBUTION_CREDENTIAL_TYPE: "bearer",
        attr.ATTRIBUTION_RESOURCE_TYPE: "span",
        attr.ATTRIBUTION_RESOURCE_ID: "4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7",
        attr.ATTRIBUTION_VIEW_QUESTION: "text",
        attr.ATTRIBUTION_VIEW_TENANT_ID: "umbrella",
        attr.ATTRIBUTION_VIEW_ROLE: "admin",
        attr.ATTRIBUTION_VIEW_AUTHENTICATION: "token",
    }
    assert given.encode() not in front.recorded[0]


def test_nobody_is_named_where_nobody_was_asked(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    assert front.client().get(SQL).status_code == 200
    said = attributes(front.recorded[0])
    assert said[attr.ATTRIBUTION_VIEW_AUTHENTICATION] == "none"
    for name in (attr.ATTRIBUTION_INITIATOR_ID, attr.ATTRIBUTION_PRINCIPAL_ID, attr.ATTRIBUTION_ACTION_MODE):
        assert name not in said


def test_a_program_is_none_of_the_humans(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    program = token(tmp_path, "exporter", Role.INVESTIGATOR, kind=Kind.SERVICE)
    assert front.client().get(SQL, headers=bearer(program)).status_code == 200
    said = attributes(front.recorded[0])
    assert said[attr.ATTRIBUTION_PRINCIPAL_TYPE] == said[attr.ATTRIBUTION_INITIATOR_TYPE] == "service"
    assert attr.ATTRIBUTION_ACTION_MODE not in said


def test_each_view_is_a_record_of_its_own(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    headers = bearer(token(tmp_path, role=Role.INVESTIGATOR))
    client = front.client()
    for _ in range(3):
        client.get(SQL, headers=headers)
    # A request that is the same byte by byte would be taken for one that was sent again.
    assert len(set(front.recorded)) == 3


def test_a_view_of_what_cannot_be_found_or_run_is_one_too(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    headers = bearer(token(tmp_path, role=Role.INVESTIGATOR))
    assert front.client().get("/api/v1/sql?query=DROP+TABLE+spans", headers=headers).status_code == 400
    assert len(front.recorded) == 1
    # What is no question is none.
    assert front.client().get("/api/v1/sql", headers=headers).status_code == 400
    assert len(front.recorded) == 1


def test_the_record_breaks_no_rule_of_ours(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    headers = bearer(token(tmp_path, role=Role.INVESTIGATOR))
    front.client().get(SQL, headers=headers)
    client = Front(store, tmp_path / "open")
    client.client().get(SQL)
    sealed = pipeline.run([*front.recorded, *client.recorded], tenant="audit")
    assert sealed.findings.num_rows == 0, sealed.findings.to_pylist()
    store.insert(sealed, "audit")
    action = attributes(front.recorded[0])[attr.ATTRIBUTION_ACTION_ID]
    everybody = bearer(token(tmp_path, role=Role.ADMIN, tenant="*"))
    record = front.client().get(f"/api/v1/who?id={action}&tenant=audit", headers=everybody).json()
    assert record["principal"]["id"]["value"] == "alice@acme.example"
    assert record["mode"]["value"] == "human_initiated"
    assert record["tool"]["effect"]["value"] == "read"
    assert record["actor"]["name"]["value"] is None
    assert record["findings"] == []


async def _full(_body: bytes) -> None:
    raise SpoolUnavailableError("the spool is full", "send the request again")


async def _busy(_body: bytes) -> None:
    raise BusyError("too many requests at once")


async def _broken(_body: bytes) -> None:
    raise OSError("the disk")


async def _slow(_body: bytes) -> None:
    await asyncio.sleep(60)


@pytest.mark.usefixtures("withholding")
@pytest.mark.parametrize("accept", [_full, _busy, _broken, _slow, None])
def test_what_cannot_be_recorded_is_not_shown(
    store: Store,
    tmp_path: Path,
    accept: Callable[[bytes], Awaitable[None]] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "TIMEOUT_S", 0.2)
    front = Front(store, tmp_path, records_views=False)
    front.app.state.access.audit = audit.Audit(accept)
    client = front.client()
    headers = bearer(token(tmp_path, role=Role.ADMIN, tenant="*"))
    answers = [
        client.get(SQL, headers=headers),
        client.get(f"{SQL}&format=json", headers=headers),
        client.get(f"{SQL}&sql=true", headers=headers),
        client.post("/api/v1/sql", json={"query": "SELECT 42 AS secret"}, headers=headers),
        client.get(f"{ASKED}&content=true", headers=headers),
    ]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:whodid:problem:audit"
        assert "42" not in answer.text
        assert "secret" not in answer.text
    # What holds no content is answered all the same.
    assert client.get("/api/v1/who?id=action-1", headers=headers).status_code == 200
    assert client.get(ASKED, headers=headers).status_code == 200


def test_a_bug_in_the_recording_shows_nothing_either(store: Store, tmp_path: Path) -> None:
    async def bug(_body: bytes) -> None:
        raise RuntimeError

    front = Front(store, tmp_path)
    front.app.state.access.audit = audit.Audit(bug)
    answer = front.client().get(SQL)
    assert answer.status_code == 500
    assert "42" not in answer.text


def test_what_shows_content() -> None:
    assert shows_content(SELECT, SqlParameters(query="SELECT 1", limit=1))
    asked: dict[str, Any] = {"trace_id": "x", "span_id": "y"}
    assert shows_content(QUESTION, TextParameters(**asked, content=True))
    assert not shows_content(QUESTION, TextParameters(**asked, content=False))
    for question in QUESTIONS.values():
        field = question.parameters.model_fields.get("content")
        # Withheld unless it is asked for: the gate looks for true, and for nothing else.
        assert field is None or (field.annotation is bool and field.default is False), question.name


def test_the_settings_of_workers_hold_no_secret_of_ours() -> None:
    dumped = Settings.model_validate({"access": {"token": "whodid_x"}}).model_dump_json()
    assert "whodid_x" not in dumped
