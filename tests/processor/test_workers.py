"""`whodid up --workers N`: real processes, a real ClickHouse, a worker that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.clickhouse import ClickHouse
from tests.otlp_receiver import Receiver, receiver
from tests.running import Running, environment, service, stored_span_ids
from tests.spans import Sent, request

PROTOBUF = {"content-type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def send(running: Running, count: int) -> list[str]:
    """Each on a connection of its own, so that the kernel spreads them; the ids of what was acknowledged."""
    ids: list[str] = []
    for _ in range(count):
        span = Sent()
        try:
            answer = httpx.post(running.http, content=request(span), headers=PROTOBUF, timeout=30)
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            ids.append(span.span_id.hex())
    return ids


def worker_pids(running: Running) -> list[int]:
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text()
    return [int(each) for each in children.split()]


def test_every_worker_takes_its_part_and_all_is_stored_once(data_dir: Path, server: ClickHouse) -> None:
    with service(data_dir, "--workers", "2", WHODID_STORE__URL=server.url) as running:
        ids = send(running, 60)
        running.wait_until_stored()
        assert httpx.get(f"{running.api}/readyz").json() == {"ready": True, "reasons": []}
        assert running.stop() == 0
        assert "everything that was acknowledged is stored" in running.said
        assert "Traceback" not in running.said
        for number in range(2):
            assert f"worker {number}: 0 requests" not in running.said
            assert f"worker {number}: " in running.said
    assert len(ids) == 60
    assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)


def test_a_worker_that_is_killed_is_started_again_and_loses_nothing(
    data_dir: Path, server: ClickHouse
) -> None:
    flags = {"WHODID_STORE__URL": server.url, "WHODID_SPOOL__FLUSH_AFTER_S": "2"}
    with service(data_dir, "--workers", "2", **flags) as running:
        ids = send(running, 40)
        os.kill(worker_pids(running)[0], signal.SIGKILL)
        deadline_s = time.monotonic() + 30
        while len(worker_pids(running)) < 2 or httpx.get(f"{running.api}/readyz").status_code != 200:
            assert time.monotonic() < deadline_s, running.said
            time.sleep(0.1)
        ids += send(running, 40)
        running.wait_until_stored()
        assert running.stop(signal.SIGINT) == 0
        assert "restarted 1 times" in running.said
    assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)


def test_what_more_workers_left_is_delivered_by_fewer(data_dir: Path, server: ClickHouse) -> None:
    flags = {"WHODID_STORE__URL": server.url, "WHODID_SPOOL__FLUSH_AFTER_S": "3600"}
    with service(data_dir, "--workers", "2", **flags) as running:
        ids = send(running, 40)
        pids = worker_pids(running)
        for pid in [running.process.pid, *pids]:
            os.kill(pid, signal.SIGKILL)
        running.process.wait()
    assert len(list(data_dir.glob("worker-*/spool/*.segment"))) == 2
    with service(data_dir, WHODID_STORE__URL=server.url) as running:
        running.wait_until_stored()
        assert running.stop() == 0
    assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)


def forwarded_ids(other: Receiver) -> list[str]:
    return sorted(
        span.span_id.hex()
        for each in other.requests
        for resource_spans in each.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )


def test_every_worker_forwards_what_it_took(data_dir: Path, server: ClickHouse) -> None:
    """Also what one that is killed had not sent; the endpoint may get a segment again, the store may not."""
    with receiver() as other:
        flags = {"WHODID_STORE__URL": server.url, "WHODID_FORWARD__URL": other.endpoint}
        flags["WHODID_SPOOL__FLUSH_AFTER_S"] = "1"
        with service(data_dir, "--workers", "2", **flags) as running:
            ids = send(running, 40)
            os.kill(worker_pids(running)[0], signal.SIGKILL)
            deadline_s = time.monotonic() + 30
            while len(worker_pids(running)) < 2 or httpx.get(f"{running.api}/readyz").status_code != 200:
                assert time.monotonic() < deadline_s, running.said
                time.sleep(0.1)
            ids += send(running, 20)
            running.wait_until_stored()
            assert httpx.get(f"{running.api}/healthz").json()["forward"] == "ok"
            assert running.stop() == 0
        assert "Traceback" not in running.said
        assert sorted(set(forwarded_ids(other))) == sorted(ids)
    assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)


def test_workers_keep_what_an_endpoint_that_is_away_has_not(data_dir: Path, server: ClickHouse) -> None:
    away = {"WHODID_STORE__URL": server.url, "WHODID_FORWARD__URL": "http://127.0.0.1:9"}
    away |= {"WHODID_SPOOL__FLUSH_AFTER_S": "0.1", "WHODID_SPOOL__DRAIN_TIMEOUT_S": "1"}
    with service(data_dir, "--workers", "2", **away) as running:
        ids = send(running, 40)
        deadline_s = time.monotonic() + 30
        while httpx.get(f"{running.api}/healthz").json()["forward"] != "away":
            assert time.monotonic() < deadline_s, running.said
            time.sleep(0.1)
        running.stop()
    assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)
    with receiver() as other:
        with service(data_dir, "--workers", "2", **away | {"WHODID_FORWARD__URL": other.endpoint}) as running:
            running.wait_until_stored()
            assert running.stop() == 0
        assert forwarded_ids(other) == sorted(ids)
    assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)


def connections_to(port: int) -> set[str]:
    """The ports from which there are connections to a port of the loopback (see proc_pid_net(5))."""
    files = (Path(f"/proc/net/{name}") for name in ("tcp", "tcp6"))  # gRPC's sockets are for both
    lines = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[2].endswith(f"0100007F:{port:04X}") and line[3] == "01"}


@pytest.mark.parametrize("age_s", [0, 1])
def test_a_grpc_connection_reaches_its_age(data_dir: Path, age_s: int) -> None:
    """One channel, in use all the time: every call is answered, on one connection or on several."""
    spans = [Sent() for _ in range(60)]
    seen: Counter[str] = Counter()
    with service(data_dir, WHODID_RECEIVER__MAX_CONNECTION_AGE_S=str(age_s)) as running:
        with grpc.insecure_channel(running.grpc) as channel:
            opened: Any = channel
            call = opened.unary_unary(EXPORT)
            for span in spans:
                call(request(span), timeout=30)
                seen.update(connections_to(int(running.grpc.rpartition(":")[2])))
                time.sleep(0.1)
        running.wait_until_stored()
        assert running.stop() == 0
    # The service looks at its own port now and then, for a moment.
    used = [each for each, looks in seen.items() if looks >= 3]
    assert (len(used) >= 4) if age_s else (len(used) == 1)
    ids = [span.span_id.hex() for span in spans]
    assert stored_span_ids(f"chdb://{data_dir / 'store'}") == dict.fromkeys(ids, 1)


def test_the_embedded_store_has_one_process(data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "whodid.cli.main", "up", "--data-dir", str(data_dir), "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 1
    assert "the embedded store belongs to one process" in done.stderr
    assert "hint: set WHODID_STORE__URL" in done.stderr
