"""python -m tests.scenarios [--only NAME …] [--results FILE] [--environment NAME=PYTHON …] [--write FILE]

Plays the stories and prints what is wrong. With --write the matrix page is written; with --results all that
was found, as JSON. An environment is a framework's that cannot be installed here; without it, it is made.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.environments import separate
from tests.scenarios import page, performance

CACHE = performance.ROOT / ".pytest_cache" / "d"
"""Where pytest keeps the separate environments, too."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("--only", action="append", choices=performance.FRAMEWORKS)
    parser.add_argument("--environment", action="append", default=[])
    parser.add_argument("--results", type=Path)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    names = given.only or list(performance.FRAMEWORKS)
    interpreters = performance.here(names)
    known = dict(each.split("=", 1) for each in given.environment)
    for name in performance.ELSEWHERE:
        if name in names:
            interpreters[name] = (
                Path(known[name]) if name in known else separate.interpreter(name, CACHE.joinpath)
            )
    with tempfile.TemporaryDirectory(prefix="scenarios-") as folder:
        results = performance.perform(interpreters, Path(folder))
    if given.results:
        given.results.write_text(results.to_json())
    if given.write:
        given.write.write_text(page.render(results))
    wrong = list(performance.wrong(results))
    for framework, story, cell in wrong:
        print(f"{framework}: {story}: {cell.reason}")
        for name, expected in cell.expected.items():
            if cell.found.get(name) != expected:
                print(f"  {name}: expected {json.dumps(expected)}")
                print(f"  {name}: found    {json.dumps(cell.found.get(name))}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
