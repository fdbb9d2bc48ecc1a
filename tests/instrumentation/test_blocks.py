"""`with attribution(...)`: what a block inherits, and that it never leaks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from whodid.instrumentation import Attribution, Credential, attribution, current, settings
from whodid.instrumentation.digest import sha256_text


def test_a_block_says_only_what_it_was_given() -> None:
    with attribution(principal="alice", principal_type="human") as said:
        assert current() is said
        assert (said.principal_id, said.principal_type, said.chain) == ("alice", "human", ("alice",))
        assert said.initiator_id is None, "the initiator is never assumed to be the principal"
        assert said.task_id is not None
    assert current() == Attribution()


def test_a_block_inherits_and_can_say_more() -> None:
    with (
        attribution(
            principal="alice", initiator="cron-7", initiator_type="schedule", task="t1", objective="sum up"
        ),
        attribution(
            correlation_id="c1", identity="spiffe://acme.example/support", identity_type="spiffe"
        ) as said,
    ):
        assert (said.principal_id, said.initiator_id, said.initiator_type) == ("alice", "cron-7", "schedule")
        assert (said.task_id, said.task_parent_id, said.correlation_id) == ("t1", None, "c1")
        assert said.objective_hash == sha256_text("sum up")
        assert said.identity_type == "spiffe"


def test_another_task_names_its_parent_and_has_an_objective_of_its_own() -> None:
    with attribution(task="t1", objective="one"), attribution(task="t2") as said:
        assert (said.task_id, said.task_parent_id, said.objective_hash) == ("t2", "t1", None)


def test_another_principal_starts_a_new_chain_without_what_was_the_first_ones() -> None:
    credential = Credential(id="c1")
    with (
        attribution(
            principal="alice", principal_type="human", credential=credential, task="t1", session_id="s1"
        ),
        attribution(principal="bob") as said,
    ):
        assert (said.principal_id, said.principal_type, said.chain) == ("bob", None, ("bob",))
        assert said.credential is None
        assert (said.task_id, said.session_id) == ("t1", "s1")


def test_the_objective_in_words_only_where_content_is_captured() -> None:
    with attribution(objective="refund Alice's order") as said:
        assert said.objective_text is None
    settings.override(capture_content=True)
    with attribution(objective="refund Alice's order") as said:
        assert said.objective_text == "refund Alice's order"


def test_a_value_that_is_no_id_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), attribution(principal="x" * 2000, correlation_id="c1") as said:
        assert (said.principal_id, said.correlation_id) == (None, "c1")
        assert said.chain == ()
    assert "principal_id is longer" in caplog.text


def test_it_decorates_functions_of_every_kind() -> None:
    @attribution(principal="alice")
    def plain() -> str | None:
        return current().principal_id

    @attribution(principal="bob")
    async def coroutine() -> str | None:
        await asyncio.sleep(0)
        return current().principal_id

    @attribution(principal="carol")
    def generator() -> Iterator[str | None]:
        yield current().principal_id
        yield current().principal_id

    @attribution(principal="dave")
    async def async_generator() -> AsyncIterator[str | None]:
        yield current().principal_id
        await asyncio.sleep(0)
        yield current().principal_id

    async def collect() -> list[str | None]:
        seen: list[str | None] = []
        async for item in async_generator():
            assert current().principal_id is None, "the consumer is not inside the block"
            seen.append(item)
        return seen

    assert plain() == "alice"
    assert asyncio.run(coroutine()) == "bob"
    for item in generator():
        assert item == "carol"
        assert current().principal_id is None
    assert asyncio.run(collect()) == ["dave", "dave"]
    assert plain.__name__ == "plain"


def test_each_call_of_a_decorated_function_is_a_task_of_its_own() -> None:
    @attribution(principal="alice")
    def task() -> str | None:
        return current().task_id

    assert task() != task()


def test_one_object_can_be_entered_by_many_tasks_at_once() -> None:
    alice = attribution(principal="alice")

    async def one(delay_s: float) -> str | None:
        with alice as said:
            await asyncio.sleep(delay_s)
            assert current() is said
        return current().principal_id

    async def all_of_them() -> list[str | None]:
        # They end in another order than they began.
        return await asyncio.gather(*(one(delay_s) for delay_s in (0.02, 0.01, 0.0, 0.015)))

    assert asyncio.run(all_of_them()) == [None] * 4
    with alice, alice:
        assert current().principal_id == "alice"
    assert current().principal_id is None


def test_a_context_that_somebody_left_attached_inside_does_not_keep_the_block() -> None:
    from opentelemetry.context import attach, set_value

    with attribution(principal="alice"):
        attach(set_value("left", "behind"))
    assert current().principal_id is None


def test_a_thread_of_its_own_starts_without_any() -> None:
    seen: list[str | None] = []
    with attribution(principal="alice"):
        thread = threading.Thread(target=lambda: seen.append(current().principal_id))
        thread.start()
        thread.join()
    assert seen == [None], "a plain thread has no Context; that is missing, not guessed"
