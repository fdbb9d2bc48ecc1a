"""Checking: what the validator finds in the traces of files, and where in the files that is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from whodid.processor import pipeline, trace_files
from whodid.processor.errors import WhodidError
from whodid.processor.stages.seal import Sealed
from whodid.processor.trace_files import Contents, Format, Place, Problem, Request, UnreadableError
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingRule, FindingSeverity

STANDARD_INPUT = "-"
SEVERITIES = tuple(FindingSeverity)
"""From the worst on."""

_ABOUT_ARRIVAL = frozenset((FindingRule.TIME_OUTSIDE_WINDOW.value,))
"""Rules that judge a span by the day of its arrival, which a file does not have."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span that something was found about, by what it is recognised by. The name is the sender's text."""

    file: str
    place: Place
    trace_id: str
    span_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. Attribute and message may hold what the sender wrote."""

    span: Span
    rule: str
    severity: FindingSeverity
    attribute: str
    message: str

    @property
    def controls(self) -> tuple[str, ...]:
        """The ids of the controls that it bears on; empty where the rule has none."""
        rule = RULES.get(self.rule)
        return rule.controls if rule else ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was checked, or could not be."""

    name: str
    contents: Contents


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in all the files: span by span as they came, the worst of a span first."""

    files: tuple[Checked, ...]
    level: FindingSeverity
    """Nothing milder was looked for."""
    findings: tuple[Finding, ...]

    @property
    def span_count(self) -> int:
        return sum(file.contents.span_count for file in self.files)

    @property
    def problem_count(self) -> int:
        return sum(len(file.contents.problems) + file.contents.untold_count for file in self.files)

    def counts(self) -> dict[FindingSeverity, int]:
        """By each severity that was looked for, the worst first."""
        counted = Counter(finding.severity for finding in self.findings)
        return {severity: counted[severity] for severity in SEVERITIES[: SEVERITIES.index(self.level) + 1]}

    def by_rule(self) -> Counter[str]:
        return Counter(finding.rule for finding in self.findings)


def check(
    names: Sequence[str],
    *,
    known: Format | None,
    level: FindingSeverity,
    max_bytes: int,
    standard_input: BinaryIO | None = None,
) -> Report:
    """Validates the spans of all the files together, for a trace may be spread over them.

    `level`: nothing milder is looked for. `max_bytes` holds for all the files together, after decompression.
    What cannot be read is among a file's problems; nothing is raised for it.
    """
    files: list[Checked] = []
    for name in names:
        contents = _contents(name, known, max_bytes, standard_input)
        max_bytes -= contents.size_bytes
        files.append(Checked(name, contents))
    sealed = _sealed(files, level)
    return Report(tuple(files), level, tuple(_findings(sealed, files)) if sealed else ())


def _contents(name: str, known: Format | None, max_bytes: int, standard_input: BinaryIO | None) -> Contents:
    try:
        if name == STANDARD_INPUT:
            return trace_files.read(standard_input or sys.stdin.buffer, known, max_bytes=max_bytes)
        with Path(name).open("rb") as file:
            return trace_files.read(file, known, max_bytes=max_bytes)
    except UnreadableError as error:
        problem = Problem(error.cause, error.hint)
    except OSError as error:
        problem = Problem(
            f"it cannot be read: {error.strerror or error}", "name files, or - for standard input"
        )
    return Contents(problems=[problem])


def _sealed(files: Sequence[Checked], level: FindingSeverity) -> Sealed | None:
    """All the spans through the pipeline; a request that it cannot take becomes a problem of its file."""
    try:
        return _run(files, level)
    except Exception:  # noqa: BLE001 - as in delivery: one request must not keep the others from being checked
        for file in files:
            file.contents.requests[:] = [each for each in file.contents.requests if _is_sound(each, file)]
        return _run(files, level)


def _run(files: Sequence[Checked], level: FindingSeverity) -> Sealed | None:
    bodies = [request.body for file in files for request in file.contents.requests]
    return pipeline.run(bodies, severity=level) if bodies else None


def _is_sound(request: Request, file: Checked) -> bool:
    try:
        pipeline.run([request.body])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        cause = error.cause if isinstance(error, WhodidError) else f"{type(error).__name__}: {error}"
        file.contents.add_problem(Problem(f"the request cannot be processed: {cause}", "", request.place))
        return False
    return True


def _findings(sealed: Sealed, files: Sequence[Checked]) -> Iterable[Finding]:
    by_span: dict[tuple[bytes, bytes], list[Finding]] = {}
    spans = _spans(sealed, files)
    names = ("trace_id", "span_id", "rule", "severity", "attribute", "message")
    columns = [sealed.findings.column(name).to_pylist() for name in names]
    for trace_id, span_id, rule, severity, attribute, message in zip(*columns, strict=True):
        if rule not in _ABOUT_ARRIVAL:
            key = (trace_id, span_id)
            found = Finding(spans[key], rule, FindingSeverity(severity), attribute, message)
            by_span.setdefault(key, []).append(found)
    for key in spans:
        worst_first = sorted(by_span.get(key, ()), key=lambda finding: SEVERITIES.index(finding.severity))
        yield from worst_first


def _spans(sealed: Sealed, files: Sequence[Checked]) -> dict[tuple[bytes, bytes], Span]:
    """The spans that something was found about, in the files' order; of two with one id it is the first."""
    ids = ("trace_id", "span_id")
    wanted = set(zip(*(sealed.findings.column(name).to_pylist() for name in ids), strict=True))
    rows = zip(*(sealed.spans.column(name).to_pylist() for name in (*ids, "name")), strict=True)
    spans: dict[tuple[bytes, bytes], Span] = {}
    # The pipeline keeps the requests' order, and the order of the spans in each.
    for file in files:
        for request in file.contents.requests:
            for _, (trace_id, span_id, name) in zip(range(request.span_count), rows, strict=False):
                key = (trace_id, span_id)
                if key in wanted and key not in spans:
                    spans[key] = Span(file.name, request.place, trace_id.hex(), span_id.hex(), name)
    return spans
