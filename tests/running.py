"""Runs the real `whodid up` for a test, in a process of its own, on free ports."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
WHODID = (sys.executable, "-m", "whodid.cli.main")


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    log: Path
    """What it printed."""

    def _address(self, what: str) -> str:
        found = re.search(rf"^ +{what} +(?:http://)?([^ /\n]+)", self.log.read_text(), re.MULTILINE)
        assert found, self.log.read_text()
        return found[1]

    @property
    def grpc(self) -> str:
        return self._address("OTLP/gRPC")

    @property
    def http(self) -> str:
        return self._address("OTLP/HTTP")

    @property
    def api(self) -> str:
        return f"http://{self._address('API')}"

    @property
    def exporter_environment(self) -> dict[str, str]:
        """What an OTel SDK needs to send here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.grpc}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.api}/api/v1/{path}") as response:
            return json.load(response)

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def service(data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> Generator[Service]:
    """`whodid up` on free ports until the block ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "up.log"
    ports = ("--grpc-port", "0", "--http-port", "0", "--api-port", "0")
    with log.open("wb") as output:
        process = subprocess.Popen(
            (*WHODID, "up", "--data-dir", str(data_dir), *ports, *arguments),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    running = Service(process, data_dir, log)
    try:
        eventually(lambda: "whodid is up" in log.read_text() or process.poll() is not None, START_TIMEOUT_S)
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def eventually(is_so: Callable[[], object], timeout_s: float = 30) -> None:
    """Waits until something is so; fails the test when it does not come to be."""
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, f"not so after {timeout_s} s"
        time.sleep(0.05)
