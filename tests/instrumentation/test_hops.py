"""Attribution over HTTP: real clients and servers, several users at once; to trusted hosts and no further."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import aiohttp
import flask
import httpx
import httpx2
import pytest
import requests
import uvicorn
from mcp import Client
from mcp.server.mcpserver import MCPServer
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route

from tests.adapters import for_user, installed
from whodid.instrumentation import attribution, core, current, http_clients, peers, settings
from whodid.instrumentation.servers import AsgiAttribution, WsgiAttribution

Get = Callable[[str], dict[str, str]]
USERS = [f"user{number}" for number in range(8)]


@contextmanager
def serving(app: Any) -> Generator[int]:
    """The application on a free port of the loopback."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=lambda: server.run(sockets=[bound]))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


async def echo(request: Request) -> JSONResponse:
    return JSONResponse(dict(request.headers))


async def elsewhere(request: Request) -> RedirectResponse:
    return RedirectResponse(request.query_params["to"])


async def whose(request: Request) -> JSONResponse:
    await asyncio.sleep(0.01)
    known = current()
    span = trace.get_current_span().get_span_context()
    return JSONResponse(
        {
            "principal": known.principal_id,
            "session": known.session_id,
            "correlation": known.correlation_id,
            "remote": known.remote,
            "trace": f"{span.trace_id:032x}" if span.is_valid else None,
        }
    )


async def streamed(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0.01)
            yield f"{current().principal_id} "

    return StreamingResponse(parts())


def app() -> Starlette:
    paths = {"/echo": echo, "/elsewhere": elsewhere, "/whose": whose, "/streamed": streamed}
    return Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])


def by_requests(url: str) -> dict[str, str]:
    return requests.get(url, timeout=10).json()


def by_requests_session(url: str) -> dict[str, str]:
    with requests.Session() as session:
        return session.get(url, timeout=10).json()


def by_httpx(url: str) -> dict[str, str]:
    return httpx.get(url, follow_redirects=True).json()


def by_httpx2(url: str) -> dict[str, str]:
    return httpx2.get(url, follow_redirects=True).json()


def by_httpx_async(url: str) -> dict[str, str]:
    async def run() -> dict[str, str]:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return (await client.get(url)).json()

    return asyncio.run(run())


def by_httpx2_async(url: str) -> dict[str, str]:
    async def run() -> dict[str, str]:
        async with httpx2.AsyncClient(follow_redirects=True) as client:
            return (await client.get(url)).json()

    return asyncio.run(run())


def by_aiohttp(url: str) -> dict[str, str]:
    async def run() -> dict[str, str]:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.json()

    return asyncio.run(run())


CLIENTS = [
    by_requests,
    by_requests_session,
    by_httpx,
    by_httpx_async,
    by_httpx2,
    by_httpx2_async,
    by_aiohttp,
]


@pytest.fixture
def hooked() -> Iterator[None]:
    used = [client() for client in http_clients.CLIENTS]
    for client in used:
        client.install()
    yield
    assert [problem for client in used for problem in client.problems] == []
    for client in used:
        client.uninstrument()


@pytest.fixture(scope="module")
def trusted() -> Iterator[int]:
    with serving(app()) as port:
        yield port


@pytest.fixture(scope="module")
def stranger() -> Iterator[int]:
    with serving(app()) as port:
        yield port


@pytest.mark.parametrize("get", CLIENTS)
@pytest.mark.usefixtures("hooked", "recorded")
def test_a_trusted_host_is_told_and_a_stranger_is_not(get: Get, trusted: int, stranger: int) -> None:
    settings.override(send_to=(f"127.0.0.1:{trusted}",))
    with (
        attribution(principal="alice", correlation_id="req-1"),
        core.agent_span("support", adapter="test") as run,
    ):
        known, unknown = get(f"http://127.0.0.1:{trusted}/echo"), get(f"http://127.0.0.1:{stranger}/echo")
        redirected = get(f"http://127.0.0.1:{trusted}/elsewhere?to=http://127.0.0.1:{stranger}/echo")
    assert "attribution.principal.id=alice" in known["baggage"].split(",")
    assert known["x-correlation-id"] == "req-1"
    assert known["traceparent"].split("-")[1] == f"{run.span.get_span_context().trace_id:032x}"
    for headers in (unknown, redirected):
        assert not {"baggage", "x-correlation-id"} & headers.keys()
        assert "alice" not in json.dumps(headers)


@pytest.mark.parametrize("get", CLIENTS)
@pytest.mark.usefixtures("hooked", "recorded")
def test_eight_users_at_once_each_with_the_action_to_log(get: Get, trusted: int) -> None:
    def act(user: str) -> tuple[str, dict[str, str]]:
        with for_user(user), core.tool_call(core.ToolCall("get", user, {}), adapter="test").executing():
            return current().action_id or "", get(f"http://127.0.0.1:{trusted}/echo")

    with ThreadPoolExecutor(8) as pool:
        for user, (action_id, headers) in zip(USERS, pool.map(act, USERS), strict=True):
            assert headers["x-correlation-id"] == action_id
            assert f"attribution.principal.id={user}" in headers["baggage"]


@pytest.mark.usefixtures("hooked")
def test_the_hosts_own_headers_stay_and_nobody_adds_nothing(trusted: int) -> None:
    mine = {"baggage": "tenant=t1", "x-correlation-id": "mine", "traceparent": "mine"}
    url = f"http://127.0.0.1:{trusted}/echo"
    with attribution(principal="alice"):
        said = requests.get(url, headers=mine, timeout=10).json()
        long = requests.get(url, headers={"baggage": f"tenant={'x' * 4000}"}, timeout=10).json()
    assert said["baggage"].startswith("tenant=t1,")
    assert (said["x-correlation-id"], said["traceparent"]) == ("mine", "mine")
    assert long["baggage"].startswith("tenant=")
    assert len(long["baggage"]) <= 4096
    nobody = requests.get(url, timeout=10).json()
    assert not {"baggage", "x-correlation-id", "traceparent"} & nobody.keys()
    settings.override(send_to=("none",))
    with attribution(principal="alice"):
        assert requests.get(url, headers=mine, timeout=10).json()["baggage"] == "tenant=t1"


@pytest.mark.usefixtures("hooked")
def test_an_id_that_is_no_header_is_left_out(trusted: int) -> None:
    with attribution(principal="alice", correlation_id="a\r\nx-evil: 1"):
        said = requests.get(f"http://127.0.0.1:{trusted}/echo", timeout=10).json()
    assert not {"x-evil", "x-correlation-id"} & said.keys()
    assert "\n" not in said["baggage"]


def identify(scope: Any) -> dict[str, str | None]:
    """A stand-in for what authentication found."""
    headers = dict(scope["headers"])
    user = headers.get(b"authorization", b"").decode().removeprefix("Bearer ") or None
    if user == "broken":
        raise LookupError(user)
    return {
        "principal": user,
        "principal_type": "human" if user else None,
        "session_id": user and f"s-{user}",
    }


@pytest.mark.usefixtures("hooked", "recorded")
def test_a_server_takes_the_word_of_peers_that_it_accepts() -> None:
    with serving(AsgiAttribution(app())) as port, for_user("the-server"):
        url = f"http://127.0.0.1:{port}/whose"
        with (
            attribution(principal="alice", correlation_id="req-2"),
            core.agent_span("a", adapter="test") as run,
        ):
            said = requests.get(url, timeout=10).json()
        trace_id = f"{run.span.get_span_context().trace_id:032x}"
        assert said == {
            "principal": "alice",
            "session": None,
            "correlation": "req-2",
            "remote": True,
            "trace": trace_id,
        }
        settings.override(accept_from=("192.0.2.0/24",))
        with attribution(principal="alice"):
            refused = requests.get(url, timeout=10).json()
        assert (refused["principal"], refused["trace"]) == (None, None)


def test_a_hook_says_for_whom_a_request_is_with_eight_users_at_once() -> None:
    with for_user("the-server"), serving(AsgiAttribution(app(), identify)) as port:
        url = f"http://127.0.0.1:{port}/"

        def ask(user: str) -> tuple[Any, str]:
            headers = {"authorization": f"Bearer {user}", "baggage": "attribution.principal.id=mallory"}
            said = httpx.get(url + "whose", headers=headers).json()
            return (said["principal"], said["session"]), httpx.get(url + "streamed", headers=headers).text

        with ThreadPoolExecutor(8) as pool:
            for user, (said, body) in zip(USERS, pool.map(ask, USERS), strict=True):
                assert said == (user, f"s-{user}")
                assert body == f"{user} " * 3
        assert ask("broken")[0] == (None, None)
        assert httpx.get(url + "whose").json()["principal"] is None


def test_flask_with_eight_users_at_once() -> None:
    site = flask.Flask("site")

    @site.get("/whose")
    def whose() -> flask.Response:
        def parts() -> Any:
            for _ in range(2):
                time.sleep(0.01)
                yield f"{current().principal_id}/{current().session_id} "

        return flask.Response(parts())

    def identify(environ: Any) -> dict[str, str | None]:
        user = environ.get("HTTP_AUTHORIZATION")
        return {"principal": user, "session_id": user and f"s-{user}"}

    site.wsgi_app = WsgiAttribution(site.wsgi_app, identify)

    def ask(user: str) -> str:
        with for_user("the-client"):
            return site.test_client().get("/whose", headers={"authorization": user}).text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, USERS)) == [f"{user}/s-{user} " * 2 for user in USERS]
    plain = site.test_client().get("/whose", headers={"baggage": "attribution.principal.id=alice"})
    assert plain.text == "alice/None " * 2
    settings.override(accept_from=("none",))
    plain = site.test_client().get("/whose", headers={"baggage": "attribution.principal.id=alice"})
    assert plain.text == "None/None " * 2


def mcp_server() -> MCPServer:
    server = MCPServer("whose")

    def whose() -> str:
        return str(current().principal_id)

    server.add_tool(whose)
    return server


@pytest.mark.usefixtures("hooked")
def test_mcp_over_http_goes_by_the_lists_too(exporter: InMemorySpanExporter) -> None:
    seen: list[dict[str, str]] = []
    inner = mcp_server().streamable_http_app()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await inner(scope, receive, send)

    async def call(port: int) -> str:
        with for_user("opener"):
            client = Client(f"http://127.0.0.1:{port}/mcp", mode="legacy")
            await client.__aenter__()
        try:
            with for_user("alice"):
                return (await client.call_tool("whose", {})).content[0].text  # type: ignore[union-attr]
        finally:
            await client.__aexit__(None, None, None)

    def ask(**overrides: Any) -> str:
        settings.override(send_to=("localhost",), accept_from=("localhost",))
        settings.override(**overrides)
        return asyncio.run(call(port))

    with installed(exporter, "mcp"), serving_with_lifespan(noting) as port:
        assert ask() == "alice"
        assert ask(send_to=("orders.acme.example",)) == "None"
        assert ask(accept_from=("192.0.2.1",)) == "None"
        assert ask(send_to=(f"127.0.0.1:{port}",)) == "alice"
    assert seen
    assert not any("opener" in headers.get("baggage", "") for headers in seen), (
        "a connection is nobody's call"
    )


@contextmanager
def serving_with_lifespan(app: Any) -> Generator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=lambda: server.run(sockets=[bound]))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_mcp_in_this_process(exporter: InMemorySpanExporter, mode: str) -> None:
    async def run() -> str:
        async with Client(mcp_server(), mode=mode) as client:
            with for_user("alice"):
                return (await client.call_tool("whose", {})).content[0].text  # type: ignore[union-attr]

    with installed(exporter, "mcp"):
        assert asyncio.run(run()) == "alice"


@pytest.mark.parametrize(
    ("pattern", "host", "port", "is_listed"),
    [
        ("localhost", "127.0.0.1", None, True),
        ("localhost", "127.8.9.1", 80, True),
        ("localhost", "::1", None, True),
        ("localhost", "::ffff:127.0.0.1", None, True),
        ("localhost", "LocalHost.", None, True),
        ("localhost", "localhost.evil.example", None, False),
        ("localhost", "10.0.0.1", None, False),
        ("orders.acme.example", "Orders.ACME.example", 443, True),
        ("orders.acme.example", "orders.acme.example.evil.example", None, False),
        ("orders.acme.example", "evilorders.acme.example", None, False),
        ("*.acme.example", "orders.acme.example", None, True),
        ("*.acme.example", "acme.example", None, False),
        ("*.acme.example", "evilacme.example", None, False),
        ("orders.acme.example:8080", "orders.acme.example", 8080, True),
        ("orders.acme.example:8080", "orders.acme.example", 443, False),
        ("orders.acme.example:8080", "orders.acme.example", None, False),
        ("10.0.0.0/8", "10.1.2.3", None, True),
        ("10.0.0.0/8", "11.1.2.3", None, False),
        ("10.0.0.0/8", "ten.example", None, False),
        ("[::1]:80", "::1", 80, True),
        ("2001:db8::1", "2001:db8:0::1", None, True),
        ("none", "orders.acme.example", None, False),
        ("*", "anything.example", None, True),
    ],
)
def test_hosts(pattern: str, host: str, port: int | None, is_listed: bool) -> None:
    settings.override(send_to=(pattern,))
    assert peers.sends_to(host, port) is is_listed


def test_an_unknown_peer_is_no_peer() -> None:
    settings.override(send_to=("*",), accept_from=("*",))
    assert not peers.sends_to(None)
    assert not peers.accepts_from(None)
    for wrong in ("https://acme.example", "a b", "a*.example"):
        read = settings.read({"WHODID_SEND_TO": wrong})
        assert (read.send_to, len(read.problems)) == (("none",), 1)
