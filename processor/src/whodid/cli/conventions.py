"""What is generated into `semconv/docs` from the service's code: normalisation's table, a record's schema."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from whodid.processor.stages.dialects import DIALECTS, GENERAL, Dialect, Rename
from whodid.semconv.markdown import code, page, table
from whodid.store.records import WhoRecord

FOLDER = Path("docs")


def render() -> dict[Path, str]:
    """The files: path below `semconv/` to text."""
    return {
        FOLDER / "normalisation.md": _normalisation(),
        FOLDER / "action-record.schema.json": _record_schema(),
    }


def _record_schema() -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | WhoRecord.model_json_schema(
        mode="serialization"
    )
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _normalisation() -> str:
    parts = [
        "What other instrumentations call things, and what it becomes. The original stays beside it, and "
        "what a span says itself under the canonical name is never overwritten."
    ]
    for dialect in DIALECTS:
        parts += [f"## {dialect.name}", _recognised(dialect), _operations(dialect), _corrections(dialect)]
        parts.append(_renames(dialect.renames))
    parts += ["## On spans of every kind", _renames(GENERAL)]
    return page("Normalisation", *parts)


def _recognised(dialect: Dialect) -> str:
    scopes = [f"{code(scope)}…" if scope.endswith(".") else code(scope) for scope in dialect.scopes]
    keys = [code(key) for key in (dialect.span_kind, *dialect.keys) if key]
    facts = (("scope", ", ".join(scopes)), ("attribute", ", ".join(keys)))
    known_by = " or ".join(f"{what} {names}" for what, names in facts if names)
    return f"Known by {known_by}."


def _operations(dialect: Dialect) -> str:
    if not dialect.operations:
        return ""
    return table(
        (code(dialect.span_kind), "operation"),
        ((code(kind), code(operation)) for kind, operation in dialect.operations.items()),
    )


def _corrections(dialect: Dialect) -> str:
    if not dialect.corrections:
        return ""
    rows = [
        (code(each.kind), code(each.claimed), code(each.operation) if each.operation else "none")
        for each in dialect.corrections
    ]
    return table((code(dialect.span_kind), "operation that it claims", "operation that it is"), rows)


def _renames(renames: Iterable[Rename]) -> str:
    rows = [
        (
            code(rename.source),
            _part(rename),
            code(rename.target),
            ", ".join(code(operation) for operation in sorted(rename.operations)),
        )
        for rename in renames
    ]
    return table(("attribute", "part", "becomes", "only on"), rows)


def _part(rename: Rename) -> str:
    """What of the source is meant, where it is not all of it."""
    if rename.json_field:
        return f"in its JSON, the field `{rename.json_field}`"
    return ", ".join(f"`{value}` as `{meant}`" for value, meant in rename.values.items())
