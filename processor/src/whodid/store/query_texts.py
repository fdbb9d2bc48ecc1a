"""The texts of the queries in `sql/`, each with those of its conditions that something was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

_FILES = jinja2.Environment(
    loader=jinja2.PackageLoader("whodid.store", "sql"),
    undefined=jinja2.StrictUndefined,  # a condition with a misspelt name must not be one that is never asked
    autoescape=False,  # noqa: S701 it is SQL, and no value gets into it: they are the query's parameters
    auto_reload=False,
    keep_trailing_newline=True,
)


def query_text(query: str, database: str, given: Mapping[str, Any]) -> str:
    """One of the queries, for a database.

    `given` are its parameters. No value of theirs gets into the text, only whether there is one: a query may
    leave out what is not asked for (`{% if given.status %}`), and take parts that others have too.
    """
    return _FILES.get_template(f"{query}.sql").render(given=given).replace("{database}", database)
