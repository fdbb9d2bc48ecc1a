"""The questions at scale: are planted incidents found, exactly, and how fast is each beside `otel_traces`?

    python -m tests.benchmarks.questions [--spans N] [--growth N] [--only NAME] [--json FILE] [--write FILE]

Both tables hold the same spans, in one ClickHouse, which is asked about both in turn, warm. A question is
timed as a program asks it, with all its queries and its typed answer; `otel_traces` by one query, whose rows
are fetched. docs/performance.md explains each figure.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
from rich.console import Console
from rich.table import Table

from tests.benchmarks import pages
from tests.benchmarks.cases import Case, cases
from tests.benchmarks.incident import Incident
from tests.benchmarks.incidents import plant
from tests.benchmarks.scale import DAYS, Filled, Scale, fill
from tests.clickhouse import clickhouse
from whodid.processor.errors import WhodidError
from whodid.store import QueryTooBroadError, Store
from whodid.store.questions import QUESTIONS

MAX_CASE_S = 30
"""How long one side of a case is asked at the most; slow ones are asked less often."""
MIN_TIMES = 5
CLIENT_TIMEOUT_S = 3_600
BEGIN, END = "<!-- questions: begin -->", "<!-- questions: end -->"


@dataclass(frozen=True, slots=True)
class Timed:
    """How long one side took."""

    p50_ms: float
    p95_ms: float
    times: int
    """0: it was refused, as it would have gone beyond a limit."""


REFUSED = Timed(math.inf, math.inf, 0)


@dataclass(frozen=True, slots=True)
class Measured:
    """A case, both sides."""

    name: str
    ours: Timed
    peer: Timed
    max_ms: float | None
    min_ratio: float | None

    @property
    def ratio(self) -> float:
        """How many times faster, at the 95th percentile."""
        return self.peer.p95_ms / self.ours.p95_ms


@dataclass(frozen=True, slots=True)
class Judged:
    """An incident, and what its question found of it."""

    question: str
    incident: str
    expected: int
    found: int
    right: int
    error: str = ""

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.expected


@dataclass(frozen=True, slots=True)
class Run:
    """One size of store, all that was measured in it."""

    filled: Filled
    judged: list[Judged]
    measured: list[Measured]
    shown: list[pages.Shown]
    """The pages in a browser, where that was asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options().parse_args(arguments)
    sizes = [options.growth, options.spans] if options.growth else [options.spans]
    runs = [_run(size, options) for size in sizes]
    console = Console()
    for run in runs:
        _show(console, run)
    if len(runs) == 2:
        _show_growth(console, *runs)
    if options.json:
        record = [asdict(run) for run in runs]
        Path(options.json).write_text(json.dumps(record, indent=1) + "\n")
    if options.write:
        _write(options.write, runs, pages_only=bool(options.only))
    exact = all(each.precision == each.recall == 1 for run in runs for each in run.judged)
    return int(not exact)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--growth", type=int, metavar="SPANS", help="measure a store of so many spans first")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often each case is asked about each of its ids"
    )
    parser.add_argument("--samples", type=int, default=24, help="about how many ids each case is asked")
    parser.add_argument("--only", metavar="NAME", help="only the cases and incidents whose name begins so")
    parser.add_argument("--pages", action="store_true", help="also measure each page in a browser")
    parser.add_argument("--json", metavar="FILE", help="also write everything there")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help=f"put the tables between {BEGIN} and {END}"
    )
    parser.add_argument("--folder", type=Path, help="where the temporary folder with the stores is made")
    parser.add_argument(
        "--keep", type=Path, help="a folder whose stores stay, and are measured again if filled"
    )
    return parser


def _run(span_count: int, options: argparse.Namespace) -> Run:
    with _folder(span_count, options) as folder, _stores(folder) as (url, store, client):
        scale, filled = _filled(folder, store, client, span_count)
        incidents = plant(scale.begin, DAYS)
        chosen = [each for each in incidents if each.question.startswith(options.only or "")]
        judged = [judge(store, incident) for incident in chosen if incident.question in QUESTIONS]
        measured: list[Measured] = []
        for case in cases(client, store.database, scale, options.samples):
            if case.name.startswith(options.only or "") and case.question in QUESTIONS:
                measured.append(_measure(store, client, case, options.rounds))
                print(_line(measured[-1]), flush=True)
        wanted = options.pages and span_count == options.spans
        shown = pages.measure(url, client, store.database) if wanted else []
    return Run(filled, judged, measured, shown)


@contextmanager
def _folder(span_count: int, options: argparse.Namespace) -> Generator[Path]:
    if options.keep:
        kept: Path = options.keep / str(span_count)
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(
        prefix="questions-", dir=options.folder, ignore_cleanup_errors=True
    ) as inside:
        yield Path(inside)


def _filled(folder: Path, store: Store, client: Any, span_count: int) -> tuple[Scale, Filled]:
    """What the stores hold: filled now, or before."""
    record = folder / "filled.json"
    if record.exists():
        said = json.loads(record.read_text())
        scale = Scale(said["scale"]["span_count"], datetime.fromisoformat(said["scale"]["begin"]))
        return scale, Filled(**said["filled"])
    scale = Scale.of(span_count)
    filled = fill(store, client, scale, plant(scale.begin, DAYS))
    spans_per_s = filled.span_count / filled.traffic_s
    print(f"{filled.span_count:,} spans: {spans_per_s:,.0f} spans/s made", flush=True)
    of_scale = {"span_count": scale.span_count, "begin": scale.begin.isoformat()}
    record.write_text(json.dumps({"scale": of_scale, "filled": asdict(filled)}))
    return scale, filled


@contextmanager
def _stores(folder: Path) -> Generator[tuple[str, Store, Any]]:
    """A ClickHouse's URL, a store and a client for it, gone at the end of the block."""
    library: Any = clickhouse_connect
    with clickhouse(folder) as server:
        store = Store.open(server.url)
        client = library.get_client(
            host="127.0.0.1",
            port=server.port,
            autogenerate_session_id=False,
            send_receive_timeout=CLIENT_TIMEOUT_S,
        )
        try:
            yield server.url, store, client
        finally:
            client.close()
            store.close()


def ask(store: Store, name: str, parameters: dict[str, Any]) -> Any:
    """A question's answer, as every caller gets it."""
    question = QUESTIONS[name]
    return question.ask(store.reader(), question.parameters.model_validate(parameters))


def judge(store: Store, incident: Incident) -> Judged:
    """Asks an incident's question, and compares what it found with what was planted."""
    try:
        found = frozenset(incident.found(ask(store, incident.question, incident.parameters)))
    except WhodidError as error:
        return Judged(incident.question, incident.name, len(incident.expected), 0, 0, str(error))
    difference = ""
    if found != incident.expected:
        missed, extra = sorted(incident.expected - found)[:3], sorted(found - incident.expected)[:3]
        difference = f"missed {missed}, found instead {extra}"
    right = len(found & incident.expected)
    return Judged(incident.question, incident.name, len(incident.expected), len(found), right, difference)


def _measure(store: Store, client: Any, case: Case, rounds: int) -> Measured:
    text = case.peer_text

    def ours(number: int) -> None:
        ask(store, case.question, case.asked[number % len(case.asked)])

    def peer(number: int) -> None:
        _ = client.query(text, parameters=case.peer_asked[number % len(case.peer_asked)]).result_rows

    times = rounds * len(case.asked)
    try:
        of_ours = _timed(ours, times)
    except QueryTooBroadError as error:
        print(f"{case.name}: {error}", flush=True)
        of_ours = REFUSED
    return Measured(case.name, of_ours, _timed(peer, times), case.max_ms, case.min_ratio)


def _timed(work: Callable[[int], None], times: int) -> Timed:
    """Asked once about each id before: the first reading from disk is not what is measured."""
    began_s = time.monotonic()
    for number in range(times // 2):
        work(number)
        if number >= 1 and time.monotonic() - began_s > MAX_CASE_S / 2:
            break
    took_ms: list[float] = []
    began_s = time.monotonic()
    for number in range(max(times, MIN_TIMES)):
        before_s = time.perf_counter()
        work(number)
        took_ms.append((time.perf_counter() - before_s) * 1000)
        if len(took_ms) >= MIN_TIMES and time.monotonic() - began_s > MAX_CASE_S:
            break
    return Timed(statistics.median(took_ms), _percentile(took_ms, 95), len(took_ms))


def _percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * percent // 100) - 1)]


def _line(each: Measured) -> str:
    ours, peer = each.ours.p95_ms, each.peer.p95_ms
    return f"{each.name}: {ours:.0f} ms, otel_traces {peer:.0f} ms, {each.ratio:.1f} times"


def _show(console: Console, run: Run) -> None:
    table = Table(title=f"{run.filled.span_count:,} spans", title_justify="left")
    for heading in ("question", "p50 ms", "p95 ms", "otel_traces p50", "p95", "times faster", "targets"):
        table.add_column(heading, justify="left" if heading in ("question", "targets") else "right")
    for each in run.measured:
        table.add_row(*_cells(each))
    console.print(table)
    console.print(_sizes(run.filled))
    found = Table(title="incidents", title_justify="left")
    for heading in ("question", "incident", "planted", "found", "precision", "recall", ""):
        found.add_column(heading)
    for each in run.judged:
        numbers = (str(each.expected), str(each.found), f"{each.precision:.2f}", f"{each.recall:.2f}")
        found.add_row(each.question, each.incident, *numbers, each.error)
    console.print(found)


def _cells(each: Measured) -> list[str]:
    targets = [f"≤ {each.max_ms:.0f} ms"] if each.max_ms else []
    targets += [f"≥ {each.min_ratio:.0f} times"] if each.min_ratio else []
    numbers = (each.ours.p50_ms, each.ours.p95_ms, each.peer.p50_ms, each.peer.p95_ms)
    shown = [f"{number:,.0f}" if number < math.inf else "refused" for number in numbers]
    return [each.name, *shown, f"{each.ratio:.1f}", ", ".join(targets)]


def _sizes(filled: Filled) -> str:
    ours, peer = filled.bytes_a_span, filled.peer_bytes_a_span
    parts = f"in {filled.parts} and {filled.peer_parts} parts"
    return (
        f"Bytes a span: {ours:.1f}, otel_traces {peer:.1f} ({parts}); ratio {ours / peer:.2f}, target ≤ 0.70"
    )


def _show_growth(console: Console, small: Run, large: Run) -> None:
    before = {each.name: each for each in small.measured}
    for each in large.measured:
        if each.name in before:
            grown = each.ours.p95_ms / before[each.name].ours.p95_ms
            console.print(f"growth of {each.name}: {grown:.2f} (look-ups by id: target ≤ 1.5)")


def _write(page: Path, runs: Sequence[Run], *, pages_only: bool) -> None:
    if not pages_only:  # a table with some of the questions would take the place of all of them
        _write_questions(page, runs)
    shown = [each for run in runs for each in run.shown]
    if shown:
        spans = f"{runs[-1].filled.span_count:,} spans; milliseconds, medians of {pages.VISITS - 1} visits:"
        _put(page, [spans, "", *pages.table(shown), ""], pages.BEGIN, pages.END)


def _write_questions(page: Path, runs: Sequence[Run]) -> None:
    lines: list[str] = []
    for run in runs:
        filled = run.filled
        lines += [
            f"{filled.span_count:,} spans; milliseconds, warm:",
            "",
            "| question | p50 | p95 | `otel_traces` p50 | p95 | times faster | target |",
            "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
            *(f"| {' | '.join(_cells(each))} |" for each in run.measured),
            "",
            f"{_sizes(filled)}.",
            "",
        ]
    _put(page, lines, BEGIN, END)


def _put(page: Path, lines: Sequence[str], begin: str, end: str) -> None:
    before, _, rest = page.read_text().partition(begin)
    table = "\n".join(lines)
    page.write_text(f"{before}{begin}\n{table}{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    raise SystemExit(main())
