"""Where the time goes: CPU a span in each stage, from the request's bytes to the acknowledged insert.

    python -m tests.benchmarks.stages [--markdown [--write docs/performance.md]] [--json FILE]

Each stage is run alone on what the stage before it gave, on the benchmark's payload, in one process. The
figure is the median of the repeats in CPU time of the whole process, all its threads; waiting is not in it.
`receive` is a real service's CPU less everything else that it does for a request.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import payload
from tests.benchmarks.load import Sender
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.subjects import ours, running
from tests.clickhouse import clickhouse
from whodid.processor import pipeline, segment
from whodid.processor.bodies import Bodies, parts
from whodid.processor.delivery import PART_BYTES
from whodid.processor.memory import reuse_buffers
from whodid.processor.quarantine import Quarantine
from whodid.processor.spool import Spool
from whodid.processor.stages.decode import check, decode
from whodid.processor.stages.seal import seal
from whodid.store import Store

SPANS_A_REQUEST = 512
REQUESTS = 40
"""As many as a full segment holds, which is one run of the pipeline and one insert."""
REPEATS = 9
SERVICE_REQUESTS = 400
BEGIN, END = "<!-- stages: begin -->", "<!-- stages: end -->"

Row = tuple[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="a table as docs/performance.md has it")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"put the table between {BEGIN} and {END}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args(arguments)
    bodies = [payload.make(SPANS_A_REQUEST, seed) for seed in range(options.requests)]
    rows = measured(bodies, options.repeats)
    if options.json is not None:
        options.json.write_text(json.dumps(dict(rows), indent=1) + "\n")
    table = markdown(rows, bodies, options.repeats)
    if options.write is not None:
        text: str = options.write.read_text()
        before, _, rest = text.partition(BEGIN)
        options.write.write_text(f"{before}{BEGIN}\n{table}{END}{rest.partition(END)[2]}")
    if options.markdown:
        print(table, end="")
    else:
        for name, cost_us in rows:
            print(f"{name:34}{cost_us:8.2f} µs")


def measured(bodies: Sequence[bytes], repeats: int) -> list[Row]:
    """Every stage's cost in µs a span, in the order in which a span goes through them."""
    reuse_buffers()  # as the service does: fresh pages cost the stages half as much again
    span_count = len(bodies) * SPANS_A_REQUEST
    rows: list[Row] = [
        ("check", cost_us(lambda: [check(body) for body in bodies], repeats) / span_count),
        ("spool", _spool_us(bodies, repeats) / span_count),
    ]
    rows += _pipeline_us(next(parts(bodies, PART_BYTES)), repeats)
    processor, store = (each / span_count for each in _insert_us(bodies, repeats))
    rows.append(("insert", processor))
    receive = _service_us(bodies) - sum(cost for _, cost in rows)
    return [("receive", receive), *rows, ("the store's own", store)]


def _pipeline_us(part: Bodies, repeats: int) -> list[Row]:
    """Decoding and every stage behind it, on as many requests at a time as the service takes."""
    span_count = len(part) * SPANS_A_REQUEST
    batch = decode(part)
    rows = [("decode", cost_us(lambda: decode(part), repeats) / span_count)]
    for stage in pipeline.stages():
        rows.append(
            (_name(stage), cost_us(lambda stage=stage, batch=batch: stage(batch), repeats) / span_count)
        )
        batch = stage(batch)
    today = datetime.datetime.now(datetime.UTC).date()
    return [*rows, ("seal", cost_us(lambda: seal(batch, today), repeats) / span_count)]


def cost_us(work: Callable[[], object], repeats: int) -> float:
    """The median CPU time of a run, all threads of this process together; the first runs do not count."""
    for _ in range(2):
        work()
    costs: list[float] = []
    for _ in range(repeats):
        began_s = time.process_time()
        work()
        costs.append(time.process_time() - began_s)
    return statistics.median(costs) * 1e6


def markdown(rows: Sequence[Row], bodies: Sequence[bytes], repeats: int) -> str:
    """The table, with what it was measured on."""
    own = [cost for name, cost in rows if name != "the store's own"]
    lines = ["| stage | CPU µs a span | share of the processor |", "| --- | ---: | ---: |"]
    for name, cost in rows:
        share = f"{cost / sum(own):.0%}" if name != "the store's own" else ""
        lines.append(f"| {name} | {cost:.2f} | {share} |")
    lines.append(f"| **the processor** | **{sum(own):.2f}** | **100%** |")
    spans = len(bodies) * SPANS_A_REQUEST
    size_bytes = sum(map(len, bodies)) / spans
    what = f"{spans:,} spans of {size_bytes:,.0f} bytes in requests of {SPANS_A_REQUEST}"
    return "\n".join([*lines, "", f"{what}; medians of {repeats} runs."]) + "\n"


def _name(stage: Any) -> str:
    return getattr(stage, "func", stage).__name__


def _spool_us(bodies: Sequence[bytes], repeats: int) -> float:
    """Appending, the sync, and reading a segment again, as the service does it."""

    async def append(spool: Spool) -> None:
        await asyncio.gather(*(spool.append(body) for body in bodies))

    with tempfile.TemporaryDirectory(prefix="stages-") as folder:
        size_bytes = sum(map(len, bodies)) * 2
        quarantine = Quarantine(Path(folder) / "quarantine", max_files=1, max_bytes=1024)
        spool = Spool(
            Path(folder) / "spool",
            quarantine,
            max_bytes=size_bytes * 2,
            flush_after_s=60,
            flush_after_bytes=size_bytes,
        )

        def round_trip() -> None:
            asyncio.run(append(spool))
            while (taken := spool.take(0.0, now=True)) is not None:
                taken.requests()
                spool.done(taken)

        try:
            return cost_us(round_trip, repeats)
        finally:
            spool.close()


def _insert_us(bodies: Sequence[bytes], repeats: int) -> tuple[float, float]:
    """What an insert into a server costs this process, and the server with its merges."""
    with (
        tempfile.TemporaryDirectory(prefix="stages-", ignore_cleanup_errors=True) as folder,
        clickhouse(Path(folder)) as server,
    ):
        store = Store.open(server.url)
        sealed = pipeline.run(bodies)
        assert server.process is not None
        number = 0

        def insert() -> None:
            nonlocal number
            number += 1
            store.insert(sealed, token=f"{segment.new_id()}-{number}")

        before_s = cpu_s(server.process.pid)
        mine_us = cost_us(insert, repeats)
        time.sleep(2)  # merges that the inserts set off
        store_us = (cpu_s(server.process.pid) - before_s) * 1e6 / number
        store.close()
        return mine_us, store_us


def _service_us(bodies: Sequence[bytes]) -> float:
    """What a running service spends a span, all of it."""
    stamps = [payload.Stamp(SPANS_A_REQUEST, 1_000 + number) for number in range(4)]
    sent = [stamps[number % 4].fresh()[0] for number in range(max(len(bodies), SERVICE_REQUESTS))]
    warm_up = [stamps[number % 4].fresh()[0] for number in range(len(bodies))]
    with (
        tempfile.TemporaryDirectory(prefix="stages-", ignore_cleanup_errors=True) as folder,
        running(ours(None), Path(folder)) as up,
    ):
        sender, client, never = Sender(up.port), up.client(), threading.Event()

        def send(requests: Sequence[bytes], wanted: int) -> None:
            sender.at_full_speed(iter(requests), 4, never)
            while client.query(f"SELECT count() FROM {up.subject.table}").result_rows[0][0] < wanted:
                time.sleep(0.05)

        try:
            send(warm_up, len(warm_up) * SPANS_A_REQUEST)
            before_s = cpu_s(up.process.pid)
            send(sent, (len(warm_up) + len(sent)) * SPANS_A_REQUEST)
            spent_s = cpu_s(up.process.pid) - before_s
        finally:
            sender.close()
    return spent_s * 1e6 / (len(sent) * SPANS_A_REQUEST)


if __name__ == "__main__":
    main()
