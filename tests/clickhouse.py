"""A real ClickHouse server for tests: the engine in the chDB wheel, listening on HTTP, in its own process.

Run as a program it is that server: `python clickhouse.py FOLDER PORT`. Loopback only, one user `default`
without a password. `_chdb.query` is private to chDB: for tests only.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60

_USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
</default></users></clickhouse>"""

_FOREVER = (
    "SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size = 1, "
    "function_sleep_max_microseconds_per_block = 0 FORMAT Null"
)


@dataclass
class ClickHouse:
    """A server that can be stopped and started again on the same port and data."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"clickhouse://127.0.0.1:{self.port}/whodid"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.folder), str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("the ClickHouse server did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=1) as answer:
                return answer.read() == b"Ok.\n"
        except OSError:
            return False


@contextlib.contextmanager
def clickhouse(folder: Path) -> Generator[ClickHouse]:
    """A running server on a free port, with its data in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    server = ClickHouse(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _serve(folder: Path, port: int) -> None:
    configuration = folder / ".clickhouse-local"
    configuration.mkdir(parents=True, exist_ok=True)
    users = folder / "users.xml"
    users.write_text(_USERS)
    (configuration / "config.xml").write_text(
        f"<clickhouse><http_port>{port}</http_port><listen_host>127.0.0.1</listen_host>"
        f"<users_config>{users}</users_config></clickhouse>"
    )
    os.environ["HOME"] = str(folder)
    # After HOME: the engine reads its configuration from there.
    engine: Any = importlib.import_module("chdb._chdb")
    # The outer query has to have the format TabSeparated, or the listener does not start.
    engine.query(f"SYSTEM START LISTEN HTTP; {_FOREVER}", "TabSeparated", path=str(folder / "data"))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
