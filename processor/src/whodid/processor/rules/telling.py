"""How a finding is told: what was found and what was expected, bounded, and never with a secret in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from whodid.processor.arrow import Strings, pa
from whodid.processor.batch import Findings, Rows
from whodid.processor.rules.view import encode
from whodid.processor.stages.redact import without_secrets
from whodid.semconv.values import FindingRule

MAX_QUOTED = 80
"""Characters of a value that a message quotes."""

MAX_MESSAGES = 100
"""Different messages a rule has for one attribute in one batch; what is beyond is told without a value."""


def quoted(text: str | None) -> str:
    """A value in a message, cut, with what looks like a secret taken out before."""
    cleaned = without_secrets(text or "")
    return repr(cleaned if len(cleaned) <= MAX_QUOTED else f"{cleaned[:MAX_QUOTED]}…")


def per_value(
    rule: FindingRule, attribute: str, rows: Rows, values: Strings, expected: str
) -> Iterator[Findings]:
    """One finding for each of the values (one a row) that are wrong. For values that may be quoted."""
    encoded = encode(values)
    told = encoded.values[:MAX_MESSAGES].to_pylist()
    for code, value in enumerate(told):
        message = f"{attribute} is {quoted(value)}; expected {expected}"
        yield Findings(rule, attribute, message, rows[encoded.codes == code])
    beyond = rows[encoded.codes >= len(told)]
    yield Findings(rule, attribute, f"{attribute} has another wrong value; expected {expected}", beyond)


def per_row(
    rule: FindingRule, attribute: str, rows: Rows, message: Callable[[int], str], beyond: str
) -> Iterator[Findings]:
    """A finding for each of these spans. `message` is given a position in `rows`; `beyond` is the message for
    the spans after `MAX_MESSAGES`."""
    for position in range(min(len(rows), MAX_MESSAGES)):
        yield Findings(rule, attribute, message(position), rows[position : position + 1])
    yield Findings(rule, attribute, beyond, rows[MAX_MESSAGES:])


def pick(values: Strings, rows: Rows) -> Strings:
    """The values of these spans."""
    if len(rows) == len(values) and (rows == np.arange(len(rows))).all():
        return values  # all of them, as they are
    return values.take(pa.array(rows))
