"""`whodid who ID`: who did that, for whom, and who allowed it."""

from __future__ import annotations

import sys
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
    from whodid.cli import answers, show
    from whodid.store.questions import AmbiguousIdError
    from whodid.store.questions.who import QUESTION, WhoParameters

    try:
        record = answers.ask("who", id_, QUESTION, WhoParameters(id=id_), data_dir)
    except AmbiguousIdError as error:
        for each in error.candidates:
            line = f"{each.ask}  {each.operation} {each.tool}  for {each.principal or '—'}"
            print(show.plain(line), file=sys.stderr)
        raise
    if as_json:
        print(record.model_dump_json(indent=2))
    else:
        show.record(record)
