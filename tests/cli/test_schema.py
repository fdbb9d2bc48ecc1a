"""`whodid schema`: the statements as they are run, applied by several at once, and what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.clickhouse import clickhouse
from tests.spans import Sent, attribution, request
from whodid.cli.main import main
from whodid.cli.schema import laid_out
from whodid.processor import pipeline
from whodid.store import Store
from whodid.store.connection import Location, connect
from whodid.store.layout import Layout
from whodid.store.migrations import STEPS, create_all, pending
from whodid.store.retention import TABLES, Retention


def whodid(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments], env=env)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running.url.removesuffix("/whodid")


def test_what_is_shown_makes_a_store_that_lacks_nothing(server: str) -> None:
    shown = whodid("show", env={"WHODID_STORE__DATABASE": "by_hand"})
    assert shown.exit_code == 0
    client = connect(Location.parse(f"{server}/default"))
    for statement in shown.stdout.split(";\n"):
        if statement.strip():
            client.command(statement)
    assert pending(client, Layout("by_hand"), Retention()) == ()
    client.close()
    store = Store.open(f"{server}/by_hand")
    store.insert(pipeline.run([request(Sent(attributes=attribution("execute_tool")))]), "1")
    store.close()


def test_for_a_cluster(server: str) -> None:
    shown = whodid("show", "--cluster", "main").stdout
    assert shown.count("ON CLUSTER `main`") >= 15
    assert "ReplicatedMergeTree('/clickhouse/tables/{shard}/whodid/spans', '{replica}')" in shown
    without = whodid("show", "--cluster", "main", "--without-keeper").stdout
    assert "Distributed('main', 'whodid', 'spans_local', cityHash64(trace_id))" in without
    assert "Replicated" not in without
    assert server


@pytest.mark.parametrize("layout", [Layout("whodid"), Layout("whodid", "main")])
def test_laying_out_changes_white_space_only(layout: Layout) -> None:
    for statement in create_all(layout, Retention(30, {"a": 1})):
        assert laid_out(statement).split() == statement.split()
    assert laid_out("SELECT 'a, b', f(c, d), e") == "SELECT 'a, b',\n    f(c, d),\n    e"


def test_several_processes_at_once(server: str) -> None:
    command = [sys.executable, "-m", "whodid.cli.main", "schema", "apply", "--store-url", f"{server}/at_once"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    again = whodid("apply", "--store-url", f"{server}/at_once")
    assert again.stdout == ""
    assert "nothing to do" in again.stderr


def test_applied_to_an_embedded_store_and_what_it_costs(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path))
    missing = whodid("status", *folder)
    assert missing.exit_code == 1
    assert "whodid schema apply" in missing.output
    done = whodid("apply", *folder)
    assert done.stdout.splitlines() == [
        "step 1: spans and findings",
        "columns",
        *(f"step {step.version}: {step.name}" for step in STEPS[1:]),
        "views",
        "retention: 30 days",
    ]
    store = Store.open(f"chdb://{tmp_path / 'store'}")
    spans = [Sent(attributes=attribution("execute_tool")) for _ in range(1000)]
    store.insert(pipeline.run([request(*spans)], tenant="acme"), "1")
    store.close()
    cost = json.loads(whodid("status", "--json", *folder).stdout)
    assert cost["lacking"] == []
    assert {each["table"]: each["rows"] for each in cost["tables"]} == {
        "spans": 1000,
        "findings": 0,
        "trace_index": 1000,
        "actions_hourly": cost["tables"][3]["rows"],
        "id_times": cost["tables"][4]["rows"],
    }
    assert cost["tables"][0]["bytes"] > 10_000
    assert cost["tenants"][0]["tenant"] == "acme"
    text = whodid("status", *folder, env={"WHODID_STORE__RETENTION_DAYS": "7"}).stdout
    assert "lacks retention: 7 days" in text
    assert all(table in text for table in TABLES)
    assert "bytes when all periods have run out once" in text


def test_a_server_that_is_away() -> None:
    gone = whodid("apply", "--store-url", "clickhouse://someone:hunter2@127.0.0.1:9/whodid")
    assert gone.exit_code == 1
    assert "hint:" in gone.output
    assert "hunter2" not in gone.output
