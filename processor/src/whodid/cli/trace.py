"""`whodid trace ID`: a trace as a tree, with who and for whom on each line."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("trace")
@click.argument("trace_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the trace as JSON.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the service or the store to ask.  [default: .whodid]",
)
def command(trace_id: str, as_json: bool, data_dir: Path | None) -> None:
    """Print a trace as a tree, with who acted and for whom on each line.

    ID is a trace id; `whodid who` names the trace of an action.
    """
    from whodid.cli import answers, render
    from whodid.store.questions.asking import parse
    from whodid.store.questions.trace import QUESTION

    record = answers.ask(QUESTION, parse(QUESTION, [("trace_id", trace_id)]), data_dir)
    if as_json:
        print(render.as_json(record))
    else:
        render.for_people(record)
