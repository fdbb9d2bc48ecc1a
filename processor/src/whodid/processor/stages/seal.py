"""Seal: the batch in the store's own columns, complete and in order; nothing changes after this."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import numpy as np

from whodid.processor.arrow import Array, Table, pa, pc
from whodid.processor.batch import Batch, Findings
from whodid.processor.settings import DEFAULT_LIMITS, LimitSettings
from whodid.processor.stages.decode import maps
from whodid.processor.stages.surroundings import objects
from whodid.semconv.definitions import Attribute, Column
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import FindingRule
from whodid.store import schema
from whodid.store.surroundings import SURROUNDINGS


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the store inserts: two tables with exactly its columns."""

    spans: Table
    findings: Table


def seal(
    batch: Batch, arrived_on: datetime.date, tenant: str = "", limits: LimitSettings = DEFAULT_LIMITS
) -> Sealed:
    """The batch as the store keeps it, as `tenant`'s; `arrived_on` is the day (UTC) of its arrival.

    A span outside the window is kept under the day of its arrival: retention counts from there, and one
    request cannot make thousands of partitions.
    """
    columns: dict[str, Any] = {name: batch.spans.column(name) for name in batch.spans.column_names}
    columns["tenant_id"] = pa.repeat(tenant, batch.row_count)
    columns["day"], outside = _days(columns["start_time"].combine_chunks(), arrived_on, limits)
    strings, others = maps(batch.attributes, batch.lifted)
    columns |= {"attributes": strings, "attributes_other": others}
    for name in SURROUNDINGS:
        kinds = (f"{name}_attributes", f"{name}_attributes_other")
        columns[name] = objects(*(columns[kind].combine_chunks() for kind in kinds))
    for attribute in ATTRIBUTES.values():
        if attribute.column is not None:
            columns[attribute.column_name] = _filled(batch, attribute)
    message = (
        f"the start time is more than {limits.days_back} days before the span's arrival or more than "
        f"{limits.days_ahead} after it; the span is kept under the day of its arrival"
    )
    late = Findings(FindingRule.TIME_OUTSIDE_WINDOW, "start_time", message, np.flatnonzero(outside))
    findings = (*batch.findings, late)
    spans = pa.table({name: columns[name] for name in schema.span_columns()})
    return Sealed(spans, _finding_table(columns, findings))


def _days(start_times: Any, arrived_on: datetime.date, limits: LimitSettings) -> tuple[Array, Any]:
    """The partition of each span, and which spans got the day of arrival, for their time cannot be right."""
    days = np.asarray(start_times.cast(pa.date32()).cast(pa.int32()))
    today = (arrived_on - datetime.date(1970, 1, 1)).days
    outside = (days < today - limits.days_back) | (days > today + limits.days_ahead)
    return pa.array(np.where(outside, today, days).astype(np.int32)).cast(pa.date32()), outside


def _filled(batch: Batch, attribute: Attribute) -> Any:
    column = batch.columns.get(attribute.name)
    kind = attribute.column
    if kind is Column.ARRAY:
        empty: Any = pa.array([[]], pa.list_(pa.string()))
        if column is None:
            return empty.take(pa.array(np.zeros(batch.row_count, dtype=np.int64)))
        return pc.if_else(pc.is_valid(column), column, empty[0]) if column.null_count else column
    if kind is Column.INT:
        return pa.nulls(batch.row_count, pa.int64()) if column is None else column
    if column is None:
        return pa.repeat("", batch.row_count)
    return pc.fill_null(column, "") if column.null_count else column


def _finding_table(columns: dict[str, Any], findings: tuple[Findings, ...]) -> Table:
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(finding.rows for finding in findings)])
    texts = [(each.rule.value, each.severity.value, each.attribute, each.message) for each in findings]
    which = pa.array(np.repeat(np.arange(len(findings)), [len(finding.rows) for finding in findings]))
    values: dict[str, Any] = {
        name: columns[name].take(pa.array(rows))
        for name in ("tenant_id", "day", "trace_id", "span_id", "start_time")
    }
    for position, name in enumerate(("rule", "severity", "attribute", "message")):
        values[name] = pa.array([text[position] for text in texts], pa.string()).take(which)
    return pa.table({name: values[name] for name in schema.finding_columns()})
