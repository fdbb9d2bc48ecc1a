"""What Python does at its start: under `whodid run` the `sitecustomize` behind ours, and then `init()`."""

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
DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
"""OpenTelemetry's list of entry points that `opentelemetry-instrument` leaves out."""


def environment(environ: dict[str, str]) -> dict[str, str]:
    """The environment in which a Python program, and every Python that it starts, is instrumented."""
    others = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != FOLDER]
    return {**environ, "PYTHONPATH": os.pathsep.join([FOLDER, *others])}


def start() -> None:
    """Run the `sitecustomize` that ours stands in front of, then switch whodid on. Never raises."""
    _run_next()
    _switch_on()


def after_instrument() -> None:
    """What `opentelemetry-instrument` calls when the adapters are installed, for all that is no adapter.

    It calls them by their entry points, but for those that OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names: this
    leaves those out too, and does nothing where none is left. Never raises.
    """
    disabled = {name.strip() for name in os.environ.get(DISABLED, "").split(",")}
    try:
        from whodid.instrumentation.frameworks import ADAPTERS
        from whodid.instrumentation.settings import current

        chosen = current().frameworks or ADAPTERS
        left = tuple(name for name in chosen if f"whodid_{name}" not in disabled)
    except Exception:  # noqa: BLE001 as below
        sys.stderr.write("whodid: not instrumented:\n" + traceback.format_exc())
        return
    if left and "*" not in disabled:
        _switch_on(left if len(left) < len(chosen) else None)


def _switch_on(frameworks: tuple[str, ...] | None = None) -> None:
    try:
        from whodid.instrumentation.requirements import NotInstrumentedError
        from whodid.instrumentation.startup import init

        try:
            init(frameworks_used=frameworks)
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
