"""Hostile input by the thousand, for the decoder and for both receivers of a running service.

    python -m tests.fuzz decode|grpc|http [--inputs N] [--seed S] [--bounds] [--keep FOLDER]

Prints what was counted, and every defect with the input that shows it; exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import decoding, guarded, receiving
from tests.fuzz.guarded import Outcome

SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", choices=("decode", "grpc", "http"))
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bounds", action="store_true", help="compiled code checks its bounds (slower)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write inputs that show a defect there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        if options.bounds:
            # Before the process that is fuzzed starts. What was compiled without bounds must not be found.
            os.environ |= {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": folder}
        outcome = run(options.target, options.inputs, options.seed, Path(folder))
    _show(outcome, options.keep)
    return int(bool(outcome.defects or outcome.problems))


def run(target: str, inputs: int, seed: int, folder: Path) -> Outcome:
    if target == "decode":
        return guarded.run(decoding.fuzz, inputs, seed)
    return receiving.run(target, inputs, seed, folder)


def _show(outcome: Outcome, keep: Path | None) -> None:
    counted = ", ".join(f"{name}: {count:,}" for name, count in sorted(outcome.counts.items()))
    print(f"{counted}; {outcome.seconds:.0f} s, memory grew by {outcome.grown_mib:.0f} MiB")
    for problem in outcome.problems:
        print(f"PROBLEM {problem}")
    shown: dict[str, bytes] = {}
    for defect in outcome.defects:
        if len(defect.body) < len(shown.get(defect.what, defect.body + b"x")):
            shown[defect.what] = defect.body
    for number, (what, body) in enumerate(list(shown.items())[:SHOWN]):
        text = body.hex() if len(body) <= 300 else f"{body[:300].hex()}… ({len(body)} bytes)"
        print(f"DEFECT {what}\n  {text}")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{number}.bin").write_bytes(body)
    print(f"{len(outcome.defects)} defects, {len(outcome.problems)} problems")


if __name__ == "__main__":
    sys.exit(main())
