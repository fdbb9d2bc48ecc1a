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
        parts += [f"## {dialect.name}", _operations(dialect), _renames(dialect.renames)]
    parts += ["## On spans of every kind", _renames(GENERAL)]
    return page("Normalisation", *parts)


def _operations(dialect: Dialect) -> str:
    return table(
        (code(dialect.span_kind), "operation"),
        ((code(kind), code(operation)) for kind, operation in dialect.operations.items()),
    )


def _renames(renames: Iterable[Rename]) -> str:
    rows = [
        (
            code(rename.source),
            f"in its JSON, the field `{rename.json_field}`" if rename.json_field else "",
            code(rename.target),
            ", ".join(code(operation) for operation in sorted(rename.operations)),
        )
        for rename in renames
    ]
    return table(("attribute", "part", "becomes", "only on"), rows)
