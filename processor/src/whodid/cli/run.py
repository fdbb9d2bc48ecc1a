"""`whodid run`: runs a Python program with attribution switched on, without a change to its code."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

import click

from whodid.instrumentation import bootstrap

NOT_EXECUTABLE = 126
NOT_FOUND = 127


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run a program with attribution switched on.",
)
@click.argument("command_line", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(command_line: tuple[str, ...]) -> None:
    """Run a program with attribution switched on.

    CMD is a command that starts Python, or a Python file:

    \b
      whodid run python agent.py
      whodid run agent.py --verbose
      whodid run uvicorn app:app

    The agent frameworks that the program imports are instrumented, in its child processes too, and its spans
    go to OTEL_EXPORTER_OTLP_ENDPOINT (by default 127.0.0.1:4317, where `whodid up` listens). What was
    instrumented, and whether the receiver answered, is printed to stderr.

    Exit codes: the program's own; 126 if it cannot be executed, 127 if it cannot be found.
    """
    arguments = list(command_line)
    if arguments[0].endswith((".py", ".pyz")) and os.path.isfile(arguments[0]):  # noqa: PTH113 as the shell sees it
        arguments.insert(0, sys.executable)
    program = shutil.which(arguments[0])
    if program is None:
        _fail(f"{arguments[0]}: no such command", _hint(arguments[0]), NOT_FOUND)
    try:
        os.execve(program, arguments, bootstrap.environment(dict(os.environ)))  # noqa: S606 what the user asked for
    except OSError as error:
        _fail(f"{program}: {error.strerror}", "check that it is a program for this machine", NOT_EXECUTABLE)


def _hint(name: str) -> str:
    if name.endswith(".py"):
        return "give the path of a Python file that exists"
    return "give a command that your shell finds, or the path of a Python file"


def _fail(cause: str, hint: str, exit_code: int) -> NoReturn:
    click.echo(f"error: {cause}\n\nhint: {hint}", err=True)
    sys.exit(exit_code)
