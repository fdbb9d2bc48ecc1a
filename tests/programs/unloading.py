"""Warms the pipeline up as the service does, unloads what that took, and takes a segment through it.

    python unloading.py

A JSON object on standard output: resident bytes of files before and after, how many spans came out, and what
was compiled after the warm-up.
"""

from __future__ import annotations

import gc
import json
import tempfile
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

from tests.benchmarks import payload
from whodid.processor import memory, pipeline
from whodid.processor.segment import Segment, frame
from whodid.processor.stages.decode import check


def compiled() -> set[str]:
    """Every function that is compiled, with the types that it is compiled for."""
    kind: Any = Dispatcher
    found: list[Any] = [each for each in gc.get_objects() if isinstance(each, kind)]
    return {f"{each.py_func.__qualname__}{signature}" for each in found for signature in each.signatures}


def resident_file_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile:"))


def main() -> None:
    memory.reuse_buffers()
    pipeline.warm_up()
    before, before_bytes = compiled(), resident_file_bytes()
    memory.unload_what_starting_took()
    after_bytes = resident_file_bytes()
    bodies = [payload.make(20, seed) for seed in range(3)]
    for body in bodies:
        check(body)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.segment"
        path.write_bytes(b"".join(frame(body) + body for body in bodies))
        sealed = pipeline.run(Segment(path, path.stat().st_size).read().whole)
    report = {
        "before_bytes": before_bytes,
        "after_bytes": after_bytes,
        "spans": sealed.spans.num_rows,
        "compiled_later": sorted(compiled() - before),
    }
    print(json.dumps(report))


main()
