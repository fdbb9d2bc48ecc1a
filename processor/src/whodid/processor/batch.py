"""The batch that goes through the pipeline: spans as Arrow columns, never as Python objects."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import Array, Strings, Table, pa
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingRule
from whodid.semconv.values import FindingSeverity as Severity

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Kind(IntEnum):
    """The type that an attribute's value had on the wire (OTLP `AnyValue`)."""

    EMPTY = 0
    STRING = 1
    BOOL = 2
    INT = 3
    DOUBLE = 4
    ARRAY = 5
    MAP = 6
    BYTES = 7


@cache
def is_one_of(kinds: frozenset[Kind]) -> Mask:
    """By a kind's number, whether it is one of these; for a column of numbers at once."""
    table = np.zeros(1 << 8, dtype=np.bool_)
    table[list(kinds)] = True
    return table


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes in long form, one entry a value, sorted by key: the values of one key are one slice.

    `texts` is the value itself for a string, and JSON for every other kind.
    """

    owner_count: int
    """How many owners (spans, resources, events …) the entries are spread over."""
    owners: Rows
    """The entry's owner, from 0 to owner_count - 1."""
    codes: npt.NDArray[np.int32]
    """The entry's key, as an index into `names`."""
    kinds: npt.NDArray[np.uint8]
    texts: Strings
    names: tuple[str, ...]
    """Keys, each once, in sorted order; some may occur only on a resource, a scope, an event or a link."""
    starts: Rows = field(init=False, repr=False)
    """Where each key's entries begin, and after them the last one's end."""

    def __post_init__(self) -> None:
        # In the codes' own type: of another one NumPy would make a copy of all of them.
        every = np.arange(len(self.names) + 1, dtype=self.codes.dtype)
        object.__setattr__(self, "starts", np.searchsorted(self.codes, every))

    def entries(self, name: str) -> slice:
        """The entries with this key; an empty slice where there are none."""
        code = bisect_left(self.names, name)
        if code >= len(self.names) or self.names[code] != name:
            return slice(0, 0)
        return slice(int(self.starts[code]), int(self.starts[code + 1]))

    def positions(self, name: str, kinds: frozenset[Kind]) -> Rows | None:
        """Per owner the position of its last value of such a kind for this key, or -1; None if there is none.

        A key that comes twice is against OTLP; the last one counts, as in most SDKs.
        """
        found = self.entries(name)
        if found.start == found.stop:
            return None
        wanted = is_one_of(kinds)[self.kinds[found]]
        if not wanted.any():
            return None
        positions = np.full(self.owner_count, -1, dtype=np.int64)
        within: Rows = np.flatnonzero(wanted) + found.start
        positions[self.owners[within]] = within
        return positions

    def at(self, positions: Rows) -> Strings:
        """The texts at these positions; null where the position is -1."""
        count = len(positions)
        if count and positions[0] >= 0 and (np.diff(positions) == 1).all():
            return self.texts.slice(int(positions[0]), count)  # every owner has one: nothing to copy
        return self.texts.take(pa.array(positions, mask=positions < 0))

    def with_entries(self, name: str, source: Rows) -> Attributes:
        """The same with the entries at the positions `source` once more, under another key."""
        names = tuple(sorted({*self.names, name}))
        moved = np.searchsorted(np.asarray(names, dtype=object), np.asarray(self.names, dtype=object))
        code = np.int32(names.index(name))
        codes = np.concatenate([moved.astype(np.int32)[self.codes], np.full(len(source), code)])
        order = np.argsort(codes, kind="stable")
        positions = np.concatenate([np.arange(len(self.codes)), source])[order]
        texts = self.texts.take(pa.array(positions))
        return Attributes(
            self.owner_count, self.owners[positions], codes[order], self.kinds[positions], texts, names
        )

    def strings(self, name: str) -> Strings | None:
        """Per owner its string value for this key, null where it has none; None if no owner has one."""
        positions = self.positions(name, frozenset((Kind.STRING,)))
        return None if positions is None else self.at(positions)


@dataclass(frozen=True, slots=True)
class Findings:
    """One rule's findings in a batch: the rows of the spans it found something wrong with."""

    rule: FindingRule
    attribute: str
    """The attribute, or the field of the span, that it is about."""
    message: str
    """What was found and what was expected, the same for every row; no content, no secret."""
    rows: Rows

    @property
    def severity(self) -> Severity:
        """How bad it is, as the conventions have it."""
        return Severity(RULES[self.rule].severity)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a stage takes and gives back; a stage returns a changed copy (`dataclasses.replace`)."""

    spans: Table
    """A row a span: what OTLP itself defines, and its resource, scope, events and links."""
    attributes: Attributes
    """The spans' attributes as they arrived."""
    columns: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """Attribute name to its canonical values, a value a span, null where missing."""
    lifted: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    """Which entries of `attributes` stand in `columns` and are not kept a second time in the map."""
    findings: tuple[Findings, ...] = ()

    @property
    def row_count(self) -> int:
        return self.spans.num_rows

    def missing(self, name: str) -> Mask:
        """Which spans have no value for a canonical attribute."""
        column = self.columns.get(name)
        if column is None:
            return np.ones(self.row_count, dtype=np.bool_)
        return np.asarray(column.is_null())
