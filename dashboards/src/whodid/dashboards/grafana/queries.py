"""The queries behind panels, variables and alert rules: files in `sql/`, with what they share put in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from whodid.store.questions.credential import HOLDING
from whodid.store.questions.unattributed import UnattributedParameters

# `{name}`, but never `${name}`, which is Grafana's.
_PLACE = re.compile(r"(?<!\$)\{([a-z_]+)\}")
_PARTS = "parts"

OF_TENANT = "tenant_id = ${tenant:singlequote}"
"""What every row that a panel shows has to fulfil: the one place where the dashboard's tenant comes in."""
OF_ALL = "true"
"""The same in an alert rule, which has no dashboard: it tells tenants apart by its labels."""


@dataclass(frozen=True, slots=True)
class Databases:
    """Where the tables are."""

    store: str = "whodid"
    metrics: str = "otel"
    """That of the tables `otel_metrics_*`, into which a collector writes the processor's own metrics."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query as Grafana gets it, macros and variables in it."""

    name: str
    """Its file below `sql/`: `overview/totals`."""
    sql: str
    about: str
    """What it tells, for people: the comment that the file begins with."""
    columns: dict[str, str]
    """The type of each column, as ClickHouse names it. A test holds the answer of a real store against it."""


def read(name: str, databases: Databases) -> Query:
    """The query of `sql/<name>.sql`.

    A file begins with a comment for people, then `-- columns: name Type, …`. What is in braces is put in: a
    query of `sql/parts/` in parentheses, the databases, the tenant's condition, and lists that belong to the
    store's questions.
    """
    about, columns, sql = _split(_file(name))
    of = OF_ALL if name.startswith("alerts/") else OF_TENANT
    return Query(name, _filled(sql, databases, of), about, columns)


def _filled(sql: str, databases: Databases, tenant: str) -> str:
    def put(place: re.Match[str]) -> str:
        known = {
            "database": databases.store,
            "metrics": databases.metrics,
            "tenant": tenant,
            "operations": _list(UnattributedParameters.model_fields["operations"].default),
            "holding": _list(HOLDING),
        }
        name = place.group(1)
        if name in known:
            return known[name]
        _, _, part = _split(_file(f"{_PARTS}/{name}"))
        return f"(\n{_filled(part, databases, tenant)}\n)"

    return _PLACE.sub(put, sql)


def _split(text: str) -> tuple[str, dict[str, str], str]:
    """A file's comment, its columns, and its query."""
    lines = text.strip().splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    comment = [line.removeprefix("--").strip() for line in lines[:first]]
    columns = [line.removeprefix("columns:") for line in comment if line.startswith("columns:")]
    about = " ".join(line for line in comment if not line.startswith("columns:"))
    return about, _columns(",".join(columns)), "\n".join(lines[first:])


def _columns(text: str) -> dict[str, str]:
    """`a UInt64, b DateTime64(9, 'UTC')`, by name."""
    each = re.findall(r"([a-z_]+) ([A-Za-z0-9]+(?:\([^)]*\)+)?)", text)
    return dict(each)


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _file(name: str) -> str:
    return resources.files("whodid.dashboards.grafana").joinpath("sql", f"{name}.sql").read_text()
