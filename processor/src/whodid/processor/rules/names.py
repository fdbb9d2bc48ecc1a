"""Whether an attribute's name is one that the registry has today."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from whodid.processor.batch import Findings
from whodid.processor.rules.view import View
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import FindingRule

_NAMESPACE = "attribution"
_MAX_EDITS = 2
_OURS = tuple(
    name for name, each in ATTRIBUTES.items() if name.startswith(f"{_NAMESPACE}.") and not each.renamed_to
)

MAX_NAMES = 100
"""How many strange names of one batch are looked into."""

MAX_NAME_CHARACTERS = 256
"""A longer name is nobody's slip, and is not remembered."""


def deprecated_name(view: View) -> Iterator[Findings]:
    """The attribute has a newer name."""
    for name in view.batch.attributes.names:
        attribute = ATTRIBUTES.get(name)
        if attribute is not None and attribute.renamed_to is not None:
            message = f"{name} is the older name; expected {attribute.renamed_to}"
            yield _found(view, FindingRule.DEPRECATED_NAME, name, message)


def strange_name(view: View) -> Iterator[Findings]:
    """The name is in our namespace, or in one that is nearly ours, and the registry does not have it."""
    strange = [
        name
        for name in view.batch.attributes.names
        if name not in ATTRIBUTES and len(name) <= MAX_NAME_CHARACTERS and _near_ours(name)
    ]
    for name in strange[:MAX_NAMES]:
        meant = nearest(name)
        if meant is not None:
            yield _found(view, FindingRule.MISSPELT_NAME, name, f"{name} is unknown; expected {meant}")
        elif name.startswith(f"{_NAMESPACE}."):
            message = f"{name} is unknown; expected a name of the registry, or one in a namespace of your own"
            yield _found(view, FindingRule.UNKNOWN_NAME, name, message)


@lru_cache(maxsize=4096)
def nearest(name: str) -> str | None:
    """The registry's name that is meant: the one fewest edits away, and at most two."""
    for edits in range(1, _MAX_EDITS + 1):
        for ours in _OURS:
            if abs(len(ours) - len(name)) <= edits and within(name, ours, edits):
                return ours
    return None


def within(one: str, other: str, edits: int) -> bool:
    """Whether so many insertions, deletions and replacements of characters make one text of the other."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    if not one or not other:
        return len(one) + len(other) <= edits
    if edits == 0:
        return False
    return (
        within(one[1:], other, edits - 1)
        or within(one, other[1:], edits - 1)
        or within(one[1:], other[1:], edits - 1)
    )


@lru_cache(maxsize=4096)
def _near_ours(name: str) -> bool:
    namespace, dot, _ = name.partition(".")
    close = abs(len(namespace) - len(_NAMESPACE)) <= _MAX_EDITS
    return bool(dot) and close and within(namespace, _NAMESPACE, _MAX_EDITS)


def _found(view: View, rule: FindingRule, name: str, message: str) -> Findings:
    attributes = view.batch.attributes
    return Findings(rule, name, message, np.unique(attributes.owners[attributes.entries(name)]))
