"""How findings look: grouped by span for people, an object for programs, and what could not be read."""

from __future__ import annotations

import itertools
import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whodid.cli.show import plain
from whodid.processor.checking import STANDARD_INPUT, Finding, Report, Span
from whodid.processor.trace_files import Place
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingSeverity

MAX_SPANS_SHOWN = 200
"""People read no more; --json and --sarif have them all."""

_STYLES = {
    FindingSeverity.VIOLATION: "red",
    FindingSeverity.IMPROVEMENT: "yellow",
    FindingSeverity.INFORMATION: "cyan",
}
_PLURALS = {FindingSeverity.VIOLATION: "violations", FindingSeverity.IMPROVEMENT: "improvements"}


def show(report: Report) -> None:
    """Prints the findings, span by span, and a summary to standard output."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    groups = itertools.groupby(report.findings, key=lambda finding: finding.span)
    span_count = 0
    for span_count, (span, findings) in enumerate(groups, start=1):
        if span_count <= MAX_SPANS_SHOWN:
            console.print(_heading(span))
            for finding in findings:
                console.print(_line(finding))
    if span_count > MAX_SPANS_SHOWN:
        console.print(Text(f"… and {span_count - MAX_SPANS_SHOWN} more spans: --json has them all", "yellow"))
    if report.findings:
        console.print(_rules(report))
    console.print(Text(summary(report, span_count), style="bold"))


def summary(report: Report, found_span_count: int) -> str:
    """What was found, in a line."""
    spans = f"{report.span_count} {'span' if report.span_count == 1 else 'spans'}"
    counts = report.counts()
    if not report.findings:
        return f"no {' or '.join(severity.value for severity in counts)} in {spans}"
    told = ", ".join(_counted(count, severity) for severity, count in counts.items())
    return f"{told} in {found_span_count} of {spans}"


def _counted(count: int, severity: FindingSeverity) -> str:
    return f"{count} {severity.value if count == 1 else _PLURALS.get(severity, severity.value)}"


def _heading(span: Span) -> Text:
    where = _where(span.file, span.place)
    return Text.assemble(
        (plain(where), "dim"),
        "  ",
        (plain(span.name), "bold"),
        (f"  span {span.span_id} of trace {span.trace_id}", "dim"),
    )


def _line(finding: Finding) -> Text:
    text = Text("  ")
    text.append(f"{finding.severity.value:<11}", style=_STYLES[finding.severity])
    text.append(f"  {plain(finding.rule)}", style="bold")
    named = "" if finding.attribute in finding.message else f"{finding.attribute}: "
    text.append(f"  {plain(named + finding.message)}")
    return text


def _rules(report: Report) -> Table:
    """The rules that found something: how often, what they look for, and the controls they bear on."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for name, count in report.by_rule().most_common():
        rule = RULES.get(name)
        text = Text(rule.brief if rule else "")
        if rule and rule.controls:
            text.append(f"\n{', '.join(rule.controls)}", style="dim")
        table.add_row(plain(name), str(count), text)
    return table


def _where(name: str, place: Place) -> str:
    shown = "standard input" if name == STANDARD_INPUT else name
    if place.line is not None:
        return f"{shown}:{place.line}"
    return shown if place.offset_bytes is None else f"{shown} at byte {place.offset_bytes}"


def as_json(report: Report) -> str:
    """The report as one JSON object. Everything beyond ASCII is escaped, so that it can steer no terminal."""
    return json.dumps(
        {
            "spans": report.span_count,
            "counts": {severity.value: count for severity, count in report.counts().items()},
            "rules": dict(report.by_rule().most_common()),
            "findings": [_finding(finding) for finding in report.findings],
            "files": [
                {"file": file.name, "format": file.contents.format, "spans": file.contents.span_count}
                for file in report.files
            ],
            "errors": [
                {"file": file.name, **_place(problem.place), "message": problem.cause}
                for file in report.files
                for problem in file.contents.problems
            ],
            "error_count": report.problem_count,
        },
        indent=2,
    )


def _finding(finding: Finding) -> dict[str, Any]:
    span = finding.span
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "attribute": finding.attribute,
        "message": finding.message,
        "controls": list(finding.controls),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "span_name": span.name,
        "file": span.file,
        **_place(span.place),
    }


def _place(place: Place) -> dict[str, int]:
    known = {"line": place.line, "offset_bytes": place.offset_bytes}
    return {name: value for name, value in known.items() if value is not None}


def say_problems(report: Report) -> None:
    """Prints what could not be checked to standard error, then the hints, each once."""
    hints: dict[str, None] = {}
    for file in report.files:
        contents = file.contents
        for problem in contents.problems:
            _say(f"error: {_where(file.name, problem.place)}: {problem.cause}")
            hints[problem.hint] = None
        if contents.untold_count:
            _say(f"error: {_where(file.name, Place())}: and {contents.untold_count} more")
        if not contents.problems and not contents.span_count:
            level = "warning" if report.span_count else "error"
            _say(f"{level}: {_where(file.name, Place())}: there is no span in it")
            hints["was the file flushed, and are traces exported to it?"] = None
    told = list(filter(None, hints))
    if told:
        click.echo(err=True)
    for hint in told:
        _say(f"hint: {hint}")


def _say(text: str) -> None:
    click.echo(plain(text), err=True)
