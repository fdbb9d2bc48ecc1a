"""Hands work to threads, processes and programs for several users at once; prints who was known where."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from opentelemetry import trace

from whodid.instrumentation import attribution, carriers, current, init

USERS = [f"user{number}" for number in range(4)]
CHILD = """
import json, sys
from whodid.instrumentation import attribution, current, init
init(report=False)
import os
from opentelemetry import trace
span = trace.get_current_span().get_span_context()
left = [name for name in ("BAGGAGE", "TRACEPARENT") if name in os.environ]
print(json.dumps([current().principal_id, f"{span.trace_id:032x}", left]))
"""


def who(_: Any = None) -> list[str | None]:
    """Who is known here, and in which trace."""
    span = trace.get_current_span().get_span_context()
    return [current().principal_id, f"{span.trace_id:032x}"]


def tell(queue: Any) -> None:
    """A process's target; its span is sent from there."""
    with trace.get_tracer("child").start_as_current_span(f"child of {current().principal_id}"):
        queue.put(who())


def for_one(user: str, threads: ThreadPoolExecutor, processes: ProcessPoolExecutor) -> dict[str, Any]:
    """Everything that one user's work is handed over to."""
    spawn = multiprocessing.get_context("spawn")
    with (
        attribution(principal=user, principal_type="human"),
        trace.get_tracer("host").start_as_current_span(user),
    ):
        queue = spawn.SimpleQueue()
        process = spawn.Process(target=tell, args=(queue,))
        process.start()
        found = {
            "own": who(),
            "thread": threads.submit(who).result(),
            "map": next(iter(threads.map(who, [1]))),
            "pool": processes.submit(who).result(),
            "process": queue.get(),
            "program": json.loads(subprocess.check_output([sys.executable, "-c", CHILD], text=True)),
            "async": asyncio.run(in_loop()),
        }
        process.join()
        message = json.dumps(carriers.outgoing())
    with carriers.incoming(json.loads(message)):
        found["queue"] = who()
    with attribution(principal="the-consumer"), carriers.incoming(None):
        found["empty message"] = who()
    return found


async def in_loop() -> list[list[str | None]]:
    """What a loop hands over."""
    import anyio.to_thread

    loop = asyncio.get_running_loop()

    async def here() -> list[str | None]:
        return who()

    return [
        await loop.run_in_executor(None, who),
        await asyncio.to_thread(who),
        await anyio.to_thread.run_sync(who),
        await asyncio.create_task(here()),
    ]


def main() -> None:
    """The users at once, in threads that belong to nobody."""
    init(report=False)
    with (
        ThreadPoolExecutor(4) as outer,
        ThreadPoolExecutor(2) as threads,
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes,
    ):
        waiting = [outer.submit(for_one, user, threads, processes) for user in USERS]
        answers = [each.result() for each in waiting]
        nobody = [threads.submit(who).result(), processes.submit(who).result()]
    print(json.dumps({"users": dict(zip(USERS, answers, strict=True)), "nobody": nobody}))


if __name__ == "__main__":
    main()
