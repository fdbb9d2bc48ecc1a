"""`whodid ask QUESTION`: any of the attribution questions, its options made from its parameters."""

from __future__ import annotations

import difflib
import enum
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from whodid.cli.answers import Source
    from whodid.store.questions import AnyQuestion

MAX_ITEMS = 100_000
"""Where --all stops: beyond it the time has to be narrower."""


class Questions(click.Group):
    """A command for each question."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        from whodid.store.questions import QUESTIONS

        return list(QUESTIONS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        from whodid.store.questions import QUESTIONS

        question = QUESTIONS.get(cmd_name)
        return None if question is None else _command(question)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in names:
            near = difflib.get_close_matches(args[0], names, n=1)
            hint = f"Did you mean {near[0]}?" if near else "`whodid ask --help` lists the questions."
            raise click.UsageError(f"There is no question {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group("ask", cls=Questions)
def command() -> None:
    """Ask who did what, for whom, with what, and who allowed it.

    Each question is a command with options of its own: `whodid ask QUESTION --help`. Times are RFC 3339, or
    so long ago: 90s, 15m, 24h, 7d, 2w. docs/questions has a page on each.
    """


def _command(question: AnyQuestion) -> click.Command:
    from whodid.store.questions.question import Listing, Paged

    fields: dict[str, FieldInfo] = question.parameters.model_fields
    options: list[click.Parameter] = [_option(name, field) for name, field in fields.items()]
    if issubclass(question.parameters, Paged):
        options.append(click.Option(["--all", "all_"], is_flag=True, help="Every page, up to 100000 items."))
    options.append(click.Option(["--tenant", "tenant_"], help="About whose spans.  [default: the service's]"))
    options.append(click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."))
    if issubclass(question.answer, Listing):
        options.append(click.Option(["--csv", "as_csv"], is_flag=True, help="Print the items as CSV."))
    options.append(
        click.Option(["--sql", "as_sql"], is_flag=True, help="Print the SQL that is run, and not the answer.")
    )
    folder = click.Path(path_type=Path, file_okay=False)
    help_ = "The folder of the service or the store to ask.  [default: .whodid]"
    options.append(click.Option(["--data-dir", "data_dir_"], type=folder, help=help_))

    def callback(**given: Any) -> None:
        _ask(question, given)

    return click.Command(
        question.name,
        params=options,
        callback=callback,
        help=f"{question.title}\n\ndocs/questions/{question.name}.md says how to read the answer.",
        short_help=question.title,
    )


def _option(name: str, field: FieldInfo) -> click.Option:
    from whodid.store.questions.asking import is_many, is_time

    many, choices = is_many(field), _choices(field)
    given = f"  [default: {field.default}]" if isinstance(field.default, int) else ""
    return click.Option(
        [f"--{name.replace('_', '-')}", name],
        required=field.is_required(),
        multiple=many,
        type=click.Choice(choices) if choices else str,
        metavar=None if choices else ("TIME" if is_time(field) else "TEXT"),
        help=(field.description or "") + (" May be given several times." if many else "") + given,
    )


def _choices(field: FieldInfo) -> list[str]:
    for kind in (field.annotation, *typing.get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return [str(each.value) for each in kind]
        if kind is bool:
            return ["true", "false"]
    return []


def _ask(question: AnyQuestion, given: dict[str, Any]) -> None:
    from whodid.cli import answers, render
    from whodid.store.questions import AmbiguousIdError
    from whodid.store.questions.asking import parse, tenant_name

    parameters = parse(question, _pairs(question, given))
    tenant = None if given["tenant_"] is None else tenant_name(given["tenant_"])
    with answers.source(given["data_dir_"], tenant) as source:
        if given["as_sql"]:
            render.sql(source.statements(question, parameters))
            return
        try:
            with render.waiting(question.name):
                answer = source.ask(question, parameters)
        except AmbiguousIdError as error:
            render.candidates(error)
            raise
        if given.get("all_"):
            answer = _all(source, question, parameters, answer)
    if given["as_json"]:
        print(render.as_json(answer))
    elif given.get("as_csv"):
        render.as_csv(answer)
    else:
        render.for_people(answer)
    if getattr(answer, "next_cursor", None):
        hint = " (the first 100000 items are here: ask for less time)" if given.get("all_") else " or --all"
        print(f"more: --cursor {answer.next_cursor}{hint}", file=sys.stderr)


def _pairs(question: AnyQuestion, given: dict[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name in question.parameters.model_fields:
        value = given[name]
        if isinstance(value, tuple):
            pairs += [(name, str(each)) for each in typing.cast("tuple[Any, ...]", value)]
        elif value is not None:
            pairs.append((name, str(value)))
    return pairs


def _all(source: Source, question: AnyQuestion, parameters: Any, first: Any) -> Any:
    """The first page with the items of all that follow."""
    from whodid.cli import render

    items, page = list(first.items), first
    gaps = list(first.gaps)
    with render.progress(question.name) as count:
        while page.next_cursor and len(items) < MAX_ITEMS:
            asked = parameters.model_copy(update={"cursor": page.next_cursor})
            page = source.ask(question, asked)
            if not page.items and page.next_cursor == asked.cursor:
                raise WhodidError("the pages do not end", "this is a bug; --cursor gets one page at a time")
            items += page.items
            gaps += [gap for gap in page.gaps if gap not in gaps]
            count(len(items))
    return first.model_copy(update={"items": items, "gaps": gaps, "next_cursor": page.next_cursor})
