"""The API's description (OpenAPI 3.1), made from the questions' parameters and answers."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from whodid.processor import posted
from whodid.processor.access.authentication import LOOPBACK_COOKIE, SECURE_COOKIE
from whodid.processor.settings import Tenant
from whodid.store.free_sql import SELECT
from whodid.store.questions import QUESTIONS
from whodid.store.questions.asking import AGO, is_many, is_time
from whodid.store.questions.question import Listing

if TYPE_CHECKING:
    from whodid.store.questions import AnyQuestion

_SCHEMAS = "#/components/schemas/"
_PROBLEMS = {
    "400": "A parameter is wrong or unknown, or a cursor is none of this question's.",
    "401": "Nobody who is known asks, and the service wants to know who does.",
    "403": "The viewer is known, and may not ask this: another tenant, or content without the role for it.",
    "404": "No span in the store has this id.",
    "409": "The id means several actions; `candidates` says which.",
    "422": "The question would read, take or hold more than it may; `hint` says what to narrow.",
    "500": "A bug.",
    "503": "The store cannot answer now, or the view of content could not be recorded.",
}
_SECURITY: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `whodid tokens create`. On loopback none is needed until there is one.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": LOOPBACK_COOKIE,
        "description": f"A session that began on the page /sign-in; `{SECURE_COOKIE}` off loopback.",
    },
}
_PROBLEMS_OF_A_BODY = {
    "408": "The body did not arrive in time.",
    "413": "The body is longer than it may be.",
    "415": "The body is no JSON.",
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "status", "title", "hint"],
    "properties": {
        "type": {"type": "string", "description": "Which kind of problem, as a URN."},
        "status": {"type": "integer"},
        "title": {"type": "string", "description": "The cause, in a line."},
        "hint": {"type": "string", "description": "What to do about it."},
        "candidates": {
            "type": "array",
            "items": {"type": "object"},
            "description": "What an ambiguous id may mean.",
        },
    },
}


@functools.cache
def document(max_items: int) -> dict[str, Any]:
    """The whole document, of a service that tells so many items at the most."""
    asked = (*QUESTIONS.values(), SELECT)
    answers = [question.answer for question in asked]
    refs, definitions = models_json_schema(
        [(answer, "serialization") for answer in answers], ref_template=_SCHEMAS + "{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "whodid",
            "version": metadata.version("whodid"),
            "description": "The attribution questions: which agent did what, on whose behalf, under which "
            "decision. Read-only.",
        },
        "paths": {
            f"/api/v1/{question.name}": _path(question, refs[question.answer, "serialization"], max_items)
            for question in asked
        },
        "security": [{"token": []}, {"session": []}, {}],
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM},
        },
    }


def _path(question: AnyQuestion, answer: dict[str, Any], max_items: int) -> dict[str, Any]:
    own, common = _parameters(question, max_items), _common(question)
    operation = _operation(question, answer)
    found = {"get": {**operation, "parameters": [*own, *common]}}
    if posted.takes(question):
        body = {
            "type": "object",
            "additionalProperties": False,
            "required": [each["name"] for each in own if each["required"]],
            "properties": {
                each["name"]: {**each["schema"], "description": each["description"]} for each in own
            },
        }
        found["post"] = {
            **operation,
            "operationId": f"{operation['operationId']}_posted",
            "parameters": common,
            "requestBody": {"required": True, "content": {posted.JSON: {"schema": body}}},
            "responses": {**operation["responses"], **_problems(_PROBLEMS_OF_A_BODY)},
        }
    return found


def _operation(question: AnyQuestion, answer: dict[str, Any]) -> dict[str, Any]:
    """What is the same however it is asked."""
    content: dict[str, Any] = {"application/json": {"schema": {"anyOf": [answer, _STATEMENTS]}}}
    if issubclass(question.answer, Listing):
        content["text/csv"] = {"schema": {"type": "string"}}
    return {
        "operationId": question.name.replace("-", "_"),
        "summary": question.title,
        "responses": {"200": {"description": "The answer.", "content": content}, **_problems(_PROBLEMS)},
    }


def _problems(texts: dict[str, str]) -> dict[str, Any]:
    return {
        status: {
            "description": text,
            "content": {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
        }
        for status, text in texts.items()
    }


_STATEMENTS: dict[str, Any] = {
    "type": "object",
    "description": "With `sql=true`: what was run.",
    "required": ["statements"],
    "additionalProperties": False,
    "properties": {
        "statements": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["query", "text", "parameters"],
                "properties": {
                    "query": {"type": "string"},
                    "text": {"type": "string"},
                    "parameters": {"type": "object"},
                },
            },
        }
    },
}


def _parameters(question: AnyQuestion, max_items: int) -> list[dict[str, Any]]:
    schema: dict[str, Any] = question.parameters.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.get("$defs", {})
    found: list[dict[str, Any]] = []
    for name, field in question.parameters.model_fields.items():
        value = _given(schema["properties"][name], definitions)
        if is_time(field):
            value = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": AGO}]}
        if name == "limit":
            value |= {bound: min(value[bound], max_items) for bound in ("default", "maximum")}
        found.append(
            {
                "name": name,
                "in": "query",
                "required": field.is_required(),
                "description": field.description or "",
                "schema": value,
                **({"style": "form", "explode": True} if is_many(field) else {}),
            }
        )
    return found


def _given(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema on its own, without the null that a query string cannot say."""
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
    choices = [_given(each, definitions) for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    rest = {
        key: value
        for key, value in schema.items()
        if key not in ("anyOf", "title", "description", "$ref") and not (key == "default" and value is None)
    }
    if isinstance(rest.get("items"), dict):
        rest["items"] = _given(cast("dict[str, Any]", rest["items"]), definitions)
    if len(choices) == 1:
        return {**rest, **choices[0]}
    return {**rest, "anyOf": choices} if choices else rest


def _common(question: AnyQuestion) -> list[dict[str, Any]]:
    formats = ["json", "csv"] if issubclass(question.answer, Listing) else ["json"]
    return [
        _common_parameter(
            "tenant",
            "About whose spans it is asked; without it, about those of the service's own tenant.",
            TypeAdapter(Tenant).json_schema(),
        ),
        _common_parameter(
            "format", "How the answer is written.", {"type": "string", "enum": formats, "default": "json"}
        ),
        _common_parameter(
            "sql",
            "The queries that were run, instead of what they found.",
            {"type": "string", "enum": ["true", "false"], "default": "false"},
        ),
    ]


def _common_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
