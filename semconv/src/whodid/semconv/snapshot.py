"""What a version of the conventions promises: its names, their types, and what each signal has to say.

`semconv/released/VERSION.json` holds one for every released version, and never changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from whodid.semconv.model import Model
from whodid.semconv.source import parse

FOLDER = Path("released")


class SnapshotError(Exception):
    """A file is no snapshot of a version; the message says why."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One attribute of ours."""

    type: str
    values: tuple[str, ...] = ()
    """An enum's."""
    closed: bool = False
    format: str = ""
    deprecated: str = ""
    """Why it is: `renamed`, `obsoleted`, `uncategorized`; empty while it is in use."""
    renamed_to: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version's promises."""

    version: str
    schema_url: str
    attributes: Mapping[str, Promise]
    spans: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """Span type to attribute to requirement level."""
    events: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    rules: Mapping[str, str] = field(default_factory=dict[str, str])
    """Rule to severity."""


def of_model(model: Model) -> Snapshot:
    """What the model promises now."""
    signals: dict[str, dict[str, dict[str, str]]] = {"span": {}, "event": {}}
    for signal in model.resolved.signals:
        levels = {each.name: each.requirement for each in signal.references}
        signals[signal.kind][signal.name] = levels
    attributes: dict[str, Promise] = {}
    for name, attribute in model.attributes.items():
        defined = model.resolved.attributes[name]
        if defined.document.ours:
            attributes[name] = Promise(
                type=attribute.type,
                values=attribute.values,
                closed=attribute.closed,
                format=attribute.format or "",
                deprecated=defined.node.map("deprecated").text("reason"),
                renamed_to=attribute.renamed_to or "",
            )
    return Snapshot(
        version=model.version,
        schema_url=model.schema_url,
        attributes=attributes,
        spans=signals["span"],
        events=signals["event"],
        rules={rule.id: rule.severity for rule in model.rules},
    )


def to_json(snapshot: Snapshot) -> str:
    """The text of a snapshot's file: sorted, so that two versions can be read side by side."""
    fields = asdict(snapshot)
    fields["attributes"] = {
        name: {key: value for key, value in promise.items() if value}
        for name, promise in fields["attributes"].items()
    }
    return json.dumps(fields, indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> Snapshot:
    """Reads a snapshot's file. Raises SnapshotError when it is none."""
    try:
        fields: dict[str, Any] = json.loads(text)
        promises = {
            name: Promise(**promise | {"values": tuple(promise.get("values", ()))})
            for name, promise in fields.pop("attributes").items()
        }
        version_key(fields["version"])
        return Snapshot(attributes=promises, **fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SnapshotError(f"it is no snapshot of a version: {error}") from error


def released(semconv: Path) -> list[Snapshot]:
    """The released versions, oldest first. Raises SnapshotError when a file of them is none."""
    found: list[Snapshot] = []
    for path in (semconv / FOLDER).glob("*.json"):
        try:
            found.append(from_json(path.read_text(encoding="utf-8")))
        except SnapshotError as error:
            raise SnapshotError(f"{path}: {error}") from error
    return sorted(found, key=lambda snapshot: version_key(snapshot.version))


def version_key(version: str) -> tuple[int, ...]:
    """By which versions are in order: 0.10.0 comes after 0.9.0."""
    return tuple(int(part) for part in version.split("."))


def line_of(semconv: Path, snapshot: Snapshot, section: str, name: str) -> tuple[Path, int]:
    """The file of a released version, and the line that has a name in it."""
    path = semconv / FOLDER / f"{snapshot.version}.json"
    root = parse(path.read_text(encoding="utf-8"), path, [])  # JSON is YAML
    return path, root.map(section).line_of(name)
