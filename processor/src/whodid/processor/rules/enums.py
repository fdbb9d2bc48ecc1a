"""Whether an enum's value is one that somebody defined."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whodid.processor.arrow import pa, pc
from whodid.processor.batch import Findings, Mask
from whodid.processor.rules.telling import per_value, pick
from whodid.processor.rules.view import View
from whodid.semconv.definitions import Attribute
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import FindingRule

_CLOSED = tuple(attribute for attribute in ATTRIBUTES.values() if attribute.values and attribute.closed)
_OPEN = tuple(attribute for attribute in ATTRIBUTES.values() if attribute.values and not attribute.closed)


def undefined_value(view: View) -> Iterator[Findings]:
    """A closed enum has a value that nobody defined, which an auditor cannot act on."""
    return _outside(view, FindingRule.UNDEFINED_VALUE, _CLOSED, "one of")


def open_value(view: View) -> Iterator[Findings]:
    """An open enum has a value that the registry does not list."""
    return _outside(view, FindingRule.OPEN_VALUE, _OPEN, "rather one of")


def _outside(
    view: View, rule: FindingRule, attributes: tuple[Attribute, ...], word: str
) -> Iterator[Findings]:
    for attribute in attributes:
        encoded = view.encoded(attribute.name)
        if encoded is None:
            continue
        unknown: Mask = np.zeros(len(encoded.values) + 1, dtype=np.bool_)
        unknown[:-1] = ~np.asarray(pc.is_in(encoded.values, pa.array(attribute.values)))
        if not unknown.any():
            continue
        rows = np.flatnonzero(unknown[encoded.codes])
        values = pick(view.texts(attribute.name), rows)
        yield from per_value(rule, attribute.name, rows, values, f"{word} {', '.join(attribute.values)}")
