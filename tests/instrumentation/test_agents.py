"""Agents' spans: chains, hand-offs, streams that nobody exhausts, and users side by side."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from tests.agent_spans import Recorded
from whodid.instrumentation import attribution, core, current, settings


def test_an_agent_in_an_agent(recorded: Recorded) -> None:
    with attribution(principal="alice", task="t1"), core.agent_span("support", adapter="test", version="3"):
        assert core.in_agent("support")
        with core.agent_span("research", adapter="test", conversation_id="conv-1"):
            assert core.in_agent()
            assert not core.in_agent("support")
    inner, outer = recorded.one("invoke_agent research"), recorded.one("invoke_agent support")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    said = recorded.said("invoke_agent research")
    assert said["attribution.delegation.chain"] == ("alice", "support", "research")
    assert said["gen_ai.agent.name"] == "research"
    assert str(said["attribution.agent.instance.id"]).startswith("research:")
    assert said["gen_ai.conversation.id"] == "conv-1"
    assert said["gen_ai.operation.name"] == "invoke_agent"
    assert recorded.said("invoke_agent support")["gen_ai.agent.version"] == "3"
    assert "gen_ai.agent.version" not in said
    assert inner.instrumentation_scope is not None
    assert inner.instrumentation_scope.name == "whodid.instrumentation.test"
    assert inner.instrumentation_scope.schema_url == "https://whodid.dev/schemas/0.1.0"


def test_a_hand_off_makes_the_chain_longer_and_stands_beside_the_first(recorded: Recorded) -> None:
    with attribution(principal="alice"), trace.get_tracer("app").start_as_current_span("request") as request:
        first = core.agent_start("triage", adapter="test")
        second = first.handoff("refunds")
        with second.attached():
            assert current().chain == ("alice", "triage", "refunds")
        second.finish()
    assert recorded.names() == ["invoke_agent triage", "invoke_agent refunds", "request"]
    parent = recorded.one("invoke_agent refunds").parent
    assert parent is not None
    assert parent.span_id == request.get_span_context().span_id


def test_a_block_that_is_dropped_ends_its_span_without_an_error(recorded: Recorded) -> None:
    before = current()
    block = core.agent_start("support", adapter="test").running()
    block.__enter__()
    assert current().agent_name == "support"
    del block
    gc.collect()
    assert current() == before
    assert recorded.one("invoke_agent support").status.status_code is StatusCode.UNSET


def test_a_hand_off_with_nothing_around_stays_in_its_trace(recorded: Recorded) -> None:
    core.agent_start("triage", adapter="test").handoff("refunds").finish()
    first, second = recorded.one("invoke_agent triage"), recorded.one("invoke_agent refunds")
    assert first.context is not None
    assert second.parent is not None
    assert (second.parent.trace_id, second.parent.span_id) == (first.context.trace_id, first.context.span_id)


def test_the_processs_identity_is_the_agents_unless_the_block_says_another(recorded: Recorded) -> None:
    settings.override(agent_identity="spiffe://acme.example/all", agent_identity_type="spiffe")
    with core.agent_span("a", adapter="test"):
        pass
    with attribution(identity="client-7", identity_type="oauth_client"), core.agent_span("b", adapter="test"):
        pass
    assert recorded.said("invoke_agent a")["attribution.agent.identity.id"] == "spiffe://acme.example/all"
    assert recorded.said("invoke_agent b")["attribution.agent.identity.id"] == "client-7"
    assert recorded.said("invoke_agent b")["attribution.agent.identity.type"] == "oauth_client"


def test_a_failure_is_recorded_by_its_class_and_not_by_its_message(recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="4711"), core.agent_span("a", adapter="test"):
        raise ValueError("card 4711")
    span = recorded.one("invoke_agent a")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert span.events == ()
    assert "4711" not in span.to_json()


def test_a_message_is_recorded_where_content_is_captured(recorded: Recorded) -> None:
    settings.override(capture_content=True)
    with pytest.raises(ValueError, match="4711"), core.agent_span("a", adapter="test"):
        raise ValueError("card 4711")
    assert "4711" in recorded.one("invoke_agent a").to_json()


class Pause(Exception):  # noqa: N818 it is none
    """How a framework waits for a human."""


def test_a_pause_is_no_failure(recorded: Recorded) -> None:
    with pytest.raises(Pause), core.agent_span("a", adapter="test", control_flow=(Pause,)):
        raise Pause
    assert recorded.one("invoke_agent a").status.status_code is StatusCode.UNSET


def words(count: int) -> Iterator[str]:
    for number in range(count):
        with trace.get_tracer("model").start_as_current_span(f"chat {number}"):
            pass
        yield current().agent_name or "nobody"


async def words_later(count: int) -> AsyncIterator[str]:
    for number in range(count):
        await asyncio.sleep(0)
        with trace.get_tracer("model").start_as_current_span(f"chat {number}"):
            pass
        yield f"{current().principal_id} {current().agent_name}"


def test_a_stream_is_inside_and_its_consumer_is_not(recorded: Recorded) -> None:
    with attribution(principal="alice"):
        stream = core.agent_stream(lambda: words(2), "a", adapter="test")
    assert recorded.names() == [], "it starts when it is read"
    for word in stream:
        assert word == "a"
        assert current().agent_name is None
    assert recorded.names() == ["chat 0", "chat 1", "invoke_agent a"]
    assert recorded.said("chat 1")["attribution.delegation.chain"] == ("alice", "a")


@pytest.mark.parametrize("how", ["close", "drop"])
def test_an_abandoned_stream_ends_its_span_without_an_error(recorded: Recorded, how: str) -> None:
    stream = core.agent_stream(lambda: words(5), "a", adapter="test")
    assert next(stream) == "a"
    if how == "close":
        stream.close()
    del stream
    gc.collect()
    assert recorded.names() == ["chat 0", "invoke_agent a"]
    assert recorded.one("invoke_agent a").status.status_code is StatusCode.UNSET


def test_a_stream_that_fails(recorded: Recorded) -> None:
    def failing() -> Iterator[str]:
        yield "x"
        raise KeyError("secret")

    stream = core.agent_stream(failing, "a", adapter="test")
    next(stream)
    with pytest.raises(KeyError):
        next(stream)
    assert recorded.said("invoke_agent a")["error.type"] == "KeyError"
    assert "secret" not in recorded.one("invoke_agent a").to_json()


def test_async_streams_of_two_users_in_one_task_do_not_mix(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        with attribution(principal="alice"):
            alices = core.agent_astream(lambda: words_later(9), "a", adapter="test")
        with attribution(principal="bob"):
            bobs = core.agent_astream(lambda: words_later(3), "b", adapter="test")
        for _ in range(2):
            assert await anext(alices) == "alice a"
            assert await anext(bobs) == "bob b"
            assert current().principal_id is None
        await alices.aclose()
        assert [word async for word in bobs] == ["bob b"]

    asyncio.run(main())
    assert recorded.said("invoke_agent a")["attribution.principal.id"] == "alice"
    assert recorded.said("invoke_agent b")["attribution.principal.id"] == "bob"
    assert recorded.one("invoke_agent a").status.status_code is StatusCode.UNSET
    assert "detach" not in caplog.text


def test_breaking_out_of_an_async_stream_leaves_nothing_behind(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        with attribution(principal="alice"):
            stream = core.agent_astream(lambda: words_later(9), "a", adapter="test")
        async for _ in stream:
            break
        assert current().principal_id is None
        del stream
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert recorded.one("invoke_agent a").status.status_code is StatusCode.UNSET
    assert "detach" not in caplog.text


def test_a_cancelled_stream_is_an_error(recorded: Recorded) -> None:
    async def main() -> None:
        stream = core.agent_astream(lambda: words_later(10**6), "a", adapter="test")

        async def consume() -> None:
            async for _ in stream:
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert recorded.said("invoke_agent a")["error.type"] == "asyncio.exceptions.CancelledError"


def test_eight_users_at_once_stay_apart(recorded: Recorded) -> None:
    async def one(user: str) -> None:
        with attribution(principal=user, task=f"task of {user}"), core.agent_span("support", adapter="test"):
            for number in range(5):
                await asyncio.sleep(0)
                action = core.tool_call(
                    core.ToolCall("look", f"{user}-{number}", {"n": number}), adapter="test"
                )
                with action.executing():
                    await asyncio.sleep(0)
                    with trace.get_tracer("http").start_as_current_span("GET"):
                        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one(f"user-{number}") for number in range(8)))

    asyncio.run(main())
    spans = recorded.all()
    assert len(spans) == 8 * (1 + 5 * 2)
    users_of_trace: dict[int, set[object]] = {}
    for span in spans:
        said = dict(span.attributes or {})
        assert said["attribution.task.id"] == f"task of {said['attribution.principal.id']}"
        assert span.context is not None
        users_of_trace.setdefault(span.context.trace_id, set()).add(said["attribution.principal.id"])
    assert sorted(len(users) for users in users_of_trace.values()) == [1] * 8
