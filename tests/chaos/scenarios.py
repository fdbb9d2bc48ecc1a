"""What is done to the service and its store while the load goes on; each ends with a count."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.load import Ledger, Load
from tests.clickhouse import clickhouse
from tests.running import Running, service, stored_span_ids

DRAIN_TIMEOUT_S = 180
_OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
# Rather few small segments than one: there is more that can be caught half done.
SETTINGS = {"WHODID_SPOOL__FLUSH_AFTER_S": "0.2", "WHODID_SPOOL__DRAIN_TIMEOUT_S": "120"}


@dataclass(frozen=True)
class Count:
    """What became of the spans."""

    scenario: str
    sent: int
    acknowledged: int
    stored: int
    doubled: int
    lost: int
    refused_requests: int
    detail: str = ""

    def __str__(self) -> str:
        return (
            f"{self.scenario}: sent {self.sent}, acknowledged {self.acknowledged}, stored {self.stored}, "
            f"doubled {self.doubled}, lost {self.lost}; told to retry {self.refused_requests} times"
            f"{'; ' if self.detail else ''}{self.detail}"
        )


def _count(scenario: str, ledger: Ledger, url: str, detail: str = "") -> Count:
    stored = stored_span_ids(url)
    return Count(
        scenario,
        sent=len(ledger.sent),
        acknowledged=len(ledger.acknowledged),
        stored=len(stored),
        doubled=sum(count > 1 for count in stored.values()),
        lost=len(ledger.acknowledged - stored.keys()),
        refused_requests=ledger.refused_requests,
        detail=detail,
    )


class _Where:
    """The address of whichever service runs now."""

    def __init__(self) -> None:
        self.url = "http://127.0.0.1:9/"

    def __call__(self) -> str:
        return self.url


def kill_the_processor(folder: Path, times: int, seed: int = 0) -> Count:
    """kill -9 at random moments; the senders send again what was not acknowledged."""
    chance = random.Random(seed)
    ledger, where = Ledger(), _Where()
    data = folder / "data"
    with Load(ledger, where):
        for _ in range(times):
            with service(data, **SETTINGS) as running:
                where.url = running.http
                time.sleep(chance.uniform(0.05, 2.5))
                running.process.kill()
                running.process.wait()
        with service(data, **SETTINGS) as running:
            where.url = running.http
            time.sleep(1)
    _drain(data, {})
    return _count(f"processor killed {times} times", ledger, f"chdb://{data / 'store'}", f"seed {seed}")


def _drain(data: Path, variables: dict[str, str]) -> None:
    with service(data, **SETTINGS, **variables) as running:
        running.wait_until_stored(DRAIN_TIMEOUT_S)
        assert running.stop() == 0, running.said


def kill_the_store(folder: Path, times: int, seed: int = 0) -> Count:
    """The ClickHouse server is killed at random moments and started again."""
    chance = random.Random(seed)
    ledger, where = Ledger(), _Where()
    with clickhouse(folder / "clickhouse") as server:
        variables = {"WHODID_STORE__URL": server.url}
        with service(folder / "data", **SETTINGS, **variables) as running:
            where.url = running.http
            with Load(ledger, where):
                for _ in range(times):
                    time.sleep(chance.uniform(0.5, 2.5))
                    server.stop()
                    time.sleep(chance.uniform(0.1, 1.5))
                    server.start()
            _finish(running)
        return _count(f"store killed {times} times", ledger, server.url, f"seed {seed}")


def store_away(folder: Path, away_s: float, spool_bytes: int = 32 * 1024 * 1024) -> Count:
    """The store is away at full load; the spool fills, and senders are told to retry."""
    ledger, where = Ledger(), _Where()
    limits = {"WHODID_SPOOL__MAX_BYTES": str(spool_bytes), "WHODID_RECEIVER__MAX_REQUEST_BYTES": "1048576"}
    with clickhouse(folder / "clickhouse") as server:
        with service(folder / "data", **SETTINGS, **limits, WHODID_STORE__URL=server.url) as running:
            where.url = running.http
            with Load(ledger, where):
                time.sleep(1)
                server.stop()
                before = _memory_bytes(running)
                time.sleep(away_s)
                after = _memory_bytes(running)
                server.start()
                time.sleep(1)
            _finish(running)
        grown = f"memory {before >> 20} MiB when it went, {after >> 20} MiB when it came back"
        return _count(f"store away for {away_s:g} s", ledger, server.url, grown)


def may_mount() -> bool:
    """Whether this user may have a file system of its own, seen by nobody else."""
    try:
        return subprocess.run([*_OWN_MOUNTS, "true"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def full_disk(folder: Path, size_mib: int = 8) -> Count:
    """The data folder is a tmpfs smaller than the spool may become; the store is away until it is full."""
    ledger, where = Ledger(), _Where()
    data = folder / "data"
    mount = f'mount -t tmpfs -o size={size_mib}m tmpfs "$0" && exec "$@"'
    wrapper = [*_OWN_MOUNTS, "sh", "-c", mount, str(data)]
    with clickhouse(folder / "clickhouse") as server:
        with service(data, wrapper=wrapper, **SETTINGS, WHODID_STORE__URL=server.url) as running:
            where.url = running.http
            with Load(ledger, where):
                server.stop()
                _wait(lambda: ledger.refused_requests > 20, running)
                server.start()
                acknowledged = len(ledger.acknowledged)
                _wait(lambda: len(ledger.acknowledged) > acknowledged + 1000, running)
            _finish(running)
            assert "No space left on device" in running.said
        return _count(f"disk of {size_mib} MiB full", ledger, server.url)


def failing_writes(folder: Path, for_s: float) -> Count:
    """No file of the service may grow (RLIMIT_FSIZE), so that every write fails, also that of what it says.

    The store is a server, in a process of its own, and goes on.
    """
    ledger, where = Ledger(), _Where()
    unlimited = resource.RLIM_INFINITY
    with clickhouse(folder / "clickhouse") as server:
        with service(folder / "data", **SETTINGS, WHODID_STORE__URL=server.url) as running:
            where.url = running.http
            with Load(ledger, where):
                time.sleep(0.5)
                resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (1, unlimited))
                time.sleep(for_s)
                resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
                time.sleep(1)
            _finish(running)
        return _count(f"every write fails for {for_s:g} s", ledger, server.url)


def _wait(until: Callable[[], bool], running: Running, timeout_s: float = 120) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not until():
        assert time.monotonic() < deadline_s, running.said
        time.sleep(0.05)


def _finish(running: Running) -> None:
    running.wait_until_stored(DRAIN_TIMEOUT_S)
    assert running.stop(signal.SIGTERM) == 0, running.said


def _memory_bytes(running: Running) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
