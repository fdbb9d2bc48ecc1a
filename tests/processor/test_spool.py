"""The spool: what was acknowledged is there after anything, and everything is bounded."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whodid.processor import segment
from whodid.processor.quarantine import Quarantine
from whodid.processor.segment import Segment
from whodid.processor.spool import FORWARD, STORE, Spool, SpoolUnavailableError

Make = Callable[..., Spool]


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine", max_files=3, max_bytes=1000)


@pytest.fixture
def make(tmp_path: Path, quarantine: Quarantine) -> Make:
    def made(**limits: Any) -> Spool:
        usual: dict[str, Any] = {"max_bytes": 100_000, "flush_after_s": 60.0, "flush_after_bytes": 50_000}
        return Spool(tmp_path / "spool", quarantine, **(usual | limits))

    return made


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "spool").iterdir())


def append(spool: Spool, *bodies: bytes) -> None:
    """Appends all at once and returns when all are acknowledged."""

    async def all_of_them() -> None:
        await asyncio.gather(*(spool.append(body) for body in bodies))

    asyncio.run(all_of_them())


def take(spool: Spool) -> Segment:
    taken = spool.take(5.0, now=True)
    assert taken is not None
    return taken


def test_an_acknowledged_request_is_on_disk(make: Make, tmp_path: Path) -> None:
    spool = make()
    append(spool, b"one")
    (path,) = files(tmp_path)
    parsed = segment.parse(path.read_bytes())
    assert (parsed.bodies, parsed.corrupt, parsed.end) == ([b"one"], [], path.stat().st_size)
    spool.close()


def test_requests_that_come_together_share_one_sync(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fdatasync = os.fdatasync

    def slow(handle: int) -> None:
        synced.append(handle)
        time.sleep(0.05)
        fdatasync(handle)

    monkeypatch.setattr(os, "fdatasync", slow)
    spool = make()
    append(spool, *(b"%d" % number for number in range(100)))
    assert len(synced) <= 3
    assert take(spool).requests() == [b"%d" % number for number in range(100)]
    spool.close()


def test_a_request_is_not_acknowledged_before_the_sync(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make()
    order: list[str] = []
    fdatasync = os.fdatasync

    def noted(handle: int) -> None:
        time.sleep(0.05)
        fdatasync(handle)
        order.append("synced")

    monkeypatch.setattr(os, "fdatasync", noted)

    async def one() -> None:
        await spool.append(b"one")
        order.append("acknowledged")

    asyncio.run(one())
    assert order == ["synced", "acknowledged"]
    spool.close()


class TestSealing:
    def test_by_age(self, make: Make) -> None:
        spool = make(flush_after_s=0.3)
        started_s = time.monotonic()
        append(spool, b"one")
        taken = spool.take(5.0)
        assert taken is not None
        assert 0.25 < time.monotonic() - started_s < 2
        spool.close()

    def test_by_size(self, make: Make) -> None:
        spool = make(flush_after_bytes=1000)
        append(spool, bytes(2000))
        assert spool.take(0.0) is not None
        spool.close()

    def test_by_what_is_copied_once_it_is_rows(self, make: Make) -> None:
        """Also where many wait at once: a segment holds little more than it may."""
        spool = make(flush_after_bytes=1000)

        async def at_once() -> None:
            await asyncio.gather(*(spool.append(bytes([each]), 400) for each in range(10)))

        asyncio.run(at_once())
        sizes: list[int] = []
        while sum(sizes) < 10:
            taken = take(spool)
            sizes.append(len(taken.requests()))
            spool.done(taken)
        assert max(sizes) <= 3
        spool.close()

    def test_while_nobody_takes_it_grows(self, make: Make, tmp_path: Path) -> None:
        """While the store is away there are few large segments instead of one for every second."""
        spool = make(flush_after_s=0.01)
        append(spool, b"first")
        assert spool.take(5.0) is not None
        for _ in range(5):
            append(spool, b"more")
            time.sleep(0.02)
            assert take(spool).requests() == [b"first"]
        assert len(files(tmp_path)) == 2
        spool.close()

    def test_nothing_to_take(self, make: Make) -> None:
        spool = make()
        assert spool.take(0.01) is None
        spool.close()
        assert spool.take(0.01, now=True) is None


class TestRemoval:
    def test_a_segment_stays_until_it_is_done(self, make: Make, tmp_path: Path) -> None:
        spool = make()
        append(spool, b"one")
        taken = take(spool)
        assert take(spool) == taken
        spool.done(taken)
        assert spool.take(0.01, now=True) is None
        assert (files(tmp_path), spool.used_bytes) == ([], 0)
        spool.close()

    def test_set_aside_keeps_it_and_its_size(self, make: Make, tmp_path: Path) -> None:
        spool = make()
        append(spool, b"one")
        taken = take(spool)
        used_bytes = spool.used_bytes
        assert spool.set_aside(taken, "no such column")
        kept = tmp_path / "quarantine" / "segments" / f"{taken.id}.segment"
        assert segment.parse(kept.read_bytes()).bodies == [b"one"]
        assert "no such column" in kept.with_suffix(".reason.txt").read_text()
        assert (files(tmp_path), spool.used_bytes) == ([], used_bytes)
        spool.close()
        again = make()
        assert again.used_bytes >= used_bytes
        again.close()


class TestRecovery:
    def test_what_an_earlier_process_left_comes_first(self, make: Make) -> None:
        spool = make()
        append(spool, b"old")
        spool.close()
        spool = make()
        append(spool, b"new")
        taken = take(spool)
        assert taken.requests() == [b"old"]
        spool.done(taken)
        assert take(spool).requests() == [b"new"]
        spool.close()

    def test_its_id_is_the_same(self, make: Make) -> None:
        spool = make()
        append(spool, b"one")
        name = take(spool).id
        spool.close()
        spool = make()
        assert take(spool).id == name
        spool.close()

    @pytest.mark.parametrize(
        "torn", [b"\x07", segment.frame(b"tail"), segment.frame(b"tail") + b"ta", bytes(200)]
    )
    def test_a_torn_tail_is_cut_and_kept(self, make: Make, tmp_path: Path, torn: bytes) -> None:
        spool = make()
        append(spool, b"one", b"two")
        spool.close()
        (path,) = files(tmp_path)
        with path.open("ab") as file:
            file.write(torn)
        spool = make()
        assert take(spool).requests() == [b"one", b"two"]
        (kept,) = (tmp_path / "quarantine" / "requests").glob("*.request")
        assert kept.read_bytes() == torn
        spool.close()

    def test_a_file_with_nothing_whole_is_removed(self, make: Make, tmp_path: Path) -> None:
        (tmp_path / "spool").mkdir()
        (tmp_path / "spool" / "0-0.segment").write_bytes(b"\x01")
        spool = make()
        assert spool.take(0.01, now=True) is None
        assert files(tmp_path) == []
        spool.close()

    @given(bodies=st.lists(st.binary(max_size=50), max_size=5), cut=st.integers(0, 300))
    def test_any_cut_leaves_whole_requests(self, bodies: list[bytes], cut: int) -> None:
        content = b"".join(segment.frame(body) + body for body in bodies)
        parsed = segment.parse(content[:cut])
        found = parsed.bodies
        assert found == bodies[: len(found)]
        assert (parsed.end, parsed.corrupt) == (segment.framed_bytes(found), [])
        if cut >= len(content):
            assert found == bodies


class TestBounds:
    def test_a_full_spool_says_when_to_retry(self, make: Make) -> None:
        spool = make(max_bytes=1000)
        append(spool, bytes(900))
        with pytest.raises(SpoolUnavailableError, match="full") as caught:
            append(spool, bytes(200))
        assert caught.value.retry_after_s > 0
        spool.done(take(spool))
        append(spool, bytes(200))
        spool.close()

    def test_a_closed_spool_takes_no_more(self, make: Make) -> None:
        spool = make()
        append(spool, b"one")
        spool.close()
        with pytest.raises(SpoolUnavailableError, match="stopping"):
            append(spool, b"two")
        assert take(spool).requests() == [b"one"]

    def test_a_full_disk_loses_nothing(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        spool = make()
        append(spool, b"one")
        write = os.write

        def half(handle: int, parts: list[bytes]) -> int:
            content = b"".join(parts)
            write(handle, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "writev", half)
            with pytest.raises(SpoolUnavailableError, match="No space left"):
                append(spool, b"two")
        append(spool, b"three")
        taken = take(spool)
        assert taken.requests() == [b"one"]
        spool.done(taken)
        assert take(spool).requests() == [b"three"]
        spool.close()

    def test_a_sender_that_has_gone_does_not_stop_the_writer(self, make: Make) -> None:
        spool = make()

        async def impatient() -> None:
            waiting = asyncio.ensure_future(spool.append(b"one"))
            await asyncio.sleep(0)
            waiting.cancel()

        asyncio.run(impatient())
        append(spool, b"two")
        assert b"two" in take(spool).requests()
        spool.close()


class TestQuarantine:
    def test_the_oldest_request_goes_first(self, quarantine: Quarantine, tmp_path: Path) -> None:
        for number in range(5):
            quarantine.keep_request(b"%d" % number, "reason")
        kept = sorted((tmp_path / "quarantine" / "requests").glob("*.request"))
        assert [path.read_bytes() for path in kept] == [b"2", b"3", b"4"]
        assert len(list((tmp_path / "quarantine" / "requests").iterdir())) == 6

    def test_its_size_is_bounded(self, quarantine: Quarantine, tmp_path: Path) -> None:
        for size in (600, 600, 5000):
            quarantine.keep_request(bytes(size), "reason")
        (kept,) = (tmp_path / "quarantine" / "requests").glob("*.request")
        assert kept.stat().st_size == 600

    def test_the_bounds_hold_over_a_restart(self, quarantine: Quarantine, tmp_path: Path) -> None:
        for number in range(3):
            quarantine.keep_request(b"%d" % number, "reason")
        Quarantine(tmp_path / "quarantine", max_files=3, max_bytes=1000).keep_request(b"3", "reason")
        assert len(list((tmp_path / "quarantine" / "requests").glob("*.request"))) == 3

    def test_a_folder_that_cannot_be_written_is_no_crash(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        broken = Quarantine(tmp_path / "file" / "below", max_files=3, max_bytes=1000)
        broken.keep_request(b"1", "reason")
        assert not broken.keep_acknowledged("name", [b"1"], "reason")


class TestCorruption:
    BODIES = (b"first" * 20, b"second" * 20, b"third" * 20)

    def content(self) -> bytearray:
        return bytearray(b"".join(segment.frame(body) + body for body in self.BODIES))

    @pytest.mark.parametrize("at", [0, 5, 9, segment.FRAME_BYTES + 3])
    def test_the_records_around_a_corrupt_one_go_on(self, at: int) -> None:
        """Whether it is the marker, the length, the checksum or the body that is not what was written."""
        content = self.content()
        first = segment.framed_bytes(self.BODIES[:1])
        content[first + at] ^= 0xFF
        parsed = segment.parse(bytes(content))
        assert parsed.bodies == [self.BODIES[0], self.BODIES[2]]
        second = segment.framed_bytes(self.BODIES[:2])
        assert parsed.corrupt == [segment.Corrupt(first, bytes(content[first:second]))]
        assert parsed.end == len(content)

    def test_a_corrupt_last_record_is_no_torn_tail(self) -> None:
        content = self.content()
        content[-1] ^= 0xFF
        parsed = segment.parse(bytes(content))
        assert (parsed.bodies, parsed.end) == ([*self.BODIES[:2]], len(content))
        assert len(parsed.corrupt) == 1

    def test_a_length_that_was_extended_with_zeros_is_a_torn_tail(self) -> None:
        content = bytes(self.content()) + segment.frame(b"x" * 100) + bytes(100)
        parsed = segment.parse(content)
        assert (parsed.bodies, parsed.corrupt) == ([*self.BODIES], [])
        assert parsed.end == segment.framed_bytes(self.BODIES)

    def test_a_frame_inside_of_a_whole_request_is_not_a_record(self) -> None:
        inner = segment.frame(b"inner") + b"inner"
        content = segment.frame(inner) + inner
        assert segment.parse(content).bodies == [inner]

    @given(
        bodies=st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=6),
        flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    )
    def test_whatever_is_flipped_the_other_records_are_found(
        self, bodies: list[bytes], flips: list[tuple[int, int]]
    ) -> None:
        content = bytearray(b"".join(segment.frame(body) + body for body in bodies))
        hit: set[int] = set()
        for position, mask in flips:
            at = position % len(content)
            content[at] ^= mask
            ends = [segment.framed_bytes(bodies[: number + 1]) for number in range(len(bodies))]
            hit.add(next(number for number, end in enumerate(ends) if at < end))
        parsed = segment.parse(bytes(content))
        untouched = [body for number, body in enumerate(bodies) if number not in hit]
        found = iter(parsed.bodies)
        assert all(body in found for body in untouched)
        covered = segment.framed_bytes(parsed.bodies) + sum(len(each.content) for each in parsed.corrupt)
        assert covered == parsed.end

    def test_a_wrong_length_that_leads_to_the_very_end_hides_no_record(self) -> None:
        first, second = b"\0" * 44, b"x" * 37
        content = bytearray(segment.frame(first) + first + segment.frame(second) + second)
        content[4] = len(content) - segment.FRAME_BYTES  # the first record's length, little-endian
        assert segment.parse(bytes(content)).bodies == [second]

    def test_garbage_of_any_kind_ends(self) -> None:
        started_s = time.monotonic()
        segment.parse(segment.MARKER * 50_000)
        assert time.monotonic() - started_s < 5


class TestCursors:
    BOTH = (STORE, FORWARD)

    def test_a_segment_leaves_when_both_are_past_it(self, make: Make, tmp_path: Path) -> None:
        spool = make(cursors=self.BOTH)
        append(spool, b"one")
        taken = take(spool)
        spool.done(taken, cursor=STORE)
        assert spool.take(0.01, now=True) is None
        assert spool.used_bytes > 0
        other = spool.take(1.0, cursor=FORWARD)
        assert other == taken
        spool.done(taken, cursor=FORWARD)
        assert (files(tmp_path), spool.used_bytes) == ([], 0)
        spool.close()

    def test_one_that_is_away_does_not_hold_up_the_other(self, make: Make) -> None:
        spool = make(cursors=self.BOTH)
        for body in (b"one", b"two", b"three"):
            append(spool, body)
            taken = take(spool)
            assert taken.requests() == [body]
            spool.done(taken)
        waiting: list[bytes] = []
        while (taken := spool.take(0.01, cursor=FORWARD)) is not None:
            waiting += taken.requests()
            spool.done(taken, cursor=FORWARD)
        assert waiting == [b"one", b"two", b"three"]
        spool.close()

    def test_what_a_cursor_is_past_it_does_not_get_after_a_restart(self, make: Make, tmp_path: Path) -> None:
        spool = make(cursors=self.BOTH)
        append(spool, b"one")
        spool.done(take(spool))
        spool.close()
        spool = make(cursors=self.BOTH)
        assert spool.take(0.01, now=True) is None
        taken = spool.take(0.01, cursor=FORWARD)
        assert taken is not None
        assert taken.requests() == [b"one"]
        spool.done(taken, cursor=FORWARD)
        assert files(tmp_path) == []
        spool.close()

    def test_without_forwarding_what_only_it_waited_for_is_gone(self, make: Make, tmp_path: Path) -> None:
        spool = make(cursors=self.BOTH)
        append(spool, b"one")
        spool.done(take(spool))
        spool.close()
        spool = make()
        assert spool.take(0.01, now=True) is None
        assert (files(tmp_path), spool.used_bytes) == ([], 0)
        spool.close()


class TestReturned:
    def test_a_running_spool_takes_in_what_is_returned_from_quarantine(
        self, make: Make, tmp_path: Path
    ) -> None:
        spool = make(max_bytes=1000)
        append(spool, bytes(b"x" * 100))
        taken = take(spool)
        assert spool.set_aside(taken, "no such column")
        used_bytes = spool.used_bytes
        (tmp_path / "quarantine" / "returned").mkdir()
        kept = tmp_path / "quarantine" / "segments" / f"{taken.id}.segment"
        kept.rename(tmp_path / "quarantine" / "returned" / kept.name)
        spool.recount()
        assert spool.used_bytes == used_bytes  # on its way back it still counts
        again = spool.take(5.0)
        assert again is not None
        assert (again.id, again.requests()) == (taken.id, [b"x" * 100])
        assert spool.used_bytes == used_bytes
        spool.done(again)
        assert spool.used_bytes == 0
        spool.close()

    def test_what_was_being_taken_in_at_a_kill_is_there(self, make: Make, tmp_path: Path) -> None:
        (tmp_path / "spool").mkdir()
        name = f"{segment.new_id()}.segment.taking"
        (tmp_path / "spool" / name).write_bytes(segment.frame(b"one") + b"one")
        spool = make()
        assert take(spool).requests() == [b"one"]
        spool.close()
