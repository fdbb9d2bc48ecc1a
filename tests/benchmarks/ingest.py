"""Ingest side by side: rotel and whodid in turn, each against a fresh ClickHouse, on the same requests.

    python -m tests.benchmarks.ingest [--small | --steady | --soak SECONDS] [--cmd COMMAND] [--json FILE]

A B A B: what else the machine does drifts, so only figures of one run are compared, and those as ratios.
docs/performance.md explains each figure.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import payload
from tests.benchmarks.freshness import Freshness
from tests.benchmarks.load import Answers, Sender
from tests.benchmarks.processes import Memory, cpu_s
from tests.benchmarks.subjects import OURS, PEER, Running, Subject, ours, peer, running

WARM_UP_SPANS = 512
SETTLE_TIMEOUT_S = 180
SMALL_REQUEST_SPANS = 10
STEADY_REQUEST_SPANS = 100
STAMPS = 8

RATIOS = {
    "spans_per_s": "≥ 3.0",
    "total_cpu_us_per_span": "≤ 0.30",
    "cpu_us_per_span": "≤ 0.50",
    "disk_bytes_per_span": "≤ 0.70",
}
"""The figures whose ratio to the peer's has a target, at full speed."""

LIMITS = {
    "acknowledged_p99_ms": "≤ 50",
    "queryable_p99_ms": "≤ 2,000",
}
"""The figures that have a target by themselves, at a fixed rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run of one subject."""

    name: str
    sent: int
    stored: int
    lost: int
    doubled: int
    refused: int
    errors: int
    spans_per_s: float
    cpu_us_per_span: float
    store_cpu_us_per_span: float
    total_cpu_us_per_span: float
    disk_bytes_per_span: float
    memory_peak_mib: float
    acknowledged_p50_ms: float
    acknowledged_p99_ms: float
    queryable_p50_ms: float | None = None
    queryable_p99_ms: float | None = None
    memory_mib_per_minute: float | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options().parse_args(arguments)
    figures: list[Figures] = []
    subjects = [ours(options.cmd)] if options.alone else [peer(), ours(options.cmd)]
    for number in range(options.rounds):
        seed = options.seed + 1_000_000 * number
        bodies = [] if options.steady or options.soak else _bodies(options, seed)
        for subject in subjects:
            measured = _measure(subject, options, bodies, seed)
            figures.append(measured)
            print(f"round {number + 1}: {_line(measured)}", flush=True)
    at_full_speed = not (options.steady or options.soak)
    ratios = _ratios(figures) if at_full_speed and not options.alone else {}
    _show(figures, ratios, LIMITS if options.steady else RATIOS if ratios else {})
    if options.json:
        record = {
            "options": {name: str(value) for name, value in vars(options).items()},
            "runs": [asdict(each) for each in figures],
            "ratios": ratios,
        }
        Path(options.json).write_text(json.dumps(record, indent=1) + "\n")
    return int(any(each.lost or each.doubled or each.errors for each in figures if each.name == OURS))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--small", action="store_true", help=f"{SMALL_REQUEST_SPANS} spans a request")
    mode.add_argument("--steady", action="store_true", help="a fixed rate: acknowledgement and freshness")
    mode.add_argument("--soak", type=float, metavar="SECONDS", help="full load for so long: memory over time")
    parser.add_argument("--alone", action="store_true", help="without rotel")
    parser.add_argument("--cmd", help="what is measured instead of `whodid up`; it gets WHODID_… variables")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--spans", type=int, default=409_600)
    parser.add_argument("--batch", type=int, help="spans a request")
    parser.add_argument("--senders", type=int, default=4, help="requests in flight at full speed")
    parser.add_argument("--rate", type=int, default=5_000, help="spans/s of --steady")
    parser.add_argument("--seconds", type=float, default=60, help="how long --steady takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="also write everything there")
    return parser


def _batch(options: argparse.Namespace) -> int:
    default = SMALL_REQUEST_SPANS if options.small else STEADY_REQUEST_SPANS if options.steady else 512
    return options.batch or default


def _bodies(options: argparse.Namespace, seed: int) -> list[bytes]:
    size = _batch(options)
    return [payload.make(size, seed + number) for number in range(max(1, options.spans // size))]


def _measure(subject: Subject, options: argparse.Namespace, bodies: Sequence[bytes], seed: int) -> Figures:
    with (
        tempfile.TemporaryDirectory(prefix="ingest-", ignore_cleanup_errors=True) as folder,
        running(subject, Path(folder)) as up,
    ):
        run = _Run(up, options, seed)
        try:
            run.warm_up()
            if options.steady:
                return run.steady()
            if options.soak:
                return run.soak()
            return run.full_speed(iter(bodies), len(bodies) * _batch(options))
        finally:
            run.sender.close()


class _Run:
    """One subject that is up, measured once."""

    def __init__(self, up: Running, options: argparse.Namespace, seed: int) -> None:
        self._up = up
        self._options = options
        self._batch = _batch(options)
        # Not those of the measured requests.
        self._seed = seed + 900_000
        self._client = up.client()
        self.sender = Sender(up.port)

    def warm_up(self) -> None:
        """Sends a little and waits until it is stored: spans do arrive, and what is lazy is loaded."""
        body = payload.make(WARM_UP_SPANS, self._seed)
        answers = self.sender.at_full_speed(iter([body]), 1, threading.Event())
        if answers.gave_up or self._settle(WARM_UP_SPANS) < WARM_UP_SPANS:
            said = self._up.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the warm-up was not stored: {answers.gave_up}\n{said}")

    def full_speed(self, bodies: Iterator[bytes], span_count: int) -> Figures:
        """Counts from the first request until the store's count holds every span."""
        with Memory(self._up.process.pid) as memory:
            before = self._cpu()
            began_s = time.perf_counter()
            answers = self.sender.at_full_speed(bodies, self._options.senders, threading.Event())
            acknowledged = span_count - len(answers.gave_up) * self._batch
            self._settle(WARM_UP_SPANS + acknowledged)
            took_s = time.perf_counter() - began_s
        return self._figures(acknowledged, took_s, before, answers, memory)

    def soak(self) -> Figures:
        """The same for a time instead of a number of spans; memory is what counts."""
        stop = threading.Event()
        timer = threading.Timer(self._options.soak, stop.set)
        stamps = itertools.cycle([payload.Stamp(self._batch, self._seed + 1 + i) for i in range(STAMPS)])
        with Memory(self._up.process.pid) as memory:
            before = self._cpu()
            began_s = time.perf_counter()
            timer.start()
            bodies = (stamp.fresh()[0] for stamp in stamps)
            answers = self.sender.at_full_speed(bodies, self._options.senders, stop)
            loaded_s = time.perf_counter() - began_s
            sent = len(answers.acknowledged) * self._batch
            self._settle(WARM_UP_SPANS + sent)
            took_s = time.perf_counter() - began_s
        under_load = [sample for sample in memory.samples if sample[0] <= loaded_s]
        _show_memory(self._up.subject.name, under_load)
        more = {"memory_mib_per_minute": _slope(under_load) * 60}
        return self._figures(sent, took_s, before, answers, memory, more)

    def steady(self) -> Figures:
        """A fixed rate of requests; one span of each is watched for in the store."""
        stamps = itertools.cycle([payload.Stamp(self._batch, self._seed + 1 + i) for i in range(STAMPS)])
        rate, seconds = self._options.rate / self._batch, self._options.seconds
        with Memory(self._up.process.pid) as memory:
            before = self._cpu()
            began_s = time.perf_counter()
            with Freshness(self._up) as freshness:
                answers = self.sender.at_a_rate(
                    lambda: next(stamps).fresh(), rate, seconds, freshness.acknowledged
                )
            took_s = time.perf_counter() - began_s
        sent = len(answers.acknowledged) * self._batch
        self._settle(WARM_UP_SPANS + sent)
        more = {
            "queryable_p50_ms": _percentile(freshness.seen_after_s, 0.5) * 1e3,
            "queryable_p99_ms": _percentile(freshness.seen_after_s, 0.99) * 1e3,
        }
        return self._figures(sent, took_s, before, answers, memory, more)

    def _figures(
        self,
        sent: int,
        took_s: float,
        before: tuple[float, float],
        answers: Answers,
        memory: Memory,
        more: dict[str, float] | None = None,
    ) -> Figures:
        cpu_us, store_cpu_us = ((now - then) * 1e6 for now, then in zip(self._cpu(), before, strict=True))
        table, span_id = self._up.subject.table, self._up.subject.span_id
        rows, spans = self._ask(f"SELECT count(), uniqExact({span_id}) FROM {table}")
        parts = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database != 'system'"
        (disk_bytes,) = self._ask(parts)
        for why in sorted(set(answers.refused + answers.gave_up))[:3]:
            print(f"  {self._up.subject.name} refused: {why}", flush=True)
        return Figures(
            name=self._up.subject.name,
            sent=sent,
            stored=spans - WARM_UP_SPANS,
            lost=sent + WARM_UP_SPANS - spans,
            doubled=rows - spans,
            refused=len(answers.refused),
            errors=len(answers.gave_up),
            spans_per_s=sent / took_s,
            cpu_us_per_span=cpu_us / sent,
            store_cpu_us_per_span=store_cpu_us / sent,
            total_cpu_us_per_span=(cpu_us + store_cpu_us) / sent,
            disk_bytes_per_span=disk_bytes / rows,
            memory_peak_mib=memory.peak_mib,
            acknowledged_p50_ms=_percentile(answers.acknowledged, 0.5) * 1e3,
            acknowledged_p99_ms=_percentile(answers.acknowledged, 0.99) * 1e3,
            **(more or {}),
        )

    def _settle(self, wanted_rows: int) -> int:
        """Waits until the table has this many rows; returns how many it has."""
        deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            rows: int = self._ask(f"SELECT count() FROM {self._up.subject.table}")[0]
            if rows >= wanted_rows or time.monotonic() > deadline_s:
                return rows
            time.sleep(0.02)

    def _ask(self, query: str) -> tuple[Any, ...]:
        return self._client.query(query).result_rows[0]

    def _cpu(self) -> tuple[float, float]:
        return cpu_s(self._up.process.pid), cpu_s(self._up.store_pid)


def _percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed; not a number where there are none."""
    if not values:
        return float("nan")
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _slope(samples: Sequence[tuple[float, float]]) -> float:
    """MiB a second by least squares, over the second half: the first fills buffers and caches."""
    half = samples[len(samples) // 2 :]
    if len(half) < 2:
        return float("nan")
    return statistics.linear_regression([at_s for at_s, _ in half], [mib for _, mib in half]).slope


def _show_memory(name: str, samples: Sequence[tuple[float, float]]) -> None:
    step = max(1, len(samples) // 12)
    print(f"  {name}, MiB: " + ", ".join(f"{at_s:.0f} s {mib:.0f}" for at_s, mib in samples[::step]))


def _ratios(figures: Sequence[Figures]) -> dict[str, float]:
    """Ours by the peer's, of the medians."""
    return {key: _median(figures, OURS, key) / _median(figures, PEER, key) for key in RATIOS}


def _median(figures: Sequence[Figures], name: str, key: str) -> float:
    return statistics.median(getattr(each, key) for each in figures if each.name == name)


def _line(figures: Figures) -> str:
    return (
        f"{figures.name}: {figures.spans_per_s:,.0f} spans/s, {figures.cpu_us_per_span:.1f} µs a span "
        f"and {figures.store_cpu_us_per_span:.1f} in the store, "
        f"{figures.lost} lost, {figures.doubled} doubled"
    )


def _show(figures: Sequence[Figures], ratios: dict[str, float], targets: dict[str, str]) -> None:
    names = list(dict.fromkeys(each.name for each in figures))
    table = Table("median of the runs", *names, "ratio", "target")
    for key in (name for name in asdict(figures[0]) if name != "name"):
        if getattr(figures[0], key) is None:
            continue
        values = [f"{_median(figures, name, key):,.1f}" for name in names]
        ratio = f"{ratios[key]:.2f}" if key in ratios else ""
        table.add_row(key, *values, ratio, targets.get(key, ""))
    Console(width=100).print(table)


if __name__ == "__main__":
    # A second way to be asked to stop, with the same clean-up as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
