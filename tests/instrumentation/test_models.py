"""Calls of models through the real client libraries, against servers of the test's own on the loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.adapters import for_user, is_child, said
from tests.agent_spans import Recorded
from tests.instrumentation.test_hops import serving
from whodid.instrumentation import core, model_clients
from whodid.semconv import attributes as attr

KEY = "sk-test-zq-0815"
FINGERPRINT = "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()[:16]
PROMPT: list[Any] = [{"role": "user", "content": "a secret question"}]
USERS = [f"user{number}" for number in range(8)]
CHUNK: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-zq-1"}


async def chat(request: Request) -> Response:
    body = await request.json()
    if body["model"] == "broken":
        return JSONResponse({"error": {"message": "no"}}, 400)
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    if body.get("stream"):
        delta: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
        chunks: list[Any] = [{**CHUNK, **delta}, {**CHUNK, **delta}, {**CHUNK, "choices": [], "usage": usage}]
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return Response("".join(lines) + "data: [DONE]\n\n", media_type="text/event-stream")
    message = {"role": "assistant", "content": "a secret answer"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return JSONResponse({**CHUNK, "object": "chat.completion", "choices": [choice], "usage": usage})


async def messages(request: Request) -> Response:
    usage = {"input_tokens": 5, "output_tokens": 6}
    content = [{"type": "text", "text": "a secret answer"}]
    known = {"id": "m", "type": "message", "role": "assistant", "model": "claude-zq-1"}
    return JSONResponse({**known, "content": content, "stop_reason": "end_turn", "usage": usage})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/messages", messages, methods=["POST"]),
    ]
    with serving(Starlette(routes=routes)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def hooked() -> Iterator[None]:
    used = [client() for client in model_clients.CLIENTS]
    for client in used:
        client.install()
    yield
    assert [problem for client in used for problem in client.problems] == []
    for client in used:
        client.uninstrument()


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)


def assert_chat(recorded: Recorded, provider: str, model: str, tokens: tuple[int, int]) -> None:
    (span,) = [span for span in recorded.all() if span.name.startswith("chat ")]
    assert span.kind is SpanKind.CLIENT
    assert said(span, attr.GEN_AI_OPERATION_NAME) == "chat"
    assert said(span, attr.GEN_AI_PROVIDER_NAME) == provider
    assert said(span, attr.GEN_AI_REQUEST_MODEL) == "latest"
    assert said(span, attr.GEN_AI_RESPONSE_MODEL) == model
    found = said(span, attr.GEN_AI_USAGE_INPUT_TOKENS), said(span, attr.GEN_AI_USAGE_OUTPUT_TOKENS)
    assert found == tokens
    assert said(span, attr.ATTRIBUTION_CREDENTIAL_ID) == FINGERPRINT
    assert said(span, attr.ATTRIBUTION_PRINCIPAL_ID) == "alice"
    assert "secret" not in span.to_json()
    assert KEY not in span.to_json()


def test_openai(recorded: Recorded, url: str) -> None:
    with for_user("alice"), core.agent_span("support", adapter="test"):
        client(url).chat.completions.create(model="latest", messages=PROMPT)
    assert_chat(recorded, "openai", "gpt-zq-1", (3, 4))
    assert is_child(recorded.one("chat latest"), recorded.one("invoke_agent support"))
    assert attr.ATTRIBUTION_CREDENTIAL_ID not in recorded.said("invoke_agent support")


def test_openai_raw_which_langchain_uses(recorded: Recorded, url: str) -> None:
    with for_user("alice"):
        raw = client(url).chat.completions.with_raw_response.create(model="latest", messages=PROMPT)
    assert raw.parse().choices[0].message.content == "a secret answer"
    assert_chat(recorded, "openai", "gpt-zq-1", (3, 4))


def test_openai_async(recorded: Recorded, url: str) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1") as using:
            await using.chat.completions.create(model="latest", messages=PROMPT)
            stream = await using.chat.completions.create(model="streamed", messages=PROMPT, stream=True)
            assert len([part async for part in stream]) == 3

    with for_user("alice"):
        asyncio.run(run())
    assert recorded.said("chat streamed")[attr.GEN_AI_USAGE_OUTPUT_TOKENS] == 4
    assert recorded.said("chat latest")[attr.GEN_AI_RESPONSE_MODEL] == "gpt-zq-1"


def test_a_stream(recorded: Recorded, url: str) -> None:
    with for_user("alice"):
        stream = client(url).chat.completions.create(model="latest", messages=PROMPT, stream=True)
        assert recorded.all() == []
        assert len(list(stream)) == 3
    assert_chat(recorded, "openai", "gpt-zq-1", (3, 4))


def test_a_stream_that_is_left_early(recorded: Recorded, url: str) -> None:
    with (
        for_user("alice"),
        client(url).chat.completions.create(model="latest", messages=PROMPT, stream=True) as stream,
    ):
        for _ in stream:
            break
    del stream
    assert recorded.one("chat latest").status.status_code is StatusCode.UNSET


def test_an_error(recorded: Recorded, url: str) -> None:
    with pytest.raises(openai.BadRequestError):
        client(url).chat.completions.create(model="broken", messages=PROMPT)
    span = recorded.one("chat broken")
    assert span.status.status_code is StatusCode.ERROR
    assert said(span, attr.ERROR_TYPE) == "openai.BadRequestError"


def test_anthropic(recorded: Recorded, url: str) -> None:
    with for_user("alice"):
        using = anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0)
        using.messages.create(model="latest", max_tokens=9, messages=PROMPT)
    assert_chat(recorded, "anthropic", "claude-zq-1", (5, 6))


def test_where_there_is_a_chat_span_already_it_is_told_the_key(recorded: Recorded, url: str) -> None:
    attributes = {attr.GEN_AI_OPERATION_NAME: "chat"}
    with trace.get_tracer("theirs").start_as_current_span("theirs", attributes=attributes):
        client(url).chat.completions.create(model="latest", messages=PROMPT)
    assert recorded.names() == ["theirs"]
    assert recorded.said("theirs")[attr.ATTRIBUTION_CREDENTIAL_ID] == FINGERPRINT


def test_eight_users_at_once(recorded: Recorded, url: str) -> None:
    using = client(url)

    def ask(user: str) -> None:
        with for_user(user):
            using.chat.completions.create(model=user, messages=PROMPT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, USERS))
    for user in USERS:
        assert recorded.said(f"chat {user}")[attr.ATTRIBUTION_PRINCIPAL_ID] == user
