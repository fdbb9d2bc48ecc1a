"""`whodid dashboards`: what other tools show of the store: dashboards and alert rules for Grafana."""

from __future__ import annotations

from pathlib import Path

import click

from whodid.processor.errors import WhodidError


@click.group(name="dashboards", short_help="Dashboards and alert rules for Grafana.")
def command() -> None:
    """Dashboards for other tools. whodid's own pages come with `whodid up`."""


@command.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("dashboards/grafana"),
    show_default=True,
    help="The folder that gets them: dashboards/*.json and alerting/*.json.",
)
@click.option("--check", is_flag=True, help="Write nothing, and fail where a file is not what it has to be.")
@click.option("--database", default="whodid", show_default=True, help="The store's database.")
@click.option(
    "--metrics-database",
    default="otel",
    show_default=True,
    help="Where a collector writes the processor's own metrics (otel_metrics_*).",
)
@click.option(
    "--datasource-uid",
    default="whodid-clickhouse",
    show_default=True,
    help="The data source that alert rules ask; a dashboard lets its viewer choose.",
)
def grafana(out: Path, database: str, metrics_database: str, datasource_uid: str, *, check: bool) -> None:
    """Write dashboards and alert rules for Grafana's ClickHouse plugin. docs/grafana.md has more."""
    from whodid.dashboards.grafana import files
    from whodid.dashboards.grafana.queries import Databases
    from whodid.store.connection import Location

    for name in (database, metrics_database):
        Location.parse("chdb:///any", database=name)  # it refuses what is no name for a database
    made = files.rendered(Databases(database, metrics_database), datasource_uid)
    if check:
        stale = files.stale(out, made)
        if stale:
            raise WhodidError(
                f"stale in {out}: {', '.join(map(str, stale))}", "write them with `whodid dashboards grafana`"
            )
        return
    for path in files.write(out, made):
        click.echo(out / path)
