"""deploy/compose.yaml and what it mounts: whole, closed to other machines, and with settings that there are.

No container engine is needed. tests/deploy/test_stack.py runs the same processes with the same settings.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from whodid.dashboards.grafana import alerts, clickhouse
from whodid.dashboards.grafana.queries import Databases
from whodid.processor import settings
from whodid.semconv.registry import ATTRIBUTES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLLECTOR: dict[str, Any] = yaml.safe_load((DEPLOY / "collector" / "config.yaml").read_text())
EXAMPLE = dict(
    line.split("=", 1)
    for line in (DEPLOY / ".env.example").read_text().splitlines()
    if "=" in line and not line.startswith("#")
)
# What may stand in a service; the compose specification has more.
SERVICE_KEYS = {
    *("image", "build", "command", "environment", "volumes", "ports", "networks", "depends_on", "restart"),
    *("healthcheck", "stop_grace_period", "read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit"),
    "ulimits",
}


def mounts(service: str) -> list[tuple[str, str, str]]:
    """Source, target and mode of each volume."""
    return [tuple([*each.split(":"), "rw"][:3]) for each in SERVICES[service].get("volumes", [])]  # pyright: ignore[reportReturnType]


def test_the_file_is_whole() -> None:
    assert set(COMPOSE) == {"name", "services", "networks", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            # The processor's check is in its image.
            assert "healthcheck" in SERVICES[other] or "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text()
    named = {source for name in SERVICES for source, _, _ in mounts(name) if not source.startswith(".")}
    assert named == set(COMPOSE["volumes"])


def test_images_have_a_version() -> None:
    for service in SERVICES.values():
        assert re.fullmatch(r"[a-z0-9./-]+:\d+(\.\d+)+", service["image"]), service["image"]


def test_nothing_is_reachable_from_other_machines() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert SERVICES["clickhouse"]["networks"] == ["inside"]
    # The processor's receivers take what comes: only the collector's ports are published.
    assert not any(port.endswith((":4317", ":4318")) for port in SERVICES["processor"]["ports"])
    for name, service in SERVICES.items():
        assert service["mem_limit"], f"{name} has a limit"
        assert "privileged" not in service
        if name != "clickhouse":  # its entry point changes to its user by itself
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_is_mounted_is_there_and_read_only() -> None:
    for name in SERVICES:
        for source, target, mode in mounts(name):
            if source.startswith("."):
                assert (DEPLOY / source).resolve().exists(), source
                assert mode == "ro", f"{name}: {target}"


def test_every_variable_is_in_the_example_and_no_secret_has_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert used == set(EXAMPLE)
    for name, default in EXAMPLE.items():
        if "PASSWORD" in name:
            assert default == ""
            assert len(re.findall(rf"\$\{{{name}:\?", text)) == text.count(f"${{{name}"), "it has to be given"


def test_the_processors_variables_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = processor_variables(SERVICES["processor"]["environment"])
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert list(settings.unknown_variables(set())) == []
    loaded = settings.load()
    assert loaded.store_url == "clickhouse://whodid:secret@clickhouse:8123/whodid"
    assert loaded.spool.max_bytes == 4 << 30
    grace_s = float(SERVICES["processor"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > loaded.spool.drain_timeout_s + 10
    # The collector sends nothing that the processor refuses for its length.
    grpc, http = (COLLECTOR["receivers"]["otlp"]["protocols"][name] for name in ("grpc", "http"))
    assert grpc["max_recv_msg_size_mib"] << 20 == loaded.receiver.max_request_bytes
    assert http["max_request_body_size"] == loaded.receiver.max_request_bytes


def processor_variables(environment: dict[str, Any]) -> dict[str, str]:
    """The environment with the example's variables put in, and every password `secret`."""

    def put(found: re.Match[str]) -> str:
        return "secret" if "PASSWORD" in found.group(1) else EXAMPLE[found.group(1)]

    return {name: re.sub(r"\$\{([A-Z_]+)[^}]*\}", put, str(value)) for name, value in environment.items()}


def test_the_collector_uses_all_that_it_has_and_has_all_that_it_uses() -> None:
    assert set(COLLECTOR) == {"receivers", "processors", "exporters", "extensions", "service"}
    pipelines: dict[str, dict[str, list[str]]] = COLLECTOR["service"]["pipelines"]
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines.values() for name in pipeline.get(kind, [])}
        assert used == set(COLLECTOR[kind])
    assert set(COLLECTOR["service"]["extensions"]) == set(COLLECTOR["extensions"])
    assert all(pipeline["receivers"] and pipeline["exporters"] for pipeline in pipelines.values())
    used = set(re.findall(r"\$\{env:(\w+)\}", (DEPLOY / "collector" / "config.yaml").read_text()))
    assert used <= set(SERVICES["collector"]["environment"])


def test_the_processors_own_spans_do_not_come_back_to_it() -> None:
    pipelines: dict[str, dict[str, list[str]]] = COLLECTOR["service"]["pipelines"]
    to_processor = {
        name
        for name, exporter in COLLECTOR["exporters"].items()
        if str(exporter.get("endpoint", "")).startswith("processor:")
    }
    assert to_processor == {"otlp_grpc/whodid"}
    for pipeline in pipelines.values():
        if to_processor & set(pipeline["exporters"]):
            assert pipeline["receivers"] == ["otlp"]
    own = COLLECTOR["receivers"]["otlp/whodid"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    assert SERVICES["processor"]["environment"]["WHODID_TELEMETRY__ENDPOINT"] == f"http://collector:{own}"
    assert not any(f":{own}" in port for port in SERVICES["collector"]["ports"])


def test_an_agent_is_answered_by_the_processor_and_cannot_attest_itself() -> None:
    exporter = COLLECTOR["exporters"]["otlp_grpc/whodid"]
    assert exporter["sending_queue"] == exporter["retry_on_failure"] == {"enabled": False}
    traces = COLLECTOR["service"]["pipelines"]["traces"]
    assert not any(name.startswith("batch") for name in traces["processors"])
    (removed,) = COLLECTOR["processors"]["resource/attested"]["attributes"]
    assert removed == {"key": "attribution.agent.attested.id", "action": "delete"}
    assert removed["key"] in ATTRIBUTES
    assert "resource/attested" in traces["processors"]


def test_grafana_is_provisioned_with_what_the_rules_ask() -> None:
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasources.yaml").read_text())["datasources"]
    assert (source["uid"], source["type"]) == (alerts.DATASOURCE_UID, clickhouse.PLUGIN)
    grafana = SERVICES["grafana"]
    plugin = grafana["environment"]["GF_PLUGINS_PREINSTALL_SYNC"]
    assert plugin == f"{clickhouse.PLUGIN}@{clickhouse.PLUGIN_VERSION}"
    major, minor = map(int, grafana["image"].rpartition(":")[2].split(".")[:2])
    assert (major, minor) >= (11, 6), "what the plugin wants"
    assert source["jsonData"]["host"] in SERVICES
    assert source["jsonData"]["username"] == "grafana"
    for text in [source["secureJsonData"]["password"], alerts.provisioned(Databases())]:
        for name in re.findall(r"\$\{(\w+)\}", str(text)):
            assert name in grafana["environment"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana" / "dashboards.yaml").read_text())["providers"]
    targets = {target: (DEPLOY / source).resolve() for source, target, _ in mounts("grafana")}
    assert sorted(targets[provider["options"]["path"]].glob("*.json")) == sorted(
        (ROOT / "dashboards" / "grafana" / "dashboards").glob("*.json")
    )
    assert "/etc/grafana/provisioning/alerting/whodid.json" in targets
