"""Writes the parts of the guides that come from the code; with --check it only says which are stale."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from whodid.cli import main as cli
from whodid.instrumentation import frameworks
from whodid.processor import settings
from whodid.store.questions import QUESTIONS

FOLDER = Path(__file__).parent
WIDTH = 100


def settings_table() -> str:
    """Every setting of the service as a table."""
    lines = ["| setting | variable | default | what it is |", "| --- | --- | --- | --- |"]
    for row in settings.table():
        default = f"`{row.default}`" if row.default else "(empty)"
        lines.append(f"| `{row.name}` | `{row.env}` | {default} | {row.doc} |")
    return "\n".join(lines)


def command_help() -> str:
    """The help text of every command."""
    root = click.Context(cli.main, info_name="whodid", **cli.main.context_settings)
    return "\n\n".join(f"## `{path}`\n\n```\n{text}\n```" for path, text in _help(cli.main, root))


def _help(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    context.terminal_width = WIDTH
    found = [(context.command_path, command.get_help(context))]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                found += _help(inner, click.Context(inner, info_name=name, parent=context))
    return found


def questions() -> str:
    """Every question with a link to its page."""
    rows = [f"| [{each.name}]({each.name}.md) | {each.title} |" for each in QUESTIONS.values()]
    return "\n".join(["| question | |", "| --- | --- |", *rows])


def adapters() -> str:
    """Every adapter with the releases that its tests run with."""
    loaded = [frameworks.load(name) for name in frameworks.ADAPTERS]
    rows = [f"| `{each.name}` | `{each.distribution}` | {' to '.join(each.tested)} |" for each in loaded]
    return "\n".join(["| `WHODID_FRAMEWORKS` | of | tested with |", "| --- | --- | --- |", *rows])


GENERATED = {
    "configuration.md": settings_table,
    "instrumentation.md": adapters,
    "cli.md": command_help,
    "questions/README.md": questions,
}
BEGIN, END = "<!-- generated: python docs/generate.py -->\n", "<!-- end of what is generated -->"


def render(name: str) -> str:
    """A guide with its generated part as it has to be."""
    text = (FOLDER / name).read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{GENERATED[name]()}\n{END}{after}"


def main() -> None:
    stale = [name for name in GENERATED if (FOLDER / name).read_text() != render(name)]
    if "--check" in sys.argv[1:]:
        sys.exit(f"stale: {', '.join(stale)}; run python docs/generate.py" if stale else 0)
    for name in stale:
        (FOLDER / name).write_text(render(name))
        print(FOLDER / name)


if __name__ == "__main__":
    main()
