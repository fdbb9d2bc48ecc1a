"""A real ClickHouse server for tests: the engine in the chDB wheel, listening on HTTP, in its own process.

Run as a program it is that server, as `ClickHouse` configures it in its folder. Loopback only, one user
`default` without a password, unless a test has others. `_chdb.query` is private to chDB: for tests only.
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

USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
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
    tcp_port: int = 0
    """Where other servers of a cluster reach it; 0: nowhere."""
    users: str = USERS
    configuration: str = ""
    """More elements of config.xml."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"clickhouse://127.0.0.1:{self.port}/whodid"

    def start(self) -> None:
        self._configure()
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.folder), str(self.tcp_port)],
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

    def _configure(self) -> None:
        configuration = self.folder / ".clickhouse-local"
        configuration.mkdir(parents=True, exist_ok=True)
        users = self.folder / "users.xml"
        users.write_text(self.users)
        tcp = f"<tcp_port>{self.tcp_port}</tcp_port>" if self.tcp_port else ""
        (configuration / "config.xml").write_text(
            f"<clickhouse><http_port>{self.port}</http_port>{tcp}<listen_host>127.0.0.1</listen_host>"
            f"<users_config>{users}</users_config>{self.configuration}</clickhouse>"
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=1) as answer:
                return answer.read() == b"Ok.\n"
        except OSError:
            return False


@contextlib.contextmanager
def clickhouse(folder: Path, *, users: str = USERS) -> Generator[ClickHouse]:
    """A running server on a free port, with its data in `folder`."""
    with running(ClickHouse(folder, free_port(), users=users)) as server:
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(server: ClickHouse) -> Generator[ClickHouse]:
    """The server, until the block ends."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _serve(folder: Path, *, tcp: bool) -> None:
    os.environ["HOME"] = str(folder)
    # After HOME: the engine reads its configuration from there.
    engine: Any = importlib.import_module("chdb._chdb")
    # The outer query has to have the format TabSeparated, or the listener does not start.
    start = "SYSTEM START LISTEN HTTP;" + (" SYSTEM START LISTEN TCP;" if tcp else "")
    engine.query(f"{start} {_FOREVER}", "TabSeparated", path=str(folder / "data"))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]).resolve(), tcp=sys.argv[2] != "0")
