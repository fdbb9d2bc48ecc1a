"""`whodid tokens`: who may look at pages and ask the API, each with a token of their own."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from whodid.processor.access.tokens import Token

DEFAULT_LIFE = "90d"
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ROLES = ("viewer", "investigator", "admin")

_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The service's data folder. [default: as `whodid up`]"
)
_config = click.option(
    "--config", type=click.Path(path_type=Path), help="The configuration file. [default: whodid.toml]"
)


def _life(_context: click.Context, _option: click.Parameter, text: str) -> datetime.timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if found is None:
        raise click.BadParameter("a life is 30m, 12h, 90d or 8w")
    return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.group(name="tokens", short_help="Who may look: make, list and revoke tokens.")
def command() -> None:
    """Who may look at pages and ask the API. docs/access.md says what each role may.

    A running service knows of a new or revoked token at the next request. As soon as there is one, nobody
    looks without one, on loopback too.
    """


@command.command(name="create")
@click.option("--name", required=True, help="Who it is for: alice@acme.example. Views are recorded with it.")
@click.option(
    "--role", type=click.Choice(_ROLES), default="viewer", show_default=True, help="What it is good for."
)
@click.option(
    "--tenant", help="Whose spans it is good for; '*' for an admin of all.  [default: the service's]"
)
@click.option("--service", is_flag=True, help="It is for a program, and not for a person.")
@click.option(
    "--expires",
    metavar="TIME",
    callback=_life,
    default=DEFAULT_LIFE,
    show_default=True,
    help="How long it lives.",
)
@_config
@_data_dir
def create(
    name: str,
    role: str,
    tenant: str | None,
    service: bool,
    expires: datetime.timedelta,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Make a token, and print it: it is kept nowhere, and cannot be shown again.

    The file has its digest alone. Give it to its owner on a safe way, and never in an address.
    """
    from whodid.processor.access import tokens
    from whodid.processor.access.viewer import Kind, Role

    loaded = _settings(config, data_dir)
    token, text = tokens.new(
        name=name,
        kind=Kind.SERVICE if service else Kind.HUMAN,
        role=Role(role),
        tenant=loaded.tenant if tenant is None else tenant,
        lives=expires,
    )
    path = tokens.path_of(loaded)
    with tokens.changing(path) as kept:
        kept.append(token)
    whose = "all tenants" if token.tenant == tokens.ALL_TENANTS else f"tenant {token.tenant!r}"
    click.echo(
        f"token {token.id}: {token.role} {token.name}, {whose}, until {_time(token.expires_at)}", err=True
    )
    click.echo(text)


@command.command(name="list")
@_config
@_data_dir
def list_(config: Path | None, data_dir: Path | None) -> None:
    """List the tokens: id, state, role, tenant, end and name, a line each, tabs between."""
    from whodid.processor.access import tokens

    path = tokens.path_of(_settings(config, data_dir))
    found = tokens.read(path)
    for each in sorted(found, key=lambda token: (not token.is_live(), token.created_at)):
        click.echo(
            "\t".join((each.id, _state(each), each.role, each.tenant, _time(each.ended_at), each.name))
        )
    click.echo(f"{sum(each.is_live() for each in found)} of {len(found)} may be used, in {path}", err=True)


@command.command(name="revoke")
@click.argument("id_", metavar="ID")
@_config
@_data_dir
def revoke(id_: str, config: Path | None, data_dir: Path | None) -> None:
    """End a token now, and the sessions that were begun with it.

    ID: as `whodid tokens list` has it.
    """
    from whodid.processor.access import tokens
    from whodid.processor.errors import WhodidError

    path = tokens.path_of(_settings(config, data_dir))
    if not path.exists():
        raise WhodidError(f"there are no tokens in {path}", "name the service's folder with --data-dir")
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    with tokens.changing(path) as kept:
        found = next((number for number, token in enumerate(kept) if token.id == id_), None)
        if found is None:
            raise WhodidError(f"there is no token {id_[:40]!r}", "`whodid tokens list` has them")
        if kept[found].is_live():
            kept[found] = kept[found].model_copy(update={"revoked_at": now})
    click.echo(f"token {id_} lets nobody in any more", err=True)


def _settings(config: Path | None, data_dir: Path | None) -> Any:
    from whodid.processor import settings

    return settings.load({"data_dir": data_dir} if data_dir else {}, config)


def _state(token: Token) -> str:
    if token.is_live():
        return "live"
    return "revoked" if token.revoked_at is not None and token.revoked_at <= token.expires_at else "expired"


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
