"""`whodid schema`: the store's tables as statements, brought up to date, and what they hold and cost."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from collections.abc import Generator

    from whodid.processor.settings import Settings
    from whodid.store import Store
    from whodid.store.cost import Cost

_config = click.option(
    "--config", type=click.Path(path_type=Path), help="The configuration file. [default: whodid.toml]"
)
_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The service's data folder. [default: as `whodid up`]"
)
_store_url = click.option(
    "--store-url", help="clickhouse://host:port/database; a password belongs in WHODID_STORE__URL."
)


@click.group(name="schema", short_help="The store's tables: show, bring up to date, see what they cost.")
def command() -> None:
    """The store's tables. docs/store.md says what each is for."""


@command.command()
@_config
@click.option("--cluster", help="As for the cluster of this name. [default: the setting store.cluster]")
@click.option(
    "--without-keeper", is_flag=True, help="For a cluster without ClickHouse Keeper, shard by shard."
)
def show(config: Path | None, cluster: str | None, *, without_keeper: bool) -> None:
    """Print every statement that makes the tables, for the database and retention of the settings.

    Nothing is connected to. What is printed can be run by hand, with clickhouse-client --multiquery.
    """
    from whodid.processor import storage
    from whodid.store.migrations import create_all

    store = {"cluster": cluster} if cluster is not None else {}
    loaded = _settings(config, {**store, **({"replicated": False} if without_keeper else {})})
    for statement in create_all(storage.layout(loaded), storage.retention(loaded)):
        click.echo(f"{laid_out(statement)};\n")


@command.command()
@_config
@_data_dir
@_store_url
def apply(config: Path | None, data_dir: Path | None, store_url: str | None) -> None:
    """Create the tables, or bring them up to date: what `whodid up` does when it starts, and nothing else.

    Safe to run twice, and by several processes at once. What was done is printed, a line each.
    """
    from whodid.processor import storage

    loaded = _settings(config, {"url": store_url} if store_url else {}, data_dir)
    with _store(loaded) as store:
        done = store.bring_up_to_date(storage.layout(loaded), storage.retention(loaded))
        for each in done:
            click.echo(each)
        click.echo(
            f"{store.description} is up to date{'' if done else ', there was nothing to do'}", err=True
        )


@command.command()
@_config
@_data_dir
@_store_url
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def status(config: Path | None, data_dir: Path | None, store_url: str | None, *, as_json: bool) -> None:
    """Say what the tables lack, what they hold, and what that costs. Nothing is changed."""
    from whodid.processor import storage

    loaded = _settings(config, {"url": store_url} if store_url else {}, data_dir)
    if not loaded.store.url.get_secret_value() and not (loaded.data_dir / "store").exists():
        raise WhodidError(
            f"there is no embedded store in {loaded.data_dir}",
            "make one with `whodid up` or `whodid schema apply`, or name its folder with --data-dir",
        )
    layout, retention = storage.layout(loaded), storage.retention(loaded)
    with _store(loaded) as store:
        lacking, cost = store.inspect(layout, retention)
        description = store.description
    if as_json:
        click.echo(
            json.dumps({"lacking": lacking, **(cost.model_dump(mode="json") if cost else {})}, indent=2)
        )
        return
    click.echo(description)
    click.echo(f"lacks {', '.join(lacking)}" if lacking else "up to date")
    click.echo(f"keeps {retention.description}")
    if cost is not None:
        _print(cost)


def _print(cost: Cost) -> None:
    click.echo(f"\n{'table':<16}{'rows':>15}{'bytes':>17}{'parts':>8}  oldest day")
    for each in cost.tables:
        line = f"{each.table:<16}{each.rows:>15,}{each.bytes:>17,}{each.parts:>8}  {each.oldest_day or ''}"
        click.echo(line.rstrip())
    click.echo(f"\n{'tenant':<16}{'spans':>15}{'days':>17}{'kept':>8}")
    for tenant in cost.tenants:
        kept = f"{tenant.retention_days} d" if tenant.retention_days else "for good"
        click.echo(f"{tenant.tenant or '(none)':<16}{tenant.spans:>15,}{tenant.days:>17,}{kept:>8}")
    full = cost.bytes_when_full
    click.echo(f"\n{cost.bytes_a_span:.1f} bytes a span, {cost.bytes_a_day:,.0f} bytes a day")
    click.echo(
        "it grows for good" if full is None else f"{full:,.0f} bytes when all periods have run out once"
    )


def laid_out(statement: str) -> str:
    """The statement with its columns and clauses on lines of their own."""
    columns, engine, rest = statement.partition(" ENGINE = ")
    # What a table defines is in its parentheses; what a change or a query lists stands outside of all.
    list_depth = int(columns.startswith("CREATE TABLE"))
    lines, depth, quoted = "", 0, False
    for char in columns:
        quoted ^= char == "'"
        if not quoted:
            depth += (char == "(") - (char == ")")
        is_break = char == " " and lines.endswith(",") and not quoted and depth == list_depth
        lines += "\n    " if is_break else char
    clauses = r" (ENGINE = |PARTITION BY |ORDER BY |SETTINGS |AS SELECT |WHERE |GROUP BY )"
    return re.sub(clauses, r"\n\1", lines + engine + rest)


def _settings(config: Path | None, store: dict[str, object], data_dir: Path | None = None) -> Settings:
    from whodid.processor import settings

    flags: dict[str, object] = {"store": store} if store else {}
    return settings.load({**flags, **({"data_dir": data_dir} if data_dir else {})}, config)


@contextmanager
def _store(loaded: Settings) -> Generator[Store]:
    """The store, not brought up to date; an embedded one only while no service has it open."""
    from contextlib import nullcontext

    from whodid.processor import storage
    from whodid.processor.lock import DataLock
    from whodid.processor.settings import NO_STORE

    if loaded.store_url == NO_STORE:
        raise WhodidError("the settings name no store", "set WHODID_STORE__URL, or give --store-url")
    embedded = not loaded.store.url.get_secret_value()
    with DataLock(loaded.data_dir) if embedded else nullcontext():
        store = storage.unopened(loaded)
        try:
            yield store
        finally:
            store.close()
