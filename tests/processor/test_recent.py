"""The same request sent again: acknowledged when the first is durable, and stored once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.spans import Sent, request
from whodid.processor import segment
from whodid.processor.intake import Intake
from whodid.processor.quarantine import Quarantine
from whodid.processor.recent import Recent
from whodid.processor.spool import Spool, SpoolUnavailableError
from whodid.processor.telemetry import Telemetry


class World:
    """An intake with its spool, which can be started again."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        window: dict[str, Any] = {"window_s": 60.0, "max_requests": 100}
        self.recent = Recent(**(window | {name: limits.pop(name) for name in window if name in limits}))
        quarantine = Quarantine(folder / "quarantine", max_files=3, max_bytes=1000)
        usual: dict[str, Any] = {"max_bytes": 100_000, "flush_after_s": 60.0, "flush_after_bytes": 50_000}
        self.spool = Spool(folder / "spool", quarantine, recovered=self.recent.recover, **(usual | limits))
        self.intake = Intake(
            self.spool,
            quarantine,
            max_concurrent_requests=64,
            max_in_flight_bytes=1_000_000,
            max_request_bytes=100_000,
            telemetry=Telemetry(),
            say=lambda _text: None,
            recent=self.recent,
        )

    async def accept(self, *bodies: bytes) -> list[BaseException | None]:
        return await asyncio.gather(*(self.intake.accept(body) for body in bodies), return_exceptions=True)

    def kept(self) -> list[bytes]:
        bodies: list[bytes] = []
        while (taken := self.spool.take(0.01, now=True)) is not None:
            bodies += taken.requests()
            self.spool.done(taken)
        return bodies


def test_the_same_twice_is_kept_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    one, other = request(Sent()), request(Sent())

    async def senders() -> None:
        await world.accept(one)
        await world.accept(other)
        assert await world.accept(one) == [None]

    asyncio.run(senders())
    assert world.kept() == [one, other]
    assert world.recent.repeated_requests == 1
    world.spool.close()


def test_the_second_waits_until_the_first_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    body = request(Sent())
    order: list[str] = []
    sync_data = segment.sync_data

    def slow(handle: int) -> None:
        time.sleep(0.2)
        sync_data(handle)
        order.append("synced")

    monkeypatch.setattr(segment, "sync_data", slow)

    async def one() -> None:
        await world.intake.accept(body)
        order.append("acknowledged")

    async def senders() -> None:
        first = asyncio.ensure_future(one())
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(one())
        await asyncio.sleep(0.05)
        first.cancel()  # the first sender hangs up: the second still gets its answer
        await second

    asyncio.run(senders())
    assert order == ["synced", "acknowledged"]
    assert world.kept() == [body]
    world.spool.close()


def test_what_was_refused_is_not_remembered(tmp_path: Path) -> None:
    filler, late = request(*(Sent() for _ in range(12))), request(*(Sent() for _ in range(3)))
    world = World(tmp_path, max_bytes=len(filler) + 100)

    async def senders() -> None:
        assert await world.accept(filler) == [None]
        for _ in range(2):
            (refusal,) = await world.accept(late)
            assert isinstance(refusal, SpoolUnavailableError)

    asyncio.run(senders())
    assert world.kept() == [filler]

    async def again() -> None:
        assert await world.accept(late) == [None]

    asyncio.run(again())
    assert world.kept() == [late]
    world.spool.close()


def test_a_write_that_fails_fails_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    body = request(Sent())

    def broken(_handle: int) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segment, "sync_data", broken)

        async def both() -> None:
            answers = await world.accept(body, body)
            assert [type(each) for each in answers] == [SpoolUnavailableError] * 2

        asyncio.run(both())

    async def again() -> None:
        assert await world.accept(body) == [None]

    asyncio.run(again())
    assert world.kept() == [body]
    world.spool.close()


def test_after_a_restart_what_is_still_in_the_spool_is_known(tmp_path: Path) -> None:
    body = request(Sent())
    world = World(tmp_path)
    asyncio.run(world.intake.accept(body))
    world.spool.close()
    world = World(tmp_path)
    asyncio.run(world.intake.accept(body))
    assert world.kept() == [body]
    world.spool.close()


def test_the_window_is_bounded_by_time_and_by_number(tmp_path: Path) -> None:
    bodies = [request(Sent()) for _ in range(4)]

    async def senders(world: World, pause_s: float) -> None:
        for body in bodies:
            await world.accept(body)
        await asyncio.sleep(pause_s)
        await world.accept(bodies[0])

    world = World(tmp_path / "number", max_requests=3)
    asyncio.run(senders(world, 0))
    assert world.kept() == [*bodies, bodies[0]]
    world.spool.close()
    world = World(tmp_path / "time", window_s=0.2)
    asyncio.run(senders(world, 0.3))
    assert world.kept() == [*bodies, bodies[0]]
    world.spool.close()


def test_switched_off_everything_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path, window_s=0)
    body = request(Sent())

    async def senders() -> None:
        await world.accept(body, body)

    asyncio.run(senders())
    assert world.kept() == [body, body]
    world.spool.close()
