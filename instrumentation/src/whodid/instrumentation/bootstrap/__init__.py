"""What `whodid run` makes Python do at its start: the `sitecustomize` behind ours first, then `init()`."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Final

FOLDER: Final = str(Path(__file__).parent)
"""Holds `sitecustomize.py`; `whodid run` puts it in front of PYTHONPATH, which child processes inherit."""
MODULE: Final = "sitecustomize"


def environment(environ: dict[str, str]) -> dict[str, str]:
    """The environment in which a Python program, and every Python that it starts, is instrumented."""
    others = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != FOLDER]
    return {**environ, "PYTHONPATH": os.pathsep.join([FOLDER, *others])}


def start() -> None:
    """Run the `sitecustomize` that ours stands in front of, then switch whodid on. Never raises."""
    _run_next()
    try:
        from whodid.instrumentation.requirements import NotInstrumentedError
        from whodid.instrumentation.startup import init

        try:
            init()
        except NotInstrumentedError as error:
            # Python goes on after an exception here, and says "fatal" after a SystemExit: neither is meant.
            sys.stderr.write(f"error: {error}\n\nhint: {error.hint}\n")
            sys.stderr.flush()
            os._exit(1)
        # The report is for whoever started the program; its children would repeat it.
        os.environ["WHODID_REPORT"] = "0"
    except Exception:  # noqa: BLE001 the program runs, unobserved, and stderr says why
        sys.stderr.write("whodid: not instrumented:\n" + traceback.format_exc())


def _run_next() -> None:
    """Import the next `sitecustomize` on the path, which Python would have imported without us."""
    ours = sys.modules.pop(MODULE, None)
    path = list(sys.path)
    sys.path[:] = [entry for entry in path if entry != FOLDER]
    try:
        importlib.import_module(MODULE)
    except ModuleNotFoundError as error:
        if error.name != MODULE:
            sys.stderr.write(traceback.format_exc())
    except Exception:  # noqa: BLE001 as Python's own site module does
        sys.stderr.write(traceback.format_exc())
    finally:
        # Others may have added to the path meanwhile; only our own folder goes back to where it was.
        if FOLDER in path and FOLDER not in sys.path:
            sys.path.insert(path.index(FOLDER), FOLDER)
        if MODULE not in sys.modules and ours is not None:
            sys.modules[MODULE] = ours
