"""Payload: what an insert sends, both tables' rows as compressed Arrow, made before the store is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from whodid.processor.arrow import Table, pa

if TYPE_CHECKING:
    from whodid.processor.stages.seal import Sealed


@dataclass(frozen=True, slots=True)
class Stream:
    """The rows of one table in Arrow's IPC streaming format."""

    columns: tuple[str, ...]
    row_count: int
    content: Any
    """A `pyarrow.Buffer`; its buffers are compressed with LZ4, a quarter of what they are as a table."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One insert. It waits for the store in a quarter of the memory that its tables take."""

    spans: Stream
    findings: Stream
    found: Counter[str]
    """How often each rule has found something."""

    @classmethod
    def of(cls, parts: Iterable[Sealed]) -> Self:
        """The parts' rows, one behind the other. Of a generator each part is let go before the next is made.

        Raises ValueError where there is no part.
        """
        spans, findings, found = _Writer(), _Writer(), Counter[str]()
        for part in parts:
            spans.write(part.spans)
            findings.write(part.findings)
            for each in part.findings.column("rule").value_counts().to_pylist():
                found[each["values"]] += each["counts"]
        return cls(spans.closed(), findings.closed(), found)


class _Writer:
    def __init__(self) -> None:
        self._sink: Any = pa.BufferOutputStream()
        self._stream: Any = None
        self._columns: tuple[str, ...] = ()
        self._row_count = 0

    def write(self, rows: Table) -> None:
        if self._stream is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._stream = pa.ipc.new_stream(self._sink, rows.schema, options=options)
            self._columns = tuple(rows.column_names)
        self._stream.write_table(rows)
        self._row_count += rows.num_rows

    def closed(self) -> Stream:
        if self._stream is None:
            raise ValueError("a payload needs at least one part, which may be empty")
        self._stream.close()
        return Stream(self._columns, self._row_count, self._sink.getvalue())
