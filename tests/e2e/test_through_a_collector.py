"""The same spans through a real OTLP collector (rotel) and directly: equal in every column, byte for byte."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import rotel

from tests import stored
from tests.running import environment, service

AGENT = Path(__file__).parents[1] / "programs" / "order_agent.py"
ROTEL = Path(rotel.__file__).parent / "rotel-agent"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@contextmanager
def collector(folder: Path, target: str) -> Generator[str]:
    """rotel, from OTLP to OTLP; yields its gRPC address."""
    address = f"127.0.0.1:{free_port()}"
    command = (
        *(str(ROTEL), "start", "--exporter", "otlp", "--otlp-exporter-endpoint", f"http://{target}"),
        *("--otlp-exporter-protocol", "grpc", "--otlp-grpc-endpoint", address),
        *("--otlp-http-endpoint", f"127.0.0.1:{free_port()}", "--pid-file", str(folder / "rotel.pid")),
    )
    with (folder / "rotel.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + 30
        while not listens(address):
            assert time.monotonic() < deadline_s, (folder / "rotel.log").read_text()
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def test_a_collector_in_between_changes_nothing(tmp_path: Path) -> None:
    direct, routed = tmp_path / "direct", tmp_path / "routed"
    with service(direct) as first, service(routed) as second:
        with collector(tmp_path, second.grpc) as address:
            subprocess.run(
                (sys.executable, "-m", "whodid.cli.main", "run", sys.executable, str(AGENT)),
                env=environment(**first.exporter_variables, SECOND_OTLP_ENDPOINT=address),
                check=True,
                timeout=120,
            )
        assert (first.stop(), second.stop()) == (0, 0)
    expected, found = stored.spans(direct), stored.spans(routed)
    assert {row["gen_ai_operation_name"] for row in expected} == {"invoke_agent", "execute_tool"}
    assert {row["attribution_principal_id"] for row in expected} == {"alice@acme.example"}
    for one, other in zip(expected, found, strict=True):
        for column in one:
            assert one[column] == other[column], column
