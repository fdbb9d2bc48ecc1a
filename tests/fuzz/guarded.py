"""Runs a fuzzer in a process of its own: a crash or a hang there ends in a report with the input."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import shared_memory
from typing import Any

import psutil

from tests.fuzz.decoding import Defect

WorkingOn = Callable[[Sequence[bytes]], None]
Fuzzer = Callable[[random.Random, int, WorkingOn], tuple[Counter[str], list[Defect]]]

HANG_S = 60
"""Longer than any input may take; compiling the decoder for the first time has to fit in too."""
MAX_GROWTH_MIB = 200
WARM_UP_SHARE = 0.2
_SLOT_BYTES = 64 * 1024 * 1024
_HEAD = struct.Struct("<QQ")
_MIB = 1024 * 1024


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    counts: Counter[str]
    defects: list[Defect]
    seconds: float
    grown_mib: float
    problems: list[str] = field(default_factory=list[str])
    """What is wrong beside single inputs: a crash, a hang, growth."""


def run(fuzzer: Fuzzer, inputs: int, seed: int) -> Outcome:
    """Returns when all inputs were tried, or the process crashed or hung."""
    context = multiprocessing.get_context("spawn")
    slot = shared_memory.SharedMemory(create=True, size=_SLOT_BYTES)
    results, outlet = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(fuzzer, inputs, seed, slot.name, outlet), daemon=True)
    began_s = time.monotonic()
    process.start()
    outlet.close()
    try:
        problem, grown_mib = _watch(process, slot, inputs, results)
        counts, defects, problems = Counter[str](), list[Defect](), list[str]()
        if problem is None:
            try:
                counts, defects = results.recv()
            except EOFError:  # it ended without results
                process.join()
                problem = f"the process ended with {process.exitcode}"
        if problem is not None:
            problems.append(problem)
            counts["steps"] = _HEAD.unpack_from(_buffer(slot))[0]
            defects = [Defect(problem, body) for body in _read(slot)]
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        slot.close()
        slot.unlink()
    if grown_mib > MAX_GROWTH_MIB:
        problems.append(f"memory grew by {grown_mib:.0f} MiB")
    return Outcome(counts, defects, time.monotonic() - began_s, grown_mib, problems)


def _watch(
    process: Any, slot: shared_memory.SharedMemory, inputs: int, results: Any
) -> tuple[str | None, float]:
    """Until the process has results or ends: whether it hung, and how much memory grew after the warm-up."""
    seen, seen_at_s, warm_mib, peak_mib = -1, time.monotonic(), 0.0, 0.0
    while not results.poll(0.2):
        step = _HEAD.unpack_from(_buffer(slot))[0]
        if step != seen:
            seen, seen_at_s = step, time.monotonic()
        elif time.monotonic() - seen_at_s > HANG_S:
            return f"hung for {HANG_S} s", 0.0
        with contextlib.suppress(psutil.NoSuchProcess):
            peak_mib = max(peak_mib, psutil.Process(process.pid).memory_info().rss / _MIB)
        if step < inputs * WARM_UP_SHARE or not warm_mib:
            warm_mib = peak_mib
    return None, peak_mib - warm_mib


def _work(fuzzer: Fuzzer, inputs: int, seed: int, name: str, outlet: Any) -> None:
    slot = shared_memory.SharedMemory(name=name)
    steps = 0

    def working_on(bodies: Sequence[bytes]) -> None:
        nonlocal steps
        steps += 1
        content = b"".join(struct.pack("<Q", len(body)) + body for body in bodies)[: _SLOT_BYTES - _HEAD.size]
        _buffer(slot)[_HEAD.size : _HEAD.size + len(content)] = content
        _HEAD.pack_into(_buffer(slot), 0, steps, len(content))

    try:
        outlet.send(fuzzer(random.Random(seed), inputs, working_on))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        slot.close()


def _buffer(slot: shared_memory.SharedMemory) -> memoryview[int]:
    assert slot.buf is not None  # only after close()
    return slot.buf


def _read(slot: shared_memory.SharedMemory) -> list[bytes]:
    """The bodies that were worked on last."""
    size: int = _HEAD.unpack_from(_buffer(slot))[1]
    content, at, bodies = bytes(_buffer(slot)[_HEAD.size : _HEAD.size + size]), 0, list[bytes]()
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        bodies.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    return bodies
