"""Results from caches say who made them, for whom and when: our own cache, and the host's libraries."""

from __future__ import annotations

import asyncio
import functools
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cachetools
import diskcache
import fakeredis
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.adapters import for_user, said
from tests.agent_spans import Recorded
from tests.running import environment, service
from whodid.instrumentation import caches, core
from whodid.instrumentation.hooks import Hooks
from whodid.instrumentation.provenance import Kept, Origin, cached
from whodid.semconv import attributes as attr

PROGRAM = Path(__file__).parents[1] / "programs" / "cached_orders.py"


def act(user: str, work: Callable[[], Any], name: str = "look_up") -> Any:
    with (
        for_user(user),
        core.agent_span("support", adapter="test"),
        core.tool_call(core.ToolCall(name, f"call-{user}", {}), adapter="test").executing(),
    ):
        return work()


def actions(recorded: Recorded, user: str) -> list[ReadableSpan]:
    return [
        span
        for span in recorded.all()
        if span.name.startswith("execute_tool") and said(span, attr.ATTRIBUTION_PRINCIPAL_ID) == user
    ]


def assert_made_for_alice_and_read_by_bob(recorded: Recorded) -> None:
    (made,), (read,) = actions(recorded, "alice"), actions(recorded, "bob")
    assert made.context is not None
    assert said(read, attr.ATTRIBUTION_RESULT_SOURCE) == "cache"
    assert said(read, attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID) == f"{made.context.trace_id:032x}"
    assert said(read, attr.ATTRIBUTION_RESULT_ORIGIN_SPAN_ID) == f"{made.context.span_id:016x}"
    assert said(read, attr.ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID) == "alice"
    assert said(read, attr.ATTRIBUTION_RESULT_ORIGIN_PRINCIPAL_ID) == "alice"
    time = said(read, attr.ATTRIBUTION_RESULT_ORIGIN_TIME)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time)
    (link,) = read.links
    assert (link.context.span_id, link.context.trace_id) == (made.context.span_id, made.context.trace_id)
    assert said(made, attr.ATTRIBUTION_RESULT_SOURCE) != "cache"


@contextmanager
def hooked(name: str) -> Generator[Hooks]:
    hooks = caches.load(name)
    hooks.install()
    try:
        yield hooks
        assert hooks.problems == []
    finally:
        hooks.uninstrument()


def test_what_one_user_made_and_another_reads(recorded: Recorded) -> None:
    made: list[str] = []

    @cached
    def look_up(order_id: str) -> str:
        made.append(order_id)
        return f"order {order_id}"

    for user in ("alice", "bob"):
        assert act(user, lambda: look_up("17")) == "order 17"
    assert made == ["17"]
    assert said(actions(recorded, "alice")[0], attr.ATTRIBUTION_RESULT_SOURCE) == "live"
    assert_made_for_alice_and_read_by_bob(recorded)


def test_async_and_outside_of_any_span(recorded: Recorded) -> None:
    @cached(key=str)
    async def look_up(order_id: str) -> list[str]:
        return [order_id]

    for user in ("alice", "bob"):
        assert act(user, lambda: asyncio.run(look_up("17"))) == ["17"]
    assert_made_for_alice_and_read_by_bob(recorded)
    assert asyncio.run(look_up("17")) == ["17"]
    assert asyncio.run(look_up("nobody's")) == ["nobody's"]


def test_an_action_that_reads_its_own_result_had_no_cached_one(recorded: Recorded) -> None:
    @cached
    def look_up(order_id: str) -> str:
        return order_id

    act("alice", lambda: (look_up("1"), look_up("1")))
    (span,) = actions(recorded, "alice")
    assert said(span, attr.ATTRIBUTION_RESULT_SOURCE) == "live"
    assert not span.links


def test_of_several_origins_the_span_names_another_users(recorded: Recorded) -> None:
    @cached
    def look_up(order_id: str) -> str:
        return order_id

    act("bob", lambda: look_up("bob's"))
    act("alice", lambda: look_up("alice's"))
    act("bob", lambda: (look_up("bob's"), look_up("alice's"), look_up("bob's")), name="both")
    span = recorded.one("execute_tool both")
    assert said(span, attr.ATTRIBUTION_RESULT_ORIGIN_PRINCIPAL_ID) == "alice"
    assert len(span.links) == 3


def test_it_is_bounded_and_entries_expire(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    @cached(max_entries=2, ttl_s=60)
    def look_up(number: int) -> int:
        calls.append(number)
        return number

    for number in (1, 2, 1, 3, 1, 2):
        look_up(number)
    assert calls == [1, 2, 3, 2]
    monkeypatch.setattr("time.time", lambda: 4e9)
    look_up(2)
    assert calls == [1, 2, 3, 2, 2]


def test_exceptions_are_not_kept() -> None:
    calls: list[int] = []

    @cached
    def failing() -> None:
        calls.append(1)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            failing()
    assert len(calls) == 2


def test_over_functools(recorded: Recorded) -> None:
    @cached
    @functools.lru_cache(maxsize=8, typed=True)
    def look_up(order_id: str) -> str:
        return f"order {order_id}"

    for user in ("alice", "bob"):
        assert act(user, lambda: look_up("17")) == "order 17"
    assert_made_for_alice_and_read_by_bob(recorded)
    assert look_up.cache_info()[:3] == (1, 1, 8)
    assert look_up.cache_parameters() == {"maxsize": 8, "typed": True}
    look_up.cache_clear()
    assert look_up.cache_info().currsize == 0


def test_over_functools_with_eight_users_at_once(recorded: Recorded) -> None:
    @cached
    @functools.cache
    def look_up(order_id: str) -> str:
        return order_id

    users = [f"user{number}" for number in range(8)]

    def own(user: str) -> None:
        act(user, lambda: look_up(user))

    def firsts(user: str) -> None:
        act(user, lambda: look_up(users[0]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(own, users))
        assert {said(actions(recorded, user)[0], attr.ATTRIBUTION_RESULT_SOURCE) for user in users} == {
            "live"
        }
        list(pool.map(firsts, users[1:]))
    for user in users[1:]:
        assert said(actions(recorded, user)[1], attr.ATTRIBUTION_RESULT_ORIGIN_PRINCIPAL_ID) == "user0"


@pytest.mark.parametrize("name", ["FIFOCache", "LFUCache", "LRUCache", "RRCache", "TTLCache"])
def test_cachetools(recorded: Recorded, name: str) -> None:
    cache: Any = getattr(cachetools, name)(8, *([60] if name == "TTLCache" else []))

    @cachetools.cached(cache)
    def look_up(order_id: str) -> str:
        return f"order {order_id}"

    with hooked("cachetools"):
        for user in ("alice", "bob"):
            assert act(user, lambda: look_up("17")) == "order 17"
    assert_made_for_alice_and_read_by_bob(recorded)
    assert next(iter(cache.values())) == "order 17", "the host's cache holds the host's values"


def test_a_mapping_of_the_hosts(recorded: Recorded) -> None:
    cache: Any = getattr(cachetools, "TTLCache")(8, 60)  # noqa: B009 its types are not known

    @cached(cache=cache)
    def look_up(order_id: str) -> str:
        return order_id

    for user in ("alice", "bob"):
        act(user, lambda: look_up("17"))
    assert_made_for_alice_and_read_by_bob(recorded)
    assert isinstance(next(iter(cache.values())), Kept)


@pytest.mark.parametrize("kind", [diskcache.Cache, diskcache.FanoutCache])
def test_diskcache(recorded: Recorded, kind: Any, tmp_path: Path) -> None:
    cache = kind(str(tmp_path / "cache"))

    @cache.memoize()
    def look_up(order_id: str) -> str:
        return f"order {order_id}"

    with hooked("diskcache"):
        for user in ("alice", "bob"):
            assert act(user, lambda: look_up("17")) == "order 17"
        assert_made_for_alice_and_read_by_bob(recorded)
        cache.set("tagged", 1, tag="mine")
        assert cache.get("tagged", tag=True) == (1, "mine")
        act("carol", lambda: cache.set("ours", 2, expire=60))
        value, expires = cache.get("ours", expire_time=True)
        assert (value, expires > 0) == (2, True)
        assert cache.get("ours", tag=True) == (2, None)
        assert cache.get("none", "default") == "default"
        cache["x"] = 3
        assert cache["x"] == 3
        with pytest.raises(KeyError):
            cache["y"]
    cache.close()


def test_redis(recorded: Recorded) -> None:
    client: Any = fakeredis.FakeRedis()

    def look_up() -> bytes:
        known = client.get("order:17")
        if known is None:
            client.set("order:17", "paid", ex=60)
            return b"paid"
        return known

    with hooked("redis"):
        for user in ("alice", "bob"):
            assert act(user, look_up) == b"paid"
        assert_made_for_alice_and_read_by_bob(recorded)
        client.execute_command("SET", "order:17", "refunded")  # a writer that knows nothing of us
        assert act("carol", look_up) == b"refunded"
        assert said(actions(recorded, "carol")[0], attr.ATTRIBUTION_RESULT_SOURCE) is None
        with pytest.warns(DeprecationWarning, match="setex"):
            act("alice", lambda: client.setex("short", 5, "x"))
        assert 0 < client.ttl("short:whodid-origin") <= 5
        with client.pipeline() as pipe:
            pipe.set("a", "1")
            pipe.get("a")
            assert pipe.execute() == [True, b"1"]


def test_redis_async(recorded: Recorded) -> None:
    client: Any = fakeredis.FakeAsyncRedis()

    async def look_up() -> bytes:
        known = await client.get("order:17")
        if known is None:
            await client.set("order:17", b"paid")
            return b"paid"
        return known

    async def run() -> None:
        for user in ("alice", "bob"):
            with (
                for_user(user),
                core.tool_call(core.ToolCall("look_up", None, {}), adapter="test").executing(),
            ):
                assert await look_up() == b"paid"
        async with client.pipeline() as pipe:
            pipe.set("a", "1")
            assert await pipe.execute() == [True]
        await client.aclose()

    with hooked("redis"):
        asyncio.run(run())
    assert_made_for_alice_and_read_by_bob(recorded)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "{}", "[]", "[" * 10_000, '{"trace_id": "1", "x": 1}'),
        *('{"trace_id": "x", "span_id": "1"}', '{"trace_id": "1", "span_id": 1}'),
        '{"trace_id": "1", "span_id": "1", "principal_id": "' + "x" * 2000 + '"}',
        '{"trace_id": "' + "f" * 33 + '", "span_id": "1"}',
    ],
)
def test_what_others_wrote_is_no_origin(text: str) -> None:
    assert Origin.from_text(text) is None


def test_an_origin_comes_back_as_it_was() -> None:
    origin = Origin("0" * 31 + "1", "0" * 15 + "2", "a", "alice", None, "2026-11-24T14:00:00Z")
    assert Origin.from_text(origin.to_text()) == origin


def test_the_question_finds_the_crossing_in_the_store(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        done = subprocess.run(
            [sys.executable, str(PROGRAM)],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(**running.exporter_variables),
        )
        assert (done.returncode, done.stderr) == (0, "")
        running.wait_until_stored()
        answer = running.ask("cache-crossings?since=1h")
    (item,) = answer["items"]
    assert (item["kind"], item["principal"]["value"], item["made_for"]["value"]) == (
        "principal",
        "bob",
        "alice",
    )
    assert (item["gaps"], answer["read_count"]) == ([], 2)
