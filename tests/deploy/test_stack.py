"""The processes of deploy/compose.yaml with their settings, without containers: from an agent to a dashboard.

ClickHouse is the engine of the chDB wheel with deploy's users; the halves of the collector's configuration
are two of rotel, another OTLP collector whose exporter for ClickHouse writes the same tables.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rotel

from tests.clickhouse import free_port
from tests.dashboards import grafana_data
from tests.dashboards.grafana_macros import Range, expanded
from tests.deploy.deployed import PASSWORDS, deployed
from tests.deploy.test_compose import SERVICES, processor_variables
from tests.running import environment, service
from tests.spans import Sent, attribution, request
from whodid.dashboards.grafana import alerts, queries
from whodid.dashboards.grafana.queries import Databases

ROTEL = Path(rotel.__file__).parent / "rotel-agent"
PATIENCE_S = 60


@contextmanager
def collector(folder: Path, name: str, *flags: str, **variables: str) -> Generator[tuple[int, int]]:
    """rotel; yields its ports for gRPC and HTTP."""
    grpc, http = free_port(), free_port()
    command = [str(ROTEL), "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint"]
    command += [f"127.0.0.1:{http}", "--pid-file", str(folder / f"{name}.pid"), *flags]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(**variables))
    try:
        yield grpc, http
    finally:
        process.terminate()
        process.wait(30)


def until(what: Callable[[], Any]) -> Any:
    """Waits for something to be true, and gives it back."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.2)
    return found


def post(http_port: int, body: bytes) -> None:
    """Sends a request once the collector listens."""
    wanted = urllib.request.Request(
        f"http://127.0.0.1:{http_port}/v1/traces", body, {"content-type": "application/x-protobuf"}
    )

    def sent() -> bool:
        try:
            with urllib.request.urlopen(wanted, timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    until(sent)


@pytest.mark.timeout(300)
def test_from_an_agent_through_the_collector_to_grafanas_queries(tmp_path: Path) -> None:
    data_dir = tmp_path / "spool"
    with deployed(tmp_path / "clickhouse") as server:
        metrics = server.client("collector")
        grafana_data.create_metrics(metrics)
        with collector(
            tmp_path,
            "own",
            *("--exporters", "metrics:clickhouse,nothing:blackhole"),
            *("--exporters-metrics", "metrics", "--exporters-traces", "nothing"),
            ROTEL_EXPORTER_METRICS_ENDPOINT=f"http://127.0.0.1:{server.clickhouse.port}",
            ROTEL_EXPORTER_METRICS_DATABASE=grafana_data.METRICS,
            ROTEL_EXPORTER_METRICS_USER="collector",
            ROTEL_EXPORTER_METRICS_PASSWORD=PASSWORDS["CLICKHOUSE_COLLECTOR_PASSWORD"],
        ) as (own, _):
            variables = processor_variables(SERVICES["processor"]["environment"]) | {
                # The one thing that is another one here: where the others are.
                "WHODID_STORE__URL": server.url,
                "WHODID_TELEMETRY__ENDPOINT": f"http://127.0.0.1:{own}",
                "WHODID_TELEMETRY__INTERVAL_S": "1",
            }
            token = create_token(data_dir)
            with service(data_dir, **variables) as processor:
                target = f"http://127.0.0.1:{processor.grpc_port}"
                to_processor = ("--exporter", "otlp", "--otlp-exporter-endpoint", target)
                with collector(tmp_path, "front", *to_processor) as (_, http):
                    post(http, request(Sent(attributes=attribution("execute_tool")), service="agent"))
                    check_pages(processor.api, token)
                    check_dashboards(server.client("grafana"))
                assert processor.stop() == 0


def create_token(data_dir: Path) -> str:
    """What the guide says to do before the first start."""
    command = (
        "tokens",
        "create",
        "--name",
        "alice@acme.example",
        "--role",
        "admin",
        "--data-dir",
        str(data_dir),
    )
    made = subprocess.run(
        (sys.executable, "-m", "whodid.cli.main", *command),
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    return made.stdout.strip().splitlines()[-1]


def check_pages(api: str, token: str) -> None:
    """Who has a token gets an answer, and nobody else does."""
    address = f"http://127.0.0.1:{api.rpartition(':')[2]}/api/v1/who?id=action-1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address, timeout=10)

    def answered() -> Any:
        asked = urllib.request.Request(address, headers={"authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            return None

    assert until(answered)["principal"]["id"]["value"] == "alice@acme.example"


def check_dashboards(grafana: Any) -> None:
    """The span and what the processor says of itself arrive where the dashboards look."""
    now = datetime.now(UTC)
    time = Range(now - timedelta(minutes=10), now + timedelta(minutes=5), step_s=60)

    def rows(name: str) -> Any:
        read = queries.read(name, Databases())
        values = {"tenant": "", "agent": ["$__all"], "credential": ["$__all"]}
        return list(grafana.query(expanded(read.sql, time, values)).named_results())

    # Spans are seen before what ClickHouse counts of them by the same insert.
    assert {row["agent"] for row in until(lambda: rows("overview/agents"))} == {"support-agent"}
    stored = until(lambda: [row for row in rows("processor/spool") if row["bytes"]])
    assert any(row["of"].endswith(" limit") and row["bytes"] == 4 << 30 for row in stored)
    assert all(row["seconds"] < 60 for row in until(lambda: rows("processor/age")))
    assert until(lambda: rows("processor/away"))[0]["away"] == 0
    assert until(lambda: rows("processor/requests"))
    assert until(lambda: rows("processor/stored"))
    (rule,) = [each for each in alerts.RULES if each.name == "processor_behind"]
    behind = until(lambda: rows(f"alerts/{rule.name}"))
    assert len(behind) == 1
    assert behind[0]["seconds"] <= rule.above
