"""Surroundings: the attributes of each resource and each scope as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from whodid.processor.arrow import Array, Strings, pa, pc
from whodid.store.surroundings import MARKED, NOT_JSON


def objects(strings: Array, others: Array) -> Strings:
    """Per span the object of what it is in, by both of its maps (`decode.maps`); empty where both are.

    The maps are dictionary arrays over the same resources or scopes. A string is a string, and every other
    value the JSON that it was.
    """
    first, then = _members(strings.dictionary, _quoted), _members(others.dictionary, _value)
    no_first, no_other = pc.equal(first, ""), pc.equal(then, "")
    between = pc.if_else(pc.or_(no_first, no_other), "", ",")
    written = pc.binary_join_element_wise("{", first, between, then, "}", "")
    return pc.if_else(pc.and_(no_first, no_other), "", written).take(strings.indices)


def _members(maps: Array, write: Callable[[str], str]) -> Strings:
    """The inside of each map's object."""
    pairs = pc.binary_join_element_wise(_each(maps.keys, _quoted), _each(maps.items, write), ":")
    return pc.binary_join(pa.ListArray.from_arrays(maps.offsets, pairs), ",")


def _each(texts: Any, write: Callable[[str], str]) -> Strings:
    """Each text as `write` has it, which is asked once for each different one."""
    encoded = texts.dictionary_encode()
    written = [write(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(written, pa.string()).take(encoded.indices)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _value(text: str) -> str:
    if text.startswith(MARKED):  # what was sent so is a value, and stands for none
        return _marked(text)
    try:
        json.loads(text, parse_constant=_refused)
    except ValueError:
        return _marked(text)
    return text


def _marked(text: str) -> str:
    return json.dumps({NOT_JSON: text}, ensure_ascii=False, separators=(",", ":"))


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)
