"""The telemetry schema file, in OpenTelemetry's schema file format 1.1.0.

From it a receiver learns how to bring spans of an older version up to a newer one: which attributes were
renamed, version by version. Source: OpenTelemetry specification, "Schema File Format", 1.1.0.
"""

from __future__ import annotations

from collections.abc import Sequence

from whodid.semconv.snapshot import Snapshot, version_key

FILE_FORMAT = "1.1.0"


def render(versions: Sequence[Snapshot], version: str) -> str:
    """The schema file of `version`, with its changes over each of the versions before it."""
    history = sorted(
        (each for each in versions if version_key(each.version) <= version_key(version)),
        key=lambda each: version_key(each.version),
    )
    newest = history[-1]
    lines = [
        "# Generated from the released versions by `whodid semconv generate`; do not edit.",
        f"file_format: {FILE_FORMAT}",
        f"schema_url: {newest.schema_url}",
        "versions:",
    ]
    for index in range(len(history) - 1, -1, -1):
        renamed = _renamed(history[index], history[index - 1] if index else None)
        lines.append(f"  {history[index].version}:")
        if renamed:
            lines += [
                "    all:",
                "      changes:",
                "        - rename_attributes:",
                "            attribute_map:",
            ]
            lines += [f"              {old}: {new}" for old, new in sorted(renamed.items())]
    return "\n".join(lines) + "\n"


def _renamed(version: Snapshot, before: Snapshot | None) -> dict[str, str]:
    """The attributes that the version before has under another name."""
    if before is None:
        return {}
    return {
        name: promise.renamed_to
        for name, promise in version.attributes.items()
        if promise.renamed_to and name in before.attributes and not before.attributes[name].renamed_to
    }
