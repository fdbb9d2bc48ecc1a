"""Whether each file has the shape that `definition/2` prescribes, by a JSON Schema of what we use of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from whodid.semconv.source import Document, Map, Place, Problem, Source, did_you_mean, line_at, value_at


def problems(source: Source) -> Iterator[Problem]:
    """What is not as the schemas have it."""
    if source.manifest is not None:
        yield from _of(source.manifest, "manifest.schema.json")
    for document in source.documents:
        yield from _of(document, "definition.schema.json")


@cache
def _validator(name: str) -> Any:
    import jsonschema

    schema = json.loads(resources.files("whodid.semconv.checks").joinpath(name).read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _of(document: Document, schema: str) -> Iterator[Problem]:
    for error in _validator(schema).iter_errors(document.root):
        path = list(error.absolute_path)
        wrong: Any = error.instance
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for key in wrong.keys() - known.keys():
                place = Place(document.path, wrong.line_of(key))
                hint = did_you_mean(key, known) or f"what can stand here: {', '.join(known)}"
                yield Problem(place, f"{_where(document, path)}{key} is not known here", hint)
        else:
            cause, hint = _told(error)
            place = Place(document.path, line_at(document.root, path))
            yield Problem(place, f"{_where(document, path)}{cause}", hint)


def _where(document: Document, path: list[str | int]) -> str:
    """The names on the way to a value, as people would say it: `attribution.task.id: stability: `."""
    names: list[str] = []
    for depth, step in enumerate(path, 1):
        here = value_at(document.root, path[:depth])
        if isinstance(step, str):
            names += [step] if step not in _SECTIONS else []
        elif isinstance(here, Map):
            names += [here.text(key) for key in _NAMING if here.text(key)][:1]
    return "".join(f"{name}: " for name in names)


_SECTIONS = ("attributes", "attribute_groups", "spans", "span_refinements", "events", "event_refinements")
_NAMING = ("key", "id", "ref", "type", "name", "ref_group")


def _told(error: Any) -> tuple[str, str]:
    """What a schema's error says, and what to write."""
    wrong, expected = error.instance, error.validator_value
    match error.validator:
        case "required":
            (missing, *_) = [key for key in expected if key not in wrong]
            return f"{missing} is missing", f"add `{missing}: …`"
        case "enum":
            hint = did_you_mean(str(wrong), expected) or f"write one of {', '.join(expected)}"
            return f"{wrong!r} cannot stand here", hint
        case "const":
            return f"{wrong!r} cannot stand here", f"write {expected}"
        case "type":
            kinds = [expected] if isinstance(expected, str) else expected
            kind = ", ".join(_TYPES.get(each, each) for each in kinds)
            return f"{_short(wrong)} is no {kind}", "quote it" if "string" in kinds else f"write a {kind}"
        case "pattern" if expected == r"\S":
            return "it is empty", "write something, or take it out"
        case "pattern":
            return f"{wrong!r} is no schema URL", "write https://HOST/PATH/MAJOR.MINOR.PATCH"
        case "minItems":
            return "the list is empty", "write at least one, or take it out"
        case _:
            return str(error.message), ""


_TYPES = {"string": "text", "array": "list", "object": "mapping", "boolean": "true or false"}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
