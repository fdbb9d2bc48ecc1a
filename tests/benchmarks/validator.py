"""What the validator costs: CPU time a span, and its share of the pipeline's.

`python -m tests.benchmarks.validator`
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.benchmarks import payload
from whodid.processor import pipeline
from whodid.processor.batch import Batch, Severity
from whodid.processor.rules import CHECKS
from whodid.processor.rules.view import View
from whodid.processor.stages.decode import decode
from whodid.processor.stages.enrich import enrich
from whodid.processor.stages.normalise import normalise
from whodid.processor.stages.validate import validate

REQUESTS = 20
SPANS_A_REQUEST = 512
WARM_UP_RUNS = 3
RUNS = 15


def main() -> None:
    bodies = [payload.make(SPANS_A_REQUEST, seed) for seed in range(REQUESTS)]
    batch = enrich(normalise(decode(bodies)))
    span_count = batch.row_count
    found = sum(len(findings.rows) for findings in validate(batch).findings)
    print(f"{span_count} spans in {REQUESTS} requests, {found} violations; the best of {RUNS} runs")
    alone_us = cost_us(lambda: validate(batch)) / span_count
    verbose_us = cost_us(lambda: validate(batch, Severity.INFORMATION)) / span_count
    whole_us = cost_us(lambda: pipeline.run(bodies)) / span_count
    print(
        f"validator              {alone_us:7.3f} µs of CPU a span, {alone_us / whole_us:.1%} of the pipeline"
    )
    print(f"  with all severities  {verbose_us:7.3f}")
    print(f"pipeline               {whole_us:7.3f}")
    for name, check_us in by_check(batch):
        print(f"  {name:30} {check_us / span_count:7.3f}")


def cost_us(work: Callable[[], object]) -> float:
    """The CPU time of one run, all threads of this process together."""
    for _ in range(WARM_UP_RUNS):
        work()
    times_s: list[float] = []
    for _ in range(RUNS):
        start_s = time.process_time()
        work()
        times_s.append(time.process_time() - start_s)
    return min(times_s) * 1e6


def by_check(batch: Batch) -> list[tuple[str, float]]:
    """Each rule's own part. What several ask for is paid by the first of them."""
    best_us: dict[str, float] = {}
    for _ in range(RUNS):
        view = View(batch)
        for check in CHECKS:
            start_s = time.process_time()
            list(check.find(view))
            took_us = (time.process_time() - start_s) * 1e6
            name = check.find.__name__
            best_us[name] = min(took_us, best_us.get(name, took_us))
    return list(best_us.items())


if __name__ == "__main__":
    main()
