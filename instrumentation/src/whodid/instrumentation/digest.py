"""Digests of arguments, objectives and contexts: SHA-256 of JSON with sorted keys and no white space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from whodid.instrumentation.weakly import ByObject


class CannotFreezeError(Exception):
    """The value is not JSON, so no digest can stand for it."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Arguments as they were when the action was asked for: a copy that nobody else holds."""

    text: str
    """Canonical JSON."""
    hash: str
    """`sha256:` and 64 hex digits of `text` in UTF-8."""

    def value(self) -> Any:
        """A fresh copy of the arguments."""
        return json.loads(self.text)


def sha256_text(text: str) -> str:
    """`sha256:` and the 64 hex digits of the text in UTF-8."""
    # Models do emit lone surrogates; they must not keep an action from being recorded.
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=True
)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space; numbers as Python writes them.

    Raises CannotFreezeError for what JSON does not have: other objects, NaN, keys that are not text, cycles.
    """
    try:
        return _CANONICAL.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise CannotFreezeError(type(error).__name__) from error


def freeze(arguments: Any) -> Frozen:
    """Freeze a call's arguments. Text is taken as the JSON that a model wrote; None counts as no arguments.

    Raises CannotFreezeError.
    """
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise CannotFreezeError(type(error).__name__) from error
    text = canonical_json({} if arguments is None else arguments)
    return Frozen(text, sha256_text(text))


_definitions: Final[ByObject[tuple[Any, str]]] = ByObject()


def definition_hash(definition: Mapping[str, Any] | None, tool: object = None) -> str | None:
    """The digest of a tool's definition; None if there is none, or it is not JSON.

    It is kept with the tool, if one is given, beside a copy of what it stands for: a definition that was
    changed in place is another one.
    """
    if definition is None:
        return None
    known = None if tool is None else _definitions.get(tool)
    if known is not None and known[0] == definition:
        return known[1]
    try:
        frozen = freeze(definition)
    except CannotFreezeError:
        return None
    if tool is not None:
        _definitions.set(tool, (frozen.value(), frozen.hash))
    return frozen.hash
