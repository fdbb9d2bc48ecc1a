"""Any SELECT over one tenant's rows: checked by ClickHouse's own parser, bound to the tenant, bounded."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from whodid.store.questions.question import Parameters, Question
from whodid.store.reader import Statement
from whodid.store.records import Record
from whodid.store.store import SqlError

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_ROWS = 10_000
MAX_RESULT_BYTES = 64 << 20
MAX_QUERY_CHARACTERS = 20_000

# Table functions that read nothing. All others read files, other servers, or tables past the tenant's filter.
_HARMLESS = frozenset(
    ("generate_series", "generateseries", "numbers", "numbers_mt", "primes", "values", "zeros", "zeros_mt")
)
# Functions that read what is named in a text, which no check of table names sees.
_READING = re.compile(r"(?i)dict|joinget|hascolumnintable|catboost|sleep")


class SqlParameters(Parameters):
    """What `sql` is asked with."""

    query: str = Field(
        min_length=1,
        max_length=MAX_QUERY_CHARACTERS,
        description="One SELECT over spans, findings, trace_index, actions_hourly and id_times.",
    )
    limit: int = Field(1_000, ge=1, le=MAX_ROWS, description="How many rows are told at most.")


class Rows(Record):
    """What a SELECT found."""

    columns: list[str]
    rows: list[list[Any]]
    """Ids are hexadecimal digits, times RFC 3339; what JSON does not have is text."""
    truncated: bool
    """There are more rows than were asked for."""


def select(reader: Reader, parameters: SqlParameters) -> Rows:
    """The rows that the tenant may read.

    Raises SqlError, QueryTooBroadError and StoreUnavailableError.
    """
    query = _Query(reader)
    text = query.checked(parameters.query)
    settings = {
        **reader.limits.as_settings(),
        "readonly": 2,
        "limit": parameters.limit + 1,
        "max_result_bytes": MAX_RESULT_BYTES,
        "additional_table_filters": query.tenant_filters(),
    }
    reader.statements.append(Statement("sql", text, {"tenant": reader.tenant}))
    names, rows = reader.store.query(text, {}, settings)
    told = [[_json(value) for value in row] for row in rows[: parameters.limit]]
    return Rows(columns=names, rows=told, truncated=len(rows) > parameters.limit)


class _Query:
    """Holds a statement against what may be read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._database = reader.store.database
        found = self._run(
            "SELECT DISTINCT table, name = 'tenant_id' FROM system.columns "
            "WHERE database = {database:String} AND (name = 'tenant_id' OR position = 1)",
            {"database": self._database},
        )
        self._tables = {table for table, _ in found}
        self._with_tenant = {table for table, bound in found if bound}

    def checked(self, text: str) -> str:
        """The statement as ClickHouse's parser writes it, if it reads nothing but the store's tables."""
        # The parser takes one statement and drops comments; inside of brackets only a SELECT is one, and
        # neither INTO OUTFILE nor FORMAT can be said.
        text = self._formatted(text.strip().rstrip(";"))
        if not re.match(r"(?i)\(|SELECT\b|WITH\b", text):
            raise SqlError(
                "only a SELECT may be run: the store is read, and nothing else", "begin with SELECT or WITH"
            )
        self._formatted(f"SELECT * FROM (\n{text}\n)")
        functions = {
            name.lower() for (name,) in self._run("SELECT name FROM system.table_functions", {})
        } - _HARMLESS
        databases = {name for (name,) in self._run("SELECT name FROM system.databases", {})}
        # As a subquery: on its own it would explain the FORMAT that the client adds, or be in it.
        for (line,) in self._run(f"SELECT explain FROM (EXPLAIN AST {text}\n)", {}):
            self._check(line.strip(), functions, databases - {self._database})
        return text

    def tenant_filters(self) -> str:
        """ClickHouse's setting that adds the tenant's condition to each table wherever it is read."""
        # Neither a tenant's name nor a table's can hold a quote: Tenant's pattern, and our own schema.
        said = (
            f"'{self._database}.{table}': 'tenant_id = \\'{self._reader.tenant}\\''"
            for table in sorted(self._with_tenant)
        )
        return f"{{{', '.join(said)}}}"

    def _check(self, line: str, functions: set[str], databases: set[str]) -> None:
        kind, _, rest = line.partition(" ")
        name = re.sub(r" \((alias .*|children \d+)\)$", "", rest)
        name = re.sub(r" \(alias .*\)$", "", name)
        if kind == "Set":
            raise SqlError("settings may not be changed", "leave SETTINGS out")
        if kind == "Function" and (name.lower() in functions or _READING.match(name)):
            raise SqlError(f"the function {name} may not be used here", f"read {self._told}")
        # A SELECT without FROM reads the one row of system.one, in the words of the parser.
        if kind == "TableIdentifier" and "." in name and name != "system.one":
            if name.removeprefix(f"{self._database}.") not in self._tables:
                raise SqlError(f"the table {name} may not be read here", f"read {self._told}")
        elif kind == "Identifier" and name.partition(".")[0] in databases:
            # The right side of IN is a table, and looks like any other name.
            raise SqlError(f"{name} is in another database", f"read {self._told}")

    @property
    def _told(self) -> str:
        return ", ".join(sorted(self._tables))

    def _formatted(self, text: str) -> str:
        return str(self._run("SELECT formatQuery({query:String})", {"query": text})[0][0])

    def _run(self, text: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        # Without settings: the embedded store would explain them too.
        _, rows = self._reader.store.query(text, parameters, {})
        return rows


def _json(value: Any) -> Any:
    """A cell as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _json(each) for key, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set):
        return [_json(each) for each in cast("Iterable[Any]", value)]
    return value if value is None or isinstance(value, str | int) else str(value)


SELECT = Question("sql", "What does this SELECT find?", SqlParameters, Rows, select)
"""Asked like a question, and none of them: it has no meaning of its own."""
