"""The long form: `python -m tests.chaos [--folder FOLDER] [--seed N] [SCENARIO …]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.chaos import scenarios
from tests.chaos.scenarios import Count

Run = Callable[[Path, int], Count]

SCENARIOS: dict[str, Run] = {
    "processor": lambda folder, seed: scenarios.kill_the_processor(folder, 20, seed),
    "store": lambda folder, seed: scenarios.kill_the_store(folder, 10, seed),
    "away": lambda folder, _seed: scenarios.store_away(folder, 60),
    "disk": lambda folder, _seed: scenarios.full_disk(folder),
    "writes": lambda folder, _seed: scenarios.failing_writes(folder, 10),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; all where none is given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept afterwards; a temporary one where it is not given")
    chosen = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        for name in chosen.scenarios or SCENARIOS:
            folder = (chosen.folder or Path(temporary)) / name
            count = SCENARIOS[name](folder, chosen.seed)
            print(count, flush=True)
            failed |= count.lost > 0 or count.doubled > 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
