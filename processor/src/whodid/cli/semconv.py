"""`whodid semconv`: what is derived from the conventions' model."""

from __future__ import annotations

from pathlib import Path

import click

from whodid.processor.errors import WhodidError


@click.group(name="semconv", short_help="Work on the semantic conventions (in a checkout of whodid).")
def command() -> None:
    """Work on the semantic conventions, in a checkout of whodid."""


@command.command(name="generate")
@click.option("--check", is_flag=True, help="Write nothing; fail when something is stale.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("semconv"),
    show_default=True,
    help="The folder that has the model in it.",
)
def generate_(check: bool, folder: Path) -> None:
    """Write what is generated from the model, and print the files that changed."""
    from whodid.semconv import generate, model

    source = folder / "model"
    if not source.is_dir():
        raise WhodidError(f"there is no model in {folder}", "run it in the checkout, or give --folder")
    loaded = model.load(source)
    changed = generate.stale(loaded, folder) if check else generate.write(loaded, folder)
    for path in changed:
        click.echo(folder / path)
    if check and changed:
        raise WhodidError("generated files are stale", f"whodid semconv generate --folder {folder}")
