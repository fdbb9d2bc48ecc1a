"""`whodid who ID`: who did that, for whom, and who allowed it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("who")
@click.argument("id_", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the service or the store to ask.  [default: .whodid]",
)
def command(id_: str, as_json: bool, data_dir: Path | None) -> None:
    """Print the full record of one action: who acted, for whom, why, and who allowed it.

    ID is a span id, a tool call id, an action id or a correlation id. Each answer has its level of
    evidence: verified, propagated, self_asserted or missing.
    """
    from whodid.cli import answers, render
    from whodid.store.questions import AmbiguousIdError
    from whodid.store.questions.asking import parse
    from whodid.store.questions.who import QUESTION

    try:
        record = answers.ask(QUESTION, parse(QUESTION, [("id", id_)]), data_dir)
    except AmbiguousIdError as error:
        render.candidates(error)
        raise
    if as_json:
        print(render.as_json(record))
    else:
        render.for_people(record)
