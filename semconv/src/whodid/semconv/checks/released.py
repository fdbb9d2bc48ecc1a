"""Whether everything that was released is still there and still means the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from whodid.semconv import differences, snapshot
from whodid.semconv.differences import Change
from whodid.semconv.model import Model
from whodid.semconv.source import Place, Problem


def problems(model: Model, semconv: Path) -> Iterator[Problem]:
    """What breaks a promise of a version in `semconv/released`."""
    try:
        versions = snapshot.released(semconv)
    except snapshot.SnapshotError as error:
        yield Problem(Place(semconv / snapshot.FOLDER), str(error), "restore it as it was released")
        return
    now = snapshot.of_model(model)
    for version in versions:
        for change in differences.between(version, now):
            if change.breaking:
                yield _problem(model, semconv, version, change)


def _problem(model: Model, semconv: Path, version: snapshot.Snapshot, change: Change) -> Problem:
    if change.kind == "removed":
        path, line = snapshot.line_of(semconv, version, change.section, change.name)
        cause = f"{change.name} was released with {version.version} and is gone"
        hint = (
            "put it back and deprecate it: `{reason: renamed, renamed_to: …}`, `{reason: obsoleted, note: …}`"
        )
        return Problem(Place(path, line), cause, hint)
    cause = f"{change.name} is not what was released with {version.version}: {change.detail}"
    return Problem(
        model.resolved.attributes[change.name].place(), cause, "give what is new a name of its own"
    )
