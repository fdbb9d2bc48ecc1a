"""`whodid`: a group of verbs, each in a module of its own that is imported when it is used."""

from __future__ import annotations

import atexit
import difflib
import gc
import importlib
import logging
from dataclasses import dataclass
from typing import Any

import click

from whodid.processor.errors import WhodidError


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb's `command` is, and the extra that brings what it imports."""

    module: str
    extra: str | None = None


VERBS = {
    "up": Verb("whodid.cli.up", extra="local"),
    "run": Verb("whodid.cli.run"),
    "doctor": Verb("whodid.cli.doctor"),
    "ask": Verb("whodid.cli.ask", extra="local"),
    "who": Verb("whodid.cli.who", extra="local"),
    "trace": Verb("whodid.cli.trace", extra="local"),
    "sql": Verb("whodid.cli.sql", extra="local"),
    "schema": Verb("whodid.cli.schema", extra="local"),
    "check": Verb("whodid.cli.check", extra="processor"),
    "dashboards": Verb("whodid.cli.dashboards", extra="dashboards"),
    "tokens": Verb("whodid.cli.tokens", extra="processor"),
    "quarantine": Verb("whodid.cli.quarantine", extra="processor"),
    "demo": Verb("whodid.cli.demo", extra="demo"),
    "semconv": Verb("whodid.cli.semconv", extra="dev"),
}


class Failure(click.ClickException):
    """An error as the user sees it: the cause, then the hint. Exit code 1."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", file=file, err=file is None)
        if self.hint:
            click.echo(f"\nhint: {self.hint}", file=file, err=file is None)


class Verbs(click.Group):
    """Loads verbs lazily, and turns what a user can mend into a Failure."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        verb = VERBS.get(cmd_name)
        return None if verb is None else importlib.import_module(verb.module).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"did you mean `whodid {near[0]}`?" if near else "`whodid --help` lists the commands"
            raise UnknownVerb(f"there is no command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WhodidError as error:
            raise Failure(error.cause, error.hint) from error
        except ModuleNotFoundError as error:
            verb = VERBS.get(ctx.invoked_subcommand or "")
            package = (error.name or "").partition(".")[0]
            if verb is None or verb.extra is None or package in ("", "whodid"):
                raise
            raise Failure(
                f"`whodid {ctx.invoked_subcommand}` needs {package}, which is not installed",
                f"pip install 'whodid[{verb.extra}]'",
            ) from error


class UnknownVerb(Failure):
    """Exit code 2, as for every mistake in the command line."""

    exit_code = 2


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="whodid", prog_name="whodid")
def main() -> None:
    """Know which agent did what, on whose behalf, under which decision.

    Exit codes: 0 done, 1 it failed (the error names the cause, and a hint), 2 a mistake in the command line.
    """
    # At its end Python looks for garbage in everything, several times: two seconds after `up`, for nothing.
    atexit.register(gc.freeze)
    # It logs what it raises as well, and the raised error is told in our own words.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main()
