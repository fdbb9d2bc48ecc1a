"""The image, the systemd unit and the Kubernetes manifest: whole, closed, with settings that there are."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from whodid.processor import settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = DEPLOY / "systemd" / "whodid.service"
KUBERNETES: dict[str, dict[str, Any]] = {
    each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes" / "whodid.yaml").read_text())
}
DEFAULTS = settings.load()
DRAIN_S = DEFAULTS.spool.drain_timeout_s


def copied() -> list[str]:
    """What the build takes from the repository."""
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_the_image_takes_every_portion_and_nothing_else() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    portions = {folder.removesuffix("/whodid") for folder in built["targets"]["wheel"]["packages"]}
    assert {source for source in copied() if source.endswith("/src")} == portions
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == set(copied())
    assert all((ROOT / source).exists() for source in copied())


@pytest.mark.timeout(600)
def test_what_the_image_is_built_from_is_enough_for_the_wheel(tmp_path: Path) -> None:
    for source in copied():
        target = tmp_path / "context" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "wheels")]
    done = subprocess.run(command, cwd=tmp_path / "context", capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("whodid-*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    ).stdout
    assert "whodid/dashboards/grafana/sql/overview/totals.sql" in listed
    assert "whodid/store/sql/who" in listed or "whodid/store/sql/spans.sql" in listed


def test_the_image_runs_as_nobody_with_its_data_on_a_volume() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    data_dir = re.search(r"WHODID_DATA_DIR=(\S+)", last)
    assert data_dir is not None
    assert f"VOLUME {data_dir.group(1)}\n" in last
    known = {row.env for row in settings.table()}
    assert set(re.findall(r"\b(WHODID_\w+)=", DOCKERFILE)) <= known
    exposed = re.search(r"^EXPOSE (.+)$", last, re.MULTILINE)
    assert exposed is not None
    ports = (DEFAULTS.receiver.grpc_port, DEFAULTS.receiver.http_port, DEFAULTS.api.port)
    assert exposed.group(1).split() == [str(port) for port in ports]
    assert ":latest" not in DOCKERFILE


def unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    parsed.read(UNIT)
    return parsed


def test_the_unit_gives_the_processor_time_and_settings_that_there_are() -> None:
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) > DRAIN_S + 10
    given = {each.partition("=")[0] for each in service["Environment"].split()}
    known = {row.env for row in settings.table()}
    assert {name for name in given if name.startswith("WHODID_")} <= known
    assert "MemoryDenyWriteExecute" not in service, "it would end at the first compiled function"
    assert service["StateDirectory"] == "whodid"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    tried = tmp_path / "whodid.service"
    tried.write_text(UNIT.read_text().replace("/opt/whodid/bin/whodid", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tried)], capture_output=True, text=True, timeout=60
    )
    said = [line for line in verified.stderr.splitlines() if "whodid.service" in line]
    assert (verified.returncode, said) == (0, []), verified.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=40", str(tried)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert rated.returncode == 0, rated.stdout[-300:]


def test_the_manifest_fits_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(KUBERNETES) == {
        *("ConfigMap", "StatefulSet", "Service", "NetworkPolicy", "PodDisruptionBudget"),
    }
    spec = KUBERNETES["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels == KUBERNETES["Service"]["spec"]["selector"]
    for kind, path in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        assert KUBERNETES[kind]["spec"][path]["matchLabels"] == labels
    named = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in KUBERNETES["Service"]["spec"]["ports"]} == named
    assert all(len(name) <= 15 for name in named)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "api"
    volumes = {each["name"] for each in pod["volumes"]}
    volumes |= {each["metadata"]["name"] for each in spec["volumeClaimTemplates"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    assert pod["terminationGracePeriodSeconds"] > DRAIN_S + 10
    assert pod["securityContext"]["runAsUser"] == int(
        re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)[0]
    )
    # Its settings are settings, and fit.
    (tmp_path / "whodid.toml").write_text(KUBERNETES["ConfigMap"]["data"]["whodid.toml"])
    (variable,) = container["env"]
    monkeypatch.setenv(variable["name"], "clickhouse://whodid:secret@clickhouse:8123/whodid")
    loaded = settings.load(config=tmp_path / "whodid.toml")
    assert loaded.store_url.startswith("clickhouse://")
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert str(loaded.data_dir) in mounted
    assert str(Path(loaded.access.tokens_file).parent) in mounted
    storage = spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
    assert int(storage.removesuffix("Gi")) << 30 > loaded.spool.max_bytes, "room for the quarantine too"
