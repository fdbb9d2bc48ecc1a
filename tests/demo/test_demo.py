"""`whodid demo`, as people run it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.running import environment, service

DEMO = (sys.executable, "-m", "whodid.cli.main", "demo")
TIMEOUT_S = 120


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*DEMO, *arguments),
        env=environment(**variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def assert_tells_all(out: str) -> None:
    """The three answers, each with its tool's fate, and the tree through all processes."""
    parts = re.split(r"^(?:An action|All that happened)", out, flags=re.MULTILINE)
    assert len(parts) == 5
    for part, facts in zip(
        parts[1:],
        (
            ("delete_customer  DENIED", "no-agent-deletes-a-customer", "autonomous_after_approval"),
            ("refund_invoice  SUCCEEDED", "granted  (bob@acme.example)", "human_approved"),
            ("lookup_order  SUCCEEDED", "research-agent", "bearer, orders:read", "autonomous"),
            ("settle complaint", "invoke_agent research-agent", "tools/call lookup_order"),
        ),
        strict=True,
    ):
        assert "alice@acme.example" in part
        assert [fact for fact in facts if fact not in part] == []
    assert "parent missing" not in out


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_once_needs_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    done = run("--once", cwd=tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert_tells_all(done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_it_uses_a_service_that_runs_already_and_leaves_it_running(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with service(folder) as running:
        done = run("--data-dir", str(folder), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "using the service that runs on" in done.stderr
        assert_tells_all(done.stdout)
        assert running.process.poll() is None


def test_on_a_terminal_the_service_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        DEMO,
        env=environment(
            WHODID_RECEIVER__GRPC_PORT="0",
            WHODID_RECEIVER__HTTP_PORT="0",
            WHODID_API__PORT="0",
            COLUMNS="200",
        ),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    reader = threading.Thread(target=_drain, args=(ours,))
    assert process.stderr is not None
    try:
        reader.start()
        for line in process.stderr:
            if "goes on until Ctrl-C" in line:
                break
        announced = json.loads((tmp_path / ".whodid" / "service.json").read_text())
        assert alive(announced["pid"])
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
        assert not alive(announced["pid"])
        assert not (tmp_path / ".whodid" / "service.json").exists()
        reader.join(10)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(ours)


def _drain(terminal: int) -> None:
    """A terminal holds little: who writes to it waits until somebody reads."""
    with contextlib.suppress(OSError):  # its other end was closed
        while os.read(terminal, 65536):
            pass


def test_sigterm_stops_the_service_that_it_started(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = subprocess.Popen(
        (*DEMO, "--once", "--data-dir", str(folder)),
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline_s = time.monotonic() + 60
        while not (folder / "service.json").exists():
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.05)
        pid = json.loads((folder / "service.json").read_text())["pid"]
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert not alive(pid)
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_said_with_a_hint(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(cwd=tmp_path, WHODID_RECEIVER__GRPC_PORT=port)
    assert done.returncode == 1
    assert f"error: `whodid up` did not start: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "\nhint: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["agents", "langgraph"])
def test_a_missing_package_is_said_with_the_install(tmp_path: Path, module: str) -> None:
    """What a plain install has: the module cannot be found, which a finder at the front plays."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name, *more: None if name == {module!r} else find(name, *more)\n"
    )
    done = run("--once", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert f"error: `whodid demo` needs {module}, which is not installed" in done.stderr
    assert "hint: pip install 'whodid[demo]'" in done.stderr
