"""A real `whodid up` in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would change how whodid or OpenTelemetry behave."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WHODID_", "OTEL_"))}
    return kept | more


@dataclass
class Running:
    """A service that printed its endpoints."""

    process: subprocess.Popen[bytes]
    log: Path
    grpc: str
    http: str
    api: str

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def http_port(self) -> int:
        return int(self.http.rpartition(":")[2].partition("/")[0])

    @property
    def grpc_port(self) -> int:
        return int(self.grpc.rpartition(":")[2])

    @property
    def exporter_variables(self) -> dict[str, str]:
        """What an OpenTelemetry SDK needs to send here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.grpc}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    def ask(self, path: str) -> Any:
        """What the API answers below /api/v1."""
        with urllib.request.urlopen(f"{self.api}/api/v1/{path}", timeout=60) as answer:
            return json.load(answer)

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.api}/healthz", timeout=10) as answer:
            return json.load(answer)

    def wait_until_stored(self, timeout_s: float = 30) -> None:
        """Waits until the spool is empty."""
        deadline_s = time.monotonic() + timeout_s
        while self.health()["spool_bytes"]:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the spool was not emptied; the service said:\n{self.said}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_S)


@contextlib.contextmanager
def service(data_dir: Path, *flags: str, wrapper: Sequence[str] = (), **variables: str) -> Generator[Running]:
    """`whodid up` on free ports; killed at the end of the block if it still runs.

    `wrapper`: a command that becomes the one that follows it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir.parent / f"{data_dir.name}-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "whodid.cli.main", "up", "--data-dir", str(data_dir)]
    ports = ["--grpc-port", "0", "--http-port", "0", "--api-port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*wrapper, *command, *ports, *flags],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=environment(**variables),
            cwd=data_dir.parent,
        )
    try:
        yield _wait_for_start(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _wait_for_start(process: subprocess.Popen[bytes], log: Path) -> Running:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while "  spool " not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"whodid up did not start ({process.poll()}):\n{log.read_text()}")
        time.sleep(0.02)
    found = dict(re.findall(r"^  (OTLP/gRPC|OTLP/HTTP|API) +(\S+)$", log.read_text(), re.MULTILINE))
    return Running(process, log, found["OTLP/gRPC"], found["OTLP/HTTP"], found["API"])


_COUNT = """
import sys
from whodid.store.connection import Location, connect
client = connect(Location.parse(sys.argv[1]))
for row in client.query("SELECT lower(hex(span_id)) FROM whodid.spans").result_rows:
    print(row[0])
"""


def stored_span_ids(url: str) -> Counter[str]:
    """How often each span is in the store. In a process of its own, for an engine has one path a process."""
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, url], capture_output=True, text=True, timeout=60, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return Counter(done.stdout.split())
