"""Writes what is derived from the model: Python modules, documentation, telemetry schema files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from whodid.semconv import constants, pages, snapshot, telemetry_schema
from whodid.semconv.markdown import HEADER
from whodid.semconv.model import Model

PYTHON_FOLDER = constants.FOLDER


class ReleaseError(Exception):
    """The version cannot be released; the message says why."""


def render(model: Model, semconv: Path) -> dict[Path, str]:
    """The generated files: path below `semconv/` to text."""
    return constants.render(model) | pages.render(model) | _schemas(model, semconv)


def _schemas(model: Model, semconv: Path) -> dict[Path, str]:
    """A telemetry schema file for every released version, and for the one that the model is to become."""
    versions = snapshot.released(semconv)
    if model.version not in [version.version for version in versions]:
        versions.append(snapshot.of_model(model))
    return {
        Path("schemas") / f"{each.version}.yaml": telemetry_schema.render(versions, each.version)
        for each in versions
    }


def stale(model: Model, semconv: Path, more: Mapping[Path, str] | None = None) -> list[Path]:
    """The generated files below `semconv` that differ from what the model says, or that it says no longer.

    `more` are files that somebody else renders (path below `semconv/` to text).
    """
    files = render(model, semconv) | dict(more or {})
    changed = [path for path, text in files.items() if _text(semconv / path) != text]
    return changed + [path for path in _generated(semconv) if more is not None and path not in files]


def write(model: Model, semconv: Path, more: Mapping[Path, str] | None = None) -> list[Path]:
    """Writes the stale files below `semconv`, removes what is no longer generated; returns the paths."""
    files = render(model, semconv) | dict(more or {})
    changed = stale(model, semconv, more)
    for path in changed:
        if path in files:
            (semconv / path).parent.mkdir(parents=True, exist_ok=True)
            (semconv / path).write_text(files[path], encoding="utf-8")
        else:
            (semconv / path).unlink()
    return changed


def release(model: Model, semconv: Path, version: str) -> Path:
    """Writes down what `version` promises, for good; returns the file's path below `semconv/`.

    Raises ReleaseError when the model is another version, or the version is released with other promises.
    """
    if model.version != version:
        raise ReleaseError(f"the manifest's schema_url is that of {model.version}, not of {version}")
    path = snapshot.FOLDER / f"{version}.json"
    text = snapshot.to_json(snapshot.of_model(model))
    if (semconv / path).exists() and _text(semconv / path) != text:
        raise ReleaseError(f"{version} is released, and the model is no longer what it was then")
    (semconv / path).parent.mkdir(parents=True, exist_ok=True)
    (semconv / path).write_text(text, encoding="utf-8")
    return path


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _generated(semconv: Path) -> list[Path]:
    """The pages that say of themselves that they are generated."""
    pages_there = sorted((semconv / "docs").glob("*.md"))
    return [path.relative_to(semconv) for path in pages_there if HEADER in (_text(path) or "")]
