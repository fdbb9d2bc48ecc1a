"""`whodid sql 'SELECT …'`: whatever no question asks, read-only, bounded, and of one tenant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command("sql")
@click.argument("query", metavar="SELECT")
@click.option("--limit", type=int, default=1_000, show_default=True, help="How many rows are told at most.")
@click.option("--tenant", help="About whose spans.  [default: the service's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the service or the store to ask.  [default: .whodid]",
)
def command(query: str, data_dir: Path | None, **given: Any) -> None:
    """Run one SELECT over the store's tables: whatever no question asks.

    SELECT may be - for standard input. Nothing but the rows of one tenant is read, and nothing is written:
    no settings, no files, no other databases. docs/store.md says what is in which table.
    """
    from whodid.cli import answers, render
    from whodid.store.free_sql import SELECT
    from whodid.store.questions.asking import parse, tenant_name

    text = sys.stdin.read() if query == "-" else query
    parameters = parse(SELECT, [("query", text), ("limit", str(given["limit"]))])
    tenant = None if given["tenant"] is None else tenant_name(given["tenant"])
    with answers.source(data_dir, tenant) as source, render.waiting("the store"):
        found = source.ask(SELECT, parameters)
    if given["as_json"]:
        print(render.as_json(found))
    elif given["as_csv"]:
        render.csv_of(found.columns, found.rows)
    else:
        render.table_of(found.columns, found.rows)
    if found.truncated:
        print(f"there are more than {len(found.rows)} rows: --limit, or LIMIT in the SELECT", file=sys.stderr)
