"""The setting `tenant`, in a real service: on all that is stored, and the one that is asked about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tests.clickhouse import ClickHouse
from tests.running import Running, service
from tests.spans import Sent, attribution, request
from whodid.cli.main import main
from whodid.processor import settings
from whodid.processor.errors import WhodidError
from whodid.store.connection import Location, connect

PROTOBUF = {"content-type": "application/x-protobuf"}


def send(running: Running, span: Sent) -> None:
    # Whatever a sender calls itself, it is the service's tenant.
    body = request(span, resource={"tenant": "acme", "tenant_id": "acme"})
    answer = httpx.post(running.http, content=body, headers=PROTOBUF, timeout=30)
    assert answer.status_code == 200, answer.text + running.said
    running.wait_until_stored()


def rows(server: ClickHouse, statement: str) -> list[tuple[Any, ...]]:
    client = connect(Location.parse(server.url))
    try:
        return client.query(statement).result_rows
    finally:
        client.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_two_services_with_a_tenant_each_share_a_store(
    tmp_path: Path, server: ClickHouse, workers: str
) -> None:
    sent = {
        tenant: Sent(attributes=attribution("execute_tool", user=f"alice@{tenant}.example"))
        for tenant in ("acme", "umbrella")
    }
    for tenant, span in sent.items():
        flags = ("--store-url", server.url, "--workers", workers)
        days = {"WHODID_STORE__RETENTION_DAYS_BY_TENANT": '{"umbrella": 7}'}
        with service(tmp_path / tenant, *flags, WHODID_TENANT=tenant, **days) as running:
            send(running, span)
            assert "keeps 30 days, 7 days of umbrella" in running.said
            # The same action id is in both tenants: each is told of its own.
            asked = CliRunner().invoke(
                main, ["who", "action-1", "--json", "--data-dir", str(tmp_path / tenant)]
            )
            assert json.loads(asked.stdout)["span_ids"] == [span.span_id.hex()]
            assert running.stop() == 0
    found = rows(server, "SELECT tenant_id, attribution_principal_id FROM whodid.spans ORDER BY tenant_id")
    assert found == [("acme", "alice@acme.example"), ("umbrella", "alice@umbrella.example")]
    assert rows(server, "SELECT count() FROM whodid.trace_index WHERE tenant_id = ''") == [(0,)]


@pytest.mark.parametrize("name", ["o'brien", "a b", "x" * 129, "tab\t", "line\n"])
def test_a_name_that_would_be_more_than_a_name_is_refused(name: str) -> None:
    with pytest.raises(WhodidError, match="tenant"):
        settings.load({"tenant": name})
    with pytest.raises(WhodidError, match="retention_days_by_tenant"):
        settings.load({"store": {"retention_days_by_tenant": {name: 7}}})


def test_a_period_has_to_be_one() -> None:
    with pytest.raises(WhodidError, match="retention_days_by_tenant"):
        settings.load({"store": {"retention_days_by_tenant": {"acme": 0}}})


def test_periods_from_the_file(tmp_path: Path) -> None:
    config = tmp_path / "whodid.toml"
    config.write_text("[store.retention_days_by_tenant]\nacme = 365\numbrella = 7\n")
    loaded = settings.load({}, config)
    assert loaded.store.retention_days_by_tenant == {"acme": 365, "umbrella": 7}
