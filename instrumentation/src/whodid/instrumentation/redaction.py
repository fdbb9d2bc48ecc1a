"""What runs over captured content before it is recorded: keys, tokens, passwords, e-mail and card numbers go.

It knows forms, not meanings: a secret without a form stays. Where that is too little, leave capture off.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

REDACTED: Final = "[redacted]"
_SECRETS: Final = (
    # As their issuers document them: OpenAI, Anthropic, AWS, GitHub, GitLab, Slack, Google, Stripe, PEM, JWT.
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
)
_SCHEMES: Final = re.compile(r"\b(bearer|basic|token)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_NAMED: Final = re.compile(
    # A name, an assignment, a value: of JSON, of Python, of a query, of an environment.
    r"((?:passwo?r?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|token|authorization)"
    r"[\w-]{0,40}\\?[\"']?\s{0,4}[:=]\s{0,4})"
    r"(?:(\\?[\"'])[^\"'\\]{1,4096}|([^\s\"'\\&,;}{)(\]\[]{1,4096}))",
    re.IGNORECASE,
)
_CREDENTIALS_IN_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]{1,20}://)[^/\s:@]{0,256}:[^/\s@]{1,256}@", re.IGNORECASE
)
_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]\d)(?!\d)")
_known: Final = re.compile("|".join(_SECRETS))

Redactor = Callable[[str], str]
_added: Final[list[Redactor]] = []


def add(redactor: Redactor | str) -> None:
    """Run this too, before the others: a regular expression whose matches go, or a function of the text.

    Raises re.error. A function that raises makes the whole text go.
    """
    if isinstance(redactor, str):
        pattern = re.compile(redactor)
        _added.append(lambda text: pattern.sub(REDACTED, text))
    else:
        _added.append(redactor)


def redact(text: str) -> str:
    """The text without what looks like a secret, an e-mail address or a card's number."""
    for redactor in _added:
        try:
            text = redactor(text)
        except Exception:  # noqa: BLE001 what it was to take out is not known
            return REDACTED
    text = _known.sub(REDACTED, text)
    text = _SCHEMES.sub(rf"\1\2{REDACTED}", text)
    text = _CREDENTIALS_IN_URL.sub(rf"\1{REDACTED}@", text)
    text = _NAMED.sub(_keep_name, text)
    text = _EMAIL.sub(REDACTED, text)
    return _CARD.sub(_card, text)


def _keep_name(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2] or ''}{REDACTED}"


def _card(found: re.Match[str]) -> str:
    """Only what has a card's check digit (ISO/IEC 7812-1): order numbers stay."""
    digits = [int(character) for character in found[0] if character.isdigit()]
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if position % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return REDACTED if total % 10 == 0 and any(digits) else found[0]
