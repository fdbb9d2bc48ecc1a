"""What Grafana and its ClickHouse plugin make of a query before ClickHouse gets it: variables, then macros.

Written from the plugin's documentation, version 4.20. What is not known here is left in the query, where
ClickHouse refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

ALL = "$__all"
Values = Mapping[str, str | Sequence[str]]

_VARIABLE = re.compile(r"\$\{([a-z_]+)(?::([a-z]+))?\}|\$([a-z][a-z_]*)")
_CONDITIONAL = "$__conditionalAll("


@dataclass(frozen=True, slots=True)
class Range:
    """The time that a dashboard shows or a rule looks at, and the step that Grafana takes for it."""

    since: datetime
    until: datetime
    step_s: int = 60


def expanded(sql: str, time: Range, values: Values | None = None) -> str:
    """The query as ClickHouse gets it. `values`: those of the dashboard's variables."""
    values = values or {}
    return _macros(_variables(_conditionals(sql, values), values), time)


def _conditionals(sql: str, values: Values) -> str:
    """`$__conditionalAll(condition, $variable)`, which the browser expands: no condition for all of them."""
    while (at := sql.find(_CONDITIONAL)) >= 0:
        inside, end = _arguments(sql, at + len(_CONDITIONAL))
        condition, variable = inside
        value = values[variable.strip().lstrip("$").strip("{}")]
        nothing = value in ("", ALL) or list(value) == [ALL]
        sql = sql[:at] + ("1=1" if nothing else condition) + sql[end:]
    return sql


def _arguments(sql: str, begin: int) -> tuple[list[str], int]:
    """The arguments from `begin` to the parenthesis that closes them, and what comes after it."""
    arguments, depth, last = list[str](), 0, begin
    for at in range(begin, len(sql)):
        if sql[at] in ",)" and depth == 0:
            arguments.append(sql[last:at])
            last = at + 1
        if sql[at] == ")" and depth == 0:
            return arguments, at + 1
        depth += (sql[at] == "(") - (sql[at] == ")")
    raise AssertionError(f"a parenthesis is not closed: {sql[begin:]}")


def _variables(sql: str, values: Values) -> str:
    def put(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(3)
        if name not in values:
            return found.group(0)
        several = values[name] if not isinstance(values[name], str) else [values[name]]
        if found.group(2) == "singlequote":
            return ",".join("'" + str(each).replace("'", "\\'") + "'" for each in several)
        assert found.group(2) in (None, "raw"), f"no such format in SQL: {found.group(0)}"
        return ",".join(map(str, several))

    return _VARIABLE.sub(put, sql)


def _macros(sql: str, time: Range) -> str:
    seconds = [f"toDateTime({int(at.timestamp())})" for at in (time.since, time.until)]
    millis = [f"fromUnixTimestamp64Milli({int(at.timestamp() * 1000)})" for at in (time.since, time.until)]

    with_column = {
        "timeFilter": r"\1 >= {} AND \1 <= {}".format(*seconds),
        "timeFilter_ms": r"\1 >= {} AND \1 <= {}".format(*millis),
        "timeInterval": rf"toStartOfInterval(toDateTime(\1), INTERVAL {time.step_s} second)",
    }
    alone = {
        "fromTime_ms": millis[0],
        "toTime_ms": millis[1],
        "fromTime": seconds[0],
        "toTime": seconds[1],
        "interval_s": str(time.step_s),
    }
    for name, text in with_column.items():
        sql = re.sub(rf"\$__{name}\(([^)]*)\)", text, sql)
    for name, text in alone.items():
        sql = re.sub(rf"\$__{name}\b", text, sql)
    return sql
