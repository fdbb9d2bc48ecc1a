"""The syntax of each format, as a regular expression that the whole value has to match."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from whodid.semconv.definitions import Format

PATTERNS: Final[dict[Format, str]] = {
    # SPIFFE-ID, section 2: a trust domain of lower-case letters, digits, `.`, `-`, `_`; segments that are
    # neither empty nor `.` nor `..`; no query, no fragment, no port.
    Format.SPIFFE_ID: r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+)*",
    Format.DIGEST: r"sha256:[0-9a-f]{64}",
    Format.RFC3339: r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z",
    Format.TRACE_ID: r"(?!0{32})[0-9a-f]{32}",
    Format.SPAN_ID: r"(?!0{16})[0-9a-f]{16}",
}


def matches(format_: Format, value: str) -> bool:
    """Whether a value has the format's syntax; for a time also whether the calendar has it."""
    if re.fullmatch(PATTERNS[format_], value) is None:
        return False
    if format_ is not Format.RFC3339:
        return True
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
