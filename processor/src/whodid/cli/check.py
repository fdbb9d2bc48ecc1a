"""`whodid check FILE…`: holds the traces in files against the conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from whodid.semconv.values import FindingSeverity

if TYPE_CHECKING:
    from whodid.processor.checking import Report

FOUND = 3
"""The exit code when there is a finding that --fail-on asks for."""
MAX_BYTES = 128 << 20
"""The collector begins a new file after 100 MB, if nobody says otherwise."""

_LEVELS = [severity.value for severity in FindingSeverity]
_FORMATS = ["protobuf", "json", "jsonl", "length-prefixed"]


@click.command("check", short_help="Validate OTLP traces in files, for people and for CI.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--format", "format_", type=click.Choice(_FORMATS), help="[default: what the file looks like]")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.option("--sarif", "as_sarif", is_flag=True, help="Print what was found as SARIF 2.1.0.")
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    help="The mildest finding to look for.  [default: what --fail-on asks for, or violation]",
)
@click.option(
    "--fail-on",
    type=click.Choice([*_LEVELS, "never"]),
    default="violation",
    show_default=True,
    help="The mildest finding that makes the exit code 3.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1, 1 << 30),
    default=MAX_BYTES,
    show_default=True,
    help="How much is read, all files together, after decompression.",
)
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    format_: str | None,
    as_json: bool,
    as_sarif: bool,
    level: str | None,
    fail_on: str,
    max_bytes: int,
) -> None:
    """Validate the OTLP traces in files, and print what is wrong with them.

    FILE is an ExportTraceServiceRequest as protobuf or JSON, or what the OpenTelemetry collector's file
    exporter writes (JSON lines, or messages that each have their length before them), compressed with gzip or
    zstd or not; - is standard input. All files are checked together, for a trace may be spread over them.

    Exit codes: 0 nothing was found that --fail-on asks for, 1 a part could not be read or there was no span,
    2 a mistake in the command line, 3 something was found. docs/checking.md shows it in CI.
    """
    if as_json and as_sarif:
        raise click.UsageError("--json and --sarif exclude each other")
    level = level or (fail_on if fail_on != "never" else "violation")
    if fail_on != "never" and _LEVELS.index(fail_on) > _LEVELS.index(level):
        raise click.UsageError(f"--level {level} leaves out what --fail-on {fail_on} asks for")

    from whodid.cli import findings, sarif
    from whodid.processor import checking
    from whodid.processor.trace_files import Format

    report = checking.check(
        tuple(dict.fromkeys(files)),
        known=Format(format_) if format_ else None,
        level=FindingSeverity(level),
        max_bytes=max_bytes,
    )
    code = _exit_code(report, fail_on)
    if as_json:
        print(findings.as_json(report))
    elif as_sarif:
        print(sarif.log(report, code))
    elif report.span_count:
        findings.show(report)
    findings.say_problems(report)
    context.exit(code)


def _exit_code(report: Report, fail_on: str) -> int:
    asked_for = _LEVELS[: _LEVELS.index(fail_on) + 1] if fail_on != "never" else []
    if any(finding.severity in asked_for for finding in report.findings):
        return FOUND
    return 1 if report.problem_count or not report.span_count else 0
