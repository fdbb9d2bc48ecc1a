"""The files that Grafana reads: written, and compared with what they have to be."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from whodid.dashboards.grafana import alerts, contents
from whodid.dashboards.grafana.queries import Databases

DASHBOARDS, ALERTING = "dashboards", "alerting"
"""Folders apart: Grafana takes every JSON file in a folder of dashboards for one."""


def rendered(
    databases: Databases | None = None, datasource_uid: str = alerts.DATASOURCE_UID
) -> dict[Path, str]:
    """Every file by its path in the output folder."""
    databases = databases or Databases()
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    boards = [make(databases) for make in contents.ALL]
    files: dict[Path, object] = {Path(DASHBOARDS, f"{board.name}.json"): board.build() for board in boards}
    files[Path(ALERTING, "whodid.json")] = alerts.provisioned(databases, datasource_uid)
    return {path: encoder.encode(content) + "\n" for path, content in files.items()}


def stale(folder: Path, files: dict[Path, str]) -> list[Path]:
    """The files in `folder` that are missing or not what they have to be."""
    return [path for path, text in files.items() if _read(folder / path) != text]


def write(folder: Path, files: dict[Path, str]) -> list[Path]:
    """Writes what is stale, and says what that was."""
    written = stale(folder, files)
    for path in written:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(files[path], encoding="utf-8")
    return written


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
