"""`whodid semconv`: checks the conventions' model, and writes, shows and compares what is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whodid.semconv.model import Model
    from whodid.semconv.snapshot import Snapshot
    from whodid.semconv.source import Problem

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("semconv"),
    show_default=True,
    help="The folder that has the model in it.",
)


@click.group(name="semconv", short_help="Work on the semantic conventions (in a checkout of whodid).")
def command() -> None:
    """Work on the semantic conventions, in a checkout of whodid."""


@command.command(name="check")
@folder_option
def check_(folder: Path) -> None:
    """Check the model, and print every problem: its file and line, what is wrong, and what to write.

    The shape of the files, references, conditions, OpenTelemetry's rules for names, examples and sources, and
    that nothing that was released is gone or means something else.
    """
    from whodid.semconv import check

    _tell(check.run(_checkout(folder)))


@command.command(name="generate")
@click.option("--check", is_flag=True, help="Write nothing; fail when something is stale.")
@click.option(
    "--release",
    metavar="VERSION",
    help="First write down what this version promises, for `check` to hold to.",
)
@folder_option
def generate_(check: bool, release: str | None, folder: Path) -> None:
    """Write what is generated from the model, and print the files that changed."""
    from whodid.semconv import generate, snapshot

    model = _load(folder)
    try:
        snapshot.released(folder)
    except snapshot.SnapshotError as error:
        raise WhodidError(str(error), "restore it as it was released") from error
    if release and not check:
        _release(model, folder, release)
    # Imported late: it is made of modules that are generated, which come first.
    changed = [] if check else generate.write(model, folder)
    from whodid.cli import conventions

    more = conventions.render()
    changed += generate.stale(model, folder, more) if check else generate.write(model, folder, more)
    for path in changed:
        click.echo(folder / path)
    if check and changed:
        raise WhodidError("generated files are stale", f"whodid semconv generate --folder {folder}")


def _release(model: Model, folder: Path, version: str) -> None:
    from whodid.semconv import check, generate

    _tell(check.run(folder))
    try:
        click.echo(folder / generate.release(model, folder, version))
    except generate.ReleaseError as error:
        raise WhodidError(
            str(error), "give schema_url in manifest.yaml the version that comes next"
        ) from error


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@folder_option
def show_(name: str, as_json: bool, folder: Path) -> None:
    """Show an attribute, an operation, a span, an event, or a rule of the validator."""
    from whodid.semconv import show

    try:
        fields = show.find(_load(folder), name)
    except show.UnknownNameError as error:
        raise WhodidError(str(error), error.hint) from error
    click.echo(json.dumps(fields, indent=2, ensure_ascii=False) if as_json else show.text(fields))


@command.command(name="diff")
@click.argument("old")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@folder_option
def diff_(old: str, as_json: bool, folder: Path) -> None:
    """Compare the model with OLD: another folder, a released version, or the file of one.

    Exit code 1 when something that OLD has is gone, or is no longer what it was.
    """
    from dataclasses import asdict

    from whodid.semconv import differences, snapshot

    changes = differences.between(_promises(old, folder), snapshot.of_model(_load(folder)))
    if as_json:
        click.echo(json.dumps([asdict(change) for change in changes], indent=2, ensure_ascii=False))
    else:
        for change in changes:
            mark = "! " if change.breaking else "  "
            click.echo(f"{mark}{change.kind} {change.section}: {change.name} {change.detail}".rstrip())
    broken = sum(change.breaking for change in changes)
    if broken:
        raise WhodidError(
            f"{broken} of these changes break what {old} promises",
            "keep what was released, deprecate it, and give what is new a name of its own",
        )


def _promises(old: str, folder: Path) -> Snapshot:
    from whodid.semconv import snapshot

    if Path(old).is_dir():
        return snapshot.of_model(_load(Path(old)))
    path = Path(old) if Path(old).is_file() else folder / snapshot.FOLDER / f"{old}.json"
    try:
        return snapshot.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = sorted(path.stem for path in (folder / snapshot.FOLDER).glob("*.json"))
        raise WhodidError(
            f"{old} is neither a folder nor a file nor a released version",
            f"released: {', '.join(known) or 'nothing yet'}",
        ) from error
    except snapshot.SnapshotError as error:
        raise WhodidError(
            f"{path}: {error}", "it is written by `whodid semconv generate --release`"
        ) from error


def _checkout(folder: Path) -> Path:
    if not (folder / "model").is_dir():
        raise WhodidError(f"there is no model in {folder}", "run it in the checkout, or give --folder")
    return folder


def _load(folder: Path) -> Model:
    from whodid.semconv import model

    try:
        return model.load(_checkout(folder) / "model")
    except model.ModelError as error:
        _tell(error.problems)
        raise


def _tell(problems: Sequence[Problem]) -> None:
    """Prints problems, and fails when there are any."""
    for problem in problems:
        click.echo(str(problem))
    if problems:
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise WhodidError(f"{count} in the conventions", "each line above says where, and what to write")
