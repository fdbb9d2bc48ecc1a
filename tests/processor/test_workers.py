"""`whodid up --workers N`: real processes, a real ClickHouse, a worker that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.clickhouse import ClickHouse
from tests.running import Running, environment, service, stored_span_ids
from tests.spans import Sent, request

PROTOBUF = {"content-type": "application/x-protobuf"}


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
