"""Who may look, in a real `whodid up`: at its start, while it runs, after it was killed, with workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access import bearer, id_of, revoke, token
from tests.clickhouse import ClickHouse
from tests.running import Running, environment, service
from tests.spans import Sent, attribution, request
from whodid.processor.access.viewer import Role

PROTOBUF = {"content-type": "application/x-protobuf"}
VIEWS = (
    "SELECT lower(hex(span_id)) FROM spans WHERE gen_ai_operation_name = 'view_content' ORDER BY start_time"
)


def whodid(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whodid.cli.main", *arguments, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**variables),
        cwd=data_dir.parent,
    )


def investigator(data_dir: Path) -> str:
    """The text of a token of the service's own tenant."""
    return token(data_dir, role=Role.INVESTIGATOR, tenant="")


def send(running: Running, span: Sent) -> None:
    answer = httpx.post(running.http, content=request(span), headers=PROTOBUF, timeout=30)
    assert answer.status_code == 200, answer.text + running.said


def sql(running: Running, text: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(f"{running.api}/api/v1/sql", params={"query": text}, headers=headers, timeout=60)


def views(running: Running, headers: dict[str, str], count: int) -> list[str]:
    """The ids of the records of views that are in the store, once there are so many; this is one more."""
    deadline_s = time.monotonic() + 30
    while True:
        answer = sql(running, VIEWS, headers)
        assert answer.status_code == 200, answer.text + running.said
        found = [row[0] for row in answer.json()["rows"]]
        if len(found) >= count or time.monotonic() > deadline_s:
            return found
        time.sleep(0.3)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_off_loopback_it_does_not_start_before_somebody_may_look(data_dir: Path, workers: str) -> None:
    data_dir.mkdir()
    started = whodid(data_dir, "up", "--api-host", "0.0.0.0", "--workers", workers)
    assert started.returncode == 1
    assert "api.host is 0.0.0.0, and nothing says who may look" in started.stderr
    assert "hint: whodid tokens create" in started.stderr
    # Neither does a token that is over open it.
    revoke(data_dir, token(data_dir))
    assert whodid(data_dir, "up", "--api-host", "0.0.0.0", "--workers", workers).returncode == 1
    assert not (data_dir / "service.json").exists()


def test_off_loopback_with_a_token(data_dir: Path) -> None:
    text = token(data_dir, role=Role.ADMIN, tenant="*")
    with service(data_dir, "--api-host", "0.0.0.0") as running:
        assert "who has one of 1 tokens" in running.said
        assert "warning: api.host" not in running.said
        api = running.api.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{api}/healthz").status_code == 200
        assert httpx.get(f"{api}/api/v1").status_code == 401
        assert httpx.get(f"{api}/", headers={"accept": "text/html"}).headers["location"] == "/sign-in"
        assert httpx.get(f"{api}/api/v1", headers=bearer(text)).status_code == 200
        # The sockets of senders are as they were.
        assert httpx.post(running.http, content=request(Sent()), headers=PROTOBUF).status_code == 200


def test_a_proxy_is_enough_and_is_believed_of_its_peers_alone(data_dir: Path) -> None:
    proxy = {"KIND": "header", "HEADER": "X-User", "PEERS": '["192.0.2.1"]', "DEFAULT_ROLE": "admin"}
    variables = {f"WHODID_ACCESS__PROXY__{name}": value for name, value in proxy.items()}
    with service(data_dir, "--api-host", "0.0.0.0", **variables) as running:
        api = running.api.replace("0.0.0.0", "127.0.0.1")
        forged = {"X-User": "mallory", "X-Forwarded-For": "192.0.2.1"}
        assert httpx.get(f"{api}/api/v1", headers=forged).status_code == 401
        assert (
            "did not believe who a viewer is said to be: a header X-User came from 127.0.0.1" in running.said
        )
        assert "mallory" not in running.said
        assert "no effect" not in running.said


def test_the_receivers_warn_as_before(data_dir: Path) -> None:
    with service(data_dir, "--host", "0.0.0.0") as running:
        assert "warning: receiver.host is 0.0.0.0" in running.said


def test_a_token_that_is_made_and_revoked_while_it_runs(data_dir: Path) -> None:
    with service(data_dir) as running:
        send(running, Sent(attributes=attribution("execute_tool")))
        running.wait_until_stored()
        assert whodid(data_dir, "who", "action-1").returncode == 0
        made = whodid(data_dir, "tokens", "create", "--name", "alice@acme.example", "--role", "investigator")
        text = made.stdout.strip()
        refused = whodid(data_dir, "who", "action-1")
        assert refused.returncode == 1
        assert "does not know who asks" in refused.stderr
        assert "WHODID_ACCESS__TOKEN" in refused.stderr
        asked = whodid(data_dir, "who", "action-1", "--json", WHODID_ACCESS__TOKEN=text)
        assert json.loads(asked.stdout)["principal"]["id"]["value"] == "alice@acme.example"
        assert "no effect" not in asked.stderr
        found = whodid(data_dir, "ask", "unattributed", "--json", WHODID_ACCESS__TOKEN=text)
        assert found.returncode == 0, found.stderr
        doctor = subprocess.run(
            [sys.executable, "-m", "whodid.cli.main", "doctor", "--api", running.api],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(WHODID_ACCESS__TOKEN=text, **running.exporter_variables),
        )
        assert "has the test span whole" in doctor.stdout, doctor.stdout + doctor.stderr
        form = {"token": text, "next": "/"}
        with httpx.Client(base_url=running.api) as browser:
            assert browser.post("/sign-in", data=form).status_code == 303
            assert browser.get("/api/v1").status_code == 200
            assert whodid(data_dir, "tokens", "revoke", id_of(text)).returncode == 0
            assert browser.get("/api/v1").status_code == 401
        assert whodid(data_dir, "who", "action-1", WHODID_ACCESS__TOKEN=text).returncode == 1
        assert text not in running.said
        assert running.stop() == 0


def test_a_viewer_asks_from_the_command_line_what_a_viewer_may(data_dir: Path) -> None:
    text = token(data_dir, tenant="")
    with service(data_dir):
        refused = whodid(data_dir, "sql", "SELECT 1", WHODID_ACCESS__TOKEN=text)
        assert refused.returncode == 1
        assert "investigator" in refused.stderr
        other = whodid(data_dir, "ask", "overview", "--tenant", "umbrella", WHODID_ACCESS__TOKEN=text)
        assert other.returncode == 1
        assert "another tenant" in other.stderr


def test_a_view_is_on_record_although_the_service_is_killed_at_once(data_dir: Path) -> None:
    text = investigator(data_dir)
    with service(data_dir, WHODID_SPOOL__FLUSH_AFTER_S="3600") as running:
        answer = sql(running, "SELECT 42", bearer(text))
        assert answer.json()["rows"] == [[42]]
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
    with service(data_dir) as running:
        running.wait_until_stored()
        (first, *_) = views(running, bearer(text), 1)
        record = json.loads(whodid(data_dir, "who", first, "--json", WHODID_ACCESS__TOKEN=text).stdout)
        assert record["principal"]["id"]["value"] == "alice@acme.example"
        assert record["initiator"]["type"]["value"] == "human"
        assert record["credential"]["id"]["value"] == f"token:{id_of(text)}"
        assert record["findings"] == []
        asked = {"id": f"token:{id_of(text)}"}
        uses = httpx.get(f"{running.api}/api/v1/credential", params=asked, headers=bearer(text), timeout=60)
        assert first in uses.text
        assert running.stop() == 0


def test_a_full_spool_shows_no_content(data_dir: Path) -> None:
    text = investigator(data_dir)
    limits = {
        "WHODID_SPOOL__MAX_BYTES": "65536",
        "WHODID_SPOOL__FLUSH_AFTER_S": "3600",
        "WHODID_RECEIVER__MAX_REQUEST_BYTES": "65536",
    }
    with service(data_dir, **limits) as running:
        assert sql(running, "SELECT 42", bearer(text)).status_code == 200
        room = 65_536 - running.health()["spool_bytes"] - 500
        body = request(Sent(attributes={"filler": "x" * (room - 200)}))
        assert httpx.post(running.http, content=body, headers=PROTOBUF, timeout=30).status_code == 200
        answer = sql(running, "SELECT 42", bearer(text))
        assert answer.status_code == 503, answer.text
        assert "the spool is full" in answer.json()["title"]
        who = httpx.get(f"{running.api}/api/v1/overview", headers=bearer(text), timeout=30)
        assert who.status_code == 200


def test_with_workers_a_view_is_recorded_or_refused(data_dir: Path, server: ClickHouse) -> None:
    text = investigator(data_dir)
    with service(data_dir, "--workers", "2", WHODID_STORE__URL=server.url) as running:
        assert sql(running, "SELECT 42", bearer(text)).json()["rows"] == [[42]]
        # One worker's end is another's work.
        pids = _workers(running)
        os.kill(pids[0], signal.SIGKILL)
        _within(20, lambda: sql(running, "SELECT 42", bearer(text)).status_code == 200)
        found = views(running, bearer(text), 2)
        assert len(found) >= 2
        record = httpx.get(f"{running.api}/api/v1/who?id={found[0]}", headers=bearer(text), timeout=60).json()
        assert record["principal"]["id"]["value"] == "alice@acme.example"
        _within(20, lambda: len(_workers(running)) == 2)
        pids = _workers(running)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            answer = sql(running, "SELECT 42", bearer(text))
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"] == "urn:whodid:problem:audit"
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        _within(20, lambda: sql(running, "SELECT 42", bearer(text)).status_code == 200)
        assert running.stop() == 0
        assert "Traceback" not in running.said


def _workers(running: Running) -> list[int]:
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text()
    return [int(each) for each in children.split()]


def _within(seconds: float, holds: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.3)
