"""What is measured: rotel and whodid, each with a ClickHouse of its own, and how to count in it."""

from __future__ import annotations

import contextlib
import random
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
import rotel

from tests.benchmarks.processes import started
from tests.clickhouse import ClickHouse, clickhouse
from tests.running import environment

START_TIMEOUT_S = 60
PORTS = (20_000, 32_000)
PEER = "rotel"
OURS = "whodid"
OTEL_TRACES = Path(__file__).with_name("otel_traces.sql")


@dataclass(frozen=True, slots=True)
class Ports:
    """Free ports, for whoever takes them."""

    grpc: int
    http: int
    api: int


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that takes OTLP and writes to ClickHouse."""

    name: str
    table: str
    span_id: str
    """An expression for the span's id as lower-case hex."""
    command: Callable[[Ports, ClickHouse], Sequence[str]]
    variables: Callable[[Ports, ClickHouse], dict[str, str]] = field(default=lambda _ports, _store: {})
    prepare: Path | None = None
    """Statements for the store, before it starts."""


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that takes requests."""

    subject: Subject
    process: subprocess.Popen[bytes]
    store: ClickHouse
    port: int
    log: Path

    def client(self) -> Any:
        """A connection to the store, for one thread."""
        library: Any = clickhouse_connect
        return library.get_client(host="127.0.0.1", port=self.store.port, autogenerate_session_id=False)

    @property
    def store_pid(self) -> int:
        assert self.store.process is not None
        return self.store.process.pid


def peer() -> Subject:
    """rotel with its ClickHouse exporter; its endpoint's table is the OpenTelemetry Collector's."""

    def command(ports: Ports, store: ClickHouse) -> Sequence[str]:
        return (
            *(str(Path(rotel.__file__).parent / "rotel-agent"), "start", "--exporter", "clickhouse"),
            *("--clickhouse-exporter-endpoint", f"http://127.0.0.1:{store.port}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{ports.grpc}"),
            *("--otlp-http-endpoint", f"127.0.0.1:{ports.http}", "--pid-file", "rotel.pid"),
        )

    return Subject(PEER, "otel.otel_traces", "SpanId", command, prepare=OTEL_TRACES)


def ours(command: str | None) -> Subject:
    """`whodid up`, or another command that takes the same variables."""
    words = shlex.split(command) if command else [sys.executable, "-m", "whodid.cli.main", "up"]

    def variables(ports: Ports, store: ClickHouse) -> dict[str, str]:
        return {
            "WHODID_DATA_DIR": "data",
            "WHODID_STORE__URL": store.url,
            "WHODID_RECEIVER__GRPC_PORT": str(ports.grpc),
            "WHODID_RECEIVER__HTTP_PORT": str(ports.http),
            "WHODID_API__PORT": str(ports.api),
        }

    return Subject(OURS, "whodid.spans", "lower(hex(span_id))", lambda _ports, _store: words, variables)


@contextlib.contextmanager
def running(subject: Subject, folder: Path) -> Generator[Running]:
    """The subject and a fresh store, both gone at the end of the block."""
    with clickhouse(folder / "clickhouse") as store:
        if subject.prepare is not None:
            _execute(store, subject.prepare.read_text())
        ports, log = _free_ports(), folder / "subject.log"
        command, variables = subject.command(ports, store), subject.variables(ports, store)
        with started(command, folder, log, environment(**variables)) as process:
            _wait(ports.grpc, process, log)
            yield Running(subject, process, store, ports.grpc, log)


def _execute(store: ClickHouse, text: str) -> None:
    library: Any = clickhouse_connect
    client = library.get_client(host="127.0.0.1", port=store.port)
    for statement in text.split(";"):
        if statement.strip():
            client.command(statement)
    client.close()


def _free_ports() -> Ports:
    # Below those that the kernel gives to outgoing connections: who knocks at such a port before anyone
    # listens there may be given that very port, and has then connected to himself.
    found: list[int] = []
    while len(found) < 3:
        port = random.randrange(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return Ports(*found)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        if process.poll() is not None or time.monotonic() > deadline_s:
            said = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the process did not start:\n{said}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
