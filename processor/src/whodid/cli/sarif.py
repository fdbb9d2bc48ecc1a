"""Findings as SARIF 2.1.0 (OASIS), the format that code hosts and editors show beside the files."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from whodid.processor.checking import SEVERITIES, STANDARD_INPUT
from whodid.processor.trace_files import Format
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingSeverity

if TYPE_CHECKING:
    from whodid.processor.checking import Finding, Report
    from whodid.processor.trace_files import Place
    from whodid.semconv.definitions import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MAX_RESULTS = 25_000
"""GitHub refuses a run that has more."""
MAX_TAGS = 20
"""… and a rule that has more tags."""

_LEVELS = {
    FindingSeverity.VIOLATION: "error",
    FindingSeverity.IMPROVEMENT: "warning",
    FindingSeverity.INFORMATION: "note",
}


def log(report: Report, exit_code: int) -> str:
    """The report as a SARIF log with one run; the worst findings come first. All of it is ASCII."""
    worst_first = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    shown = worst_first[:MAX_RESULTS]
    rules = sorted({*RULES, *(finding.rule for finding in shown)})
    seen: Counter[str] = Counter()
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "whodid",
                "version": metadata.version("whodid"),
                "rules": [_rule(name, RULES.get(name)) for name in rules],
            }
        },
        "artifacts": [{"location": {"uri": _uri(file.name)}} for file in report.files],
        "invocations": [_invocation(report, exit_code, len(worst_first) - len(shown))],
        "results": [
            {
                "ruleId": finding.rule,
                "ruleIndex": rules.index(finding.rule),
                "level": _LEVELS[finding.severity],
                "message": {"text": _message(finding)},
                "locations": [_location(finding, report)],
                "partialFingerprints": {"primaryLocationLineHash": _fingerprint(finding, seen)},
            }
            for finding in shown
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(name: str, rule: Rule | None) -> dict[str, Any]:
    """A reportingDescriptor (SARIF 2.1.0, 3.49)."""
    if rule is None:
        return {"id": name}
    level = _LEVELS[FindingSeverity(rule.severity)]
    help_text = rule.brief
    if rule.controls:
        help_text += f" Bears on {', '.join(rule.controls)}."
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.split("_")),
        "shortDescription": {"text": rule.brief},
        "help": {"text": help_text},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": list(rule.controls[:MAX_TAGS])},
    }


def _message(finding: Finding) -> str:
    # Viewers that know no logical locations show this text and nothing else about the span.
    span = finding.span
    return f"{finding.message} (span {span.span_id}, {span.name!r}, of trace {span.trace_id})"


def _location(finding: Finding, report: Report) -> dict[str, Any]:
    span = finding.span
    return {
        **_physical(span.file, span.place, report),
        "logicalLocations": [
            {"name": span.name, "fullyQualifiedName": f"{span.trace_id}/{span.span_id}", "kind": "span"}
        ],
    }


def _physical(name: str, place: Place, report: Report) -> dict[str, Any]:
    index = [file.name for file in report.files].index(name)
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(name), "index": index}}
    if place.line is not None:
        physical["region"] = {"startLine": place.line}
    elif report.files[index].contents.format is Format.JSON:
        physical["region"] = {"startLine": 1}  # GitHub shows no result that has no line
    elif place.offset_bytes is not None:
        physical["region"] = {"byteOffset": place.offset_bytes}
    return {"physicalLocation": physical}


def _uri(name: str) -> str:
    """A relative path stays relative (RFC 3986): a code host resolves it against the checkout."""
    if name == STANDARD_INPUT:
        return "stdin"
    path = Path(name)
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))


def _fingerprint(finding: Finding, seen: Counter[str]) -> str:
    """The same for the same fault in another recording, whose ids and lines are others."""
    parts = (finding.rule, finding.attribute, finding.span.name, finding.span.file)
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"


def _invocation(report: Report, exit_code: int, left_out_count: int) -> dict[str, Any]:
    notifications: list[dict[str, Any]] = [
        {
            "level": "error",
            "message": {"text": problem.cause},
            "locations": [_physical(file.name, problem.place, report)],
        }
        for file in report.files
        for problem in file.contents.problems
    ]
    untold_count = sum(file.contents.untold_count for file in report.files)
    for count, what, level in (
        (untold_count, "more errors were found", "error"),
        (left_out_count, "milder results are left out", "warning"),
    ):
        if count:
            notifications.append({"level": level, "message": {"text": f"{count} {what}"}})
    if not report.span_count:
        notifications.append({"level": "error", "message": {"text": "there is no span in any file"}})
    return {
        "executionSuccessful": not report.problem_count and report.span_count > 0,
        "exitCode": exit_code,
        "toolExecutionNotifications": notifications,
    }
