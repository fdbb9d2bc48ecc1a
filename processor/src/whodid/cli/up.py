"""`whodid up`: runs the service in the foreground."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import click

_FLAGS = {
    "data_dir": ("data_dir",),
    "workers": ("workers",),
    "store_url": ("store", "url"),
    "store_listen": ("store", "listen"),
    "retention_days": ("store", "retention_days"),
    "host": ("receiver", "host"),
    "grpc_port": ("receiver", "grpc_port"),
    "http_port": ("receiver", "http_port"),
    "api_host": ("api", "host"),
    "api_port": ("api", "port"),
}


@click.command(name="up", short_help="Run the service: receive OTLP, store it, answer questions.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="The configuration file. [default: whodid.toml]"
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where spool and embedded store are.")
@click.option("--workers", type=int, help="Processes that receive, for a server store. [default: 1]")
@click.option("--store-url", help="clickhouse://host:port/database; a password belongs in WHODID_STORE__URL.")
@click.option("--store-listen", help="Where other clients may read the embedded store: 127.0.0.1:8123.")
@click.option("--retention-days", type=int, help="How long spans are kept.")
@click.option("--host", help="The address that the receivers bind.")
@click.option("--grpc-port", type=int, help="The port of OTLP/gRPC; 0 takes a free one.")
@click.option("--http-port", type=int, help="The port of OTLP/HTTP; 0 takes a free one.")
@click.option("--api-host", help="The address that the API binds.")
@click.option("--api-port", type=int, help="The port of the API; 0 takes a free one.")
def command(config: Path | None, **flags: Any) -> None:
    """Run the service in the foreground: receive OTLP, store it, answer questions.

    A flag goes before WHODID_* variables, and these before whodid.toml; docs/configuration.md lists every
    setting. SIGTERM and Ctrl-C stop it: it takes no more, stores what it has acknowledged and exits with 0. A
    second signal ends it at once; what is in the spool is stored at the next start.
    """
    from whodid.instrumentation import settings as agent_settings
    from whodid.processor import settings

    for variable, hint in settings.unknown_variables({row.name for row in agent_settings.TABLE}):
        _say(f"warning: {variable} is not a setting and has no effect\nhint: {hint}")
    loaded = settings.load(_nested(flags), config)

    gc.disable()  # what is imported stays: to look for garbage in it over and over is a tenth of the start
    from whodid.processor import service  # after the settings: an error in those is told without the wait

    gc.freeze()
    gc.enable()
    asyncio.run(service.run(loaded, _say))


def _nested(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given, in the shape of the settings."""
    nested: dict[str, Any] = {}
    for flag, value in flags.items():
        if value is not None:
            *sections, name = _FLAGS[flag]
            target = nested
            for section in sections:
                target = target.setdefault(section, {})
            target[name] = value
    return nested


def _say(text: str) -> None:
    click.echo(text, err=True)
