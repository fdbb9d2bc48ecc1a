"""The embedded store's engine, in a process of its own that listens.

`python -m whodid.processor.engine FOLDER`. `listener` starts it, with HOME at the configuration that it
wrote. It ends when its stdin does, whatever becomes of the service. `_chdb.query` is private to chDB, which
has no other way to listen: the engine within a process that connects to it cannot.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import Any

# Keeps the engine alive, and with it the one session that its own user may have, who can have no password.
_FOREVER = (
    "SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size = 1, "
    "function_sleep_max_microseconds_per_block = 0 FORMAT Null"
)


def _end_with_stdin() -> None:
    while os.read(0, 65_536):
        pass
    os._exit(0)


def main() -> None:
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    chdb: Any = importlib.import_module("chdb._chdb")
    # The outer query has to have this format, or the listener does not start.
    chdb.query(f"SYSTEM START LISTEN HTTP; {_FOREVER}", "TabSeparated", path=sys.argv[1])


if __name__ == "__main__":
    main()
