"""The listener: other clients read the embedded store of a real service, and can do nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import psutil
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.running import Running, service
from tests.spans import Sent, attribution, request
from whodid.processor import listener, settings
from whodid.processor.errors import WhodidError

PASSWORD = "correct horse"
SPAN = Sent(attributes=attribution("execute_tool"))
OTHERS = Sent(attributes=attribution("execute_tool", ATTRIBUTION_ACTION_ID="of-another-tenant"))
_library: Any = clickhouse_connect


@dataclass
class Listening:
    """A running service whose embedded store listens."""

    running: Running
    data_dir: Path
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, user: str = "reader", password: str = PASSWORD) -> Any:
        return _library.get_client(host="127.0.0.1", port=self.port, username=user, password=password)

    def answer(self, text: str, user: str, password: str = "") -> httpx.Response:
        auth = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        return httpx.post(self.url, content=text, headers=auth, timeout=30)


def started(running: Running, data_dir: Path) -> Listening:
    found = re.search(r"^  listener +(\S+), user reader", running.said, re.MULTILINE)
    assert found, running.said
    return Listening(running, data_dir, found[1])


def send(running: Running, span: Sent) -> None:
    protobuf = {"content-type": "application/x-protobuf"}
    answer = httpx.post(running.http, content=request(span), headers=protobuf, timeout=30)
    assert answer.status_code == 200, answer.text
    running.wait_until_stored()


FLAGS = ("--store-listen", "127.0.0.1:0")
SECRET = {"WHODID_STORE__LISTEN_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    data_dir = tmp_path_factory.mktemp("listening") / "data"
    # What an embedded engine has written is there for the one that listens, and the other way round below.
    with service(data_dir, WHODID_TENANT="other") as running:
        send(running, OTHERS)
        running.stop()
    with service(data_dir, *FLAGS, **SECRET) as running:
        send(running, SPAN)
        yield started(running, data_dir)


def test_a_client_reads_what_is_the_tenants(listening: Listening) -> None:
    client = listening.client()
    assert client.query("SELECT attribution_action_id FROM whodid.spans").result_rows == [("action-1",)]
    assert client.query("SELECT count() FROM whodid.otel_traces").result_rows == [(1,)]
    assert client.query("SELECT count() FROM whodid.trace_index").result_rows == [(1,)]
    assert ("spans",) in client.query("SELECT name FROM system.tables").result_rows
    client.close()


def test_the_service_answers_as_ever(listening: Listening) -> None:
    assert listening.running.ask("who?id=action-1")["span_ids"] == [SPAN.span_id.hex()]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO whodid.spans (name) VALUES ('x')",
        "DROP TABLE whodid.spans",
        "TRUNCATE TABLE whodid.spans",
        "ALTER TABLE whodid.spans DELETE WHERE 1",
        "CREATE TABLE whodid.more (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE more (a Int8)",
        "CREATE USER more",
        "GRANT ALL ON *.* TO reader",
        "SYSTEM STOP LISTEN HTTP",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "BACKUP TABLE whodid.spans TO File('more')",
        "SET readonly = 0",
        "SELECT 1 INTO OUTFILE 'more'",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM executable('id', 'LineAsString', 'a String')",
        "SELECT * FROM remote('127.0.0.1', 'system.one')",
        "SELECT * FROM system.processes",
        "SELECT * FROM system.users",
        "SELECT * FROM system.server_settings",
        "SELECT 1 SETTINGS max_execution_time = 3600",
        "SELECT 1 SETTINGS max_memory_usage = 0",
    ],
)
def test_nothing_else_is_allowed(listening: Listening, statement: str) -> None:
    client = listening.client()
    with pytest.raises(ClickHouseError, match=r"ACCESS_DENIED|READONLY|CONSTRAINT|NOT_ALLOWED"):
        client.command(statement)
    client.close()
    assert listening.answer("SELECT count() FROM whodid.spans", "reader", PASSWORD).text == "1\n"


@pytest.mark.parametrize("user", ["reader", "whodid", "nobody"])
def test_without_the_password_nobody_reads(listening: Listening, user: str) -> None:
    for password in ("", "wrong"):
        answer = listening.answer("SELECT 1", user, password)
        assert answer.status_code == 403
        assert "AUTHENTICATION_FAILED" in answer.text


@pytest.mark.parametrize("statement", ["SELECT 1", "SYSTEM STOP LISTEN HTTP", "SELECT * FROM whodid.spans"])
def test_nobody_else_is_the_engine_s_own_user(listening: Listening, statement: str) -> None:
    """It cannot have a password; its one session is the engine's."""
    answer = listening.answer(statement, "default")
    assert answer.status_code != 200
    assert "USER_SESSION_LIMIT_EXCEEDED" in answer.text


def test_no_password_is_written_anywhere(listening: Listening) -> None:
    assert PASSWORD not in listening.running.said
    folder = listening.data_dir / "listener"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert path.is_dir() or PASSWORD not in path.read_text(), path


def test_an_engine_that_ends_is_started_again(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with service(data_dir, *FLAGS, **SECRET) as running:
        here = started(running, data_dir)
        (child,) = _children(running.process.pid)
        os.kill(child, signal.SIGKILL)
        while here.running.said.count("it is started again") == 0:
            time.sleep(0.05)
        send(running, SPAN)  # once it answers: until then the spool keeps it
        assert running.ask("who?id=action-1")["span_ids"] == [SPAN.span_id.hex()]
        (child,) = _children(running.process.pid)
        assert running.stop() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    with service(data_dir) as running:
        assert running.ask("who?id=action-1")["span_ids"] == [SPAN.span_id.hex()]


def test_a_service_that_is_killed_takes_its_engine_with_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with service(data_dir, *FLAGS, **SECRET) as running:
        send(running, SPAN)
        running.stop(signal.SIGKILL)
    with service(data_dir, *FLAGS, **SECRET) as running:
        with urllib.request.urlopen(f"{running.api}/api/v1/who?id=action-1", timeout=60) as answer:
            assert json.load(answer)["span_ids"] == [SPAN.span_id.hex()]
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ({"listen": "0.0.0.0:8123"}, "loopback alone"),
        ({"listen": "192.0.2.1:8123"}, "loopback alone"),
        ({"listen": "clickhouse.internal:8123"}, "loopback alone"),
        ({"listen": "8123"}, "no address"),
        ({"listen": "127.0.0.1:http"}, "no address"),
        ({"listen": "127.0.0.1:99999"}, "no address"),
        ({"listen_password": ""}, "listen_password"),
        ({"listen_password": "short"}, "listen_password"),
        ({"url": "clickhouse://127.0.0.1:8123/whodid"}, "for the embedded store"),
    ],
)
def test_what_would_be_no_good_is_refused(store: dict[str, str], said: str) -> None:
    every = {"listen": "127.0.0.1:8123", "listen_password": PASSWORD, **store}
    with pytest.raises(WhodidError, match=said) as raised:
        listener.address(settings.load({"store": every}))
    assert raised.value.hint
    assert PASSWORD not in str(raised.value)


def _children(pid: int) -> list[int]:
    return [each.pid for each in psutil.Process(pid).children()]
