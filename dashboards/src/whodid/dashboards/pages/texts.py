"""How what a span said is shown: made visible, shortened, never trusted."""

from __future__ import annotations

import datetime
import json
from typing import Any, cast

from markupsafe import Markup

from whodid.semconv.values import EvidenceLevel
from whodid.store import flat

SHORT_CHARACTERS = 160
"""Beyond this a text is folded."""
MAX_CHARACTERS = 20_000
"""Beyond this a page does not hold the rest; JSON has it."""
MAX_TITLE_CHARACTERS = 1_024
MISSING = "—"

EVIDENCE = {
    EvidenceLevel.VERIFIED: "the processor checked it itself",
    EvidenceLevel.PROPAGATED: "it came with the context from a known parent",
    EvidenceLevel.SELF_ASSERTED: "the span says so, and nothing confirms it",
    EvidenceLevel.MISSING: "no span says it",
}
"""What each level means, for people."""


def plain(value: Any, most: int | None = None) -> str:
    """A value as one visible text: lists by arrows, objects as JSON, nothing as nothing.

    `most`: how many characters of a text are looked at, where more of it is not shown.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " → ".join(plain(each) for each in cast("list[Any]", value))
    if isinstance(value, dict):
        return flat.visible(json.dumps(value, ensure_ascii=False))
    return flat.visible(str(value)[:most])


def folded(value: Any) -> Markup:
    """A text of any length: the beginning, and the rest behind a click, up to what a page can hold.

    `bdi` keeps letters that run from right to left from turning round what stands beside them (HTML 4.5.24).
    """
    text = plain(value, MAX_CHARACTERS + 1)
    if not text:
        return Markup('<span class="missing">{}</span>').format(MISSING)
    if len(text) <= SHORT_CHARACTERS:
        return Markup("<bdi>{}</bdi>").format(text)
    length = max(len(text), len(value)) if isinstance(value, str) else len(text)
    rest = text[:MAX_CHARACTERS]
    more = f" … {length:,} characters in all; JSON has the rest" if length > MAX_CHARACTERS else ""
    return Markup(
        "<details class=folded><summary><bdi>{}…</bdi> <small>{:,} characters</small></summary>"
        "<bdi>{}</bdi><small>{}</small></details>"
    ).format(text[:SHORT_CHARACTERS], length, rest, more)


def short(value: Any) -> Markup:
    """A text within a link, where nothing unfolds: its beginning; on hover all of it, up to a bound."""
    text = plain(value, MAX_TITLE_CHARACTERS)
    if len(text) <= SHORT_CHARACTERS:
        return Markup("<bdi>{}</bdi>").format(text or MISSING)
    title = text[:MAX_TITLE_CHARACTERS]
    return Markup('<bdi title="{}">{}…</bdi>').format(title, text[:SHORT_CHARACTERS])


def moment(value: str | datetime.datetime | None) -> Markup:
    """A time: UTC as it comes from here; the browser shows it in the viewer's zone, with UTC on hover."""
    if not value:
        return Markup('<span class="missing">{}</span>').format(MISSING)
    text = value.isoformat() if isinstance(value, datetime.datetime) else value
    shown = text[:23].replace("T", " ").rstrip("Z") + " UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, shown, shown)


def duration(ms: float | None) -> str:
    """Milliseconds as people read them."""
    if ms is None:
        return MISSING
    if ms < 1:
        return f"{ms * 1000:.0f} µs"
    if ms < 1_000:
        return f"{ms:.0f} ms"
    return f"{ms / 1_000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"


def indented(value: Any) -> str:
    """An object as JSON over several lines, as far as a page holds it; controls are made visible."""
    lines = json.dumps(value, ensure_ascii=False, indent=2).split("\n")
    text = "\n".join(flat.visible(line) for line in lines)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}\n… JSON has the rest"


def words(name: str) -> str:
    """A field's name for people."""
    return name.replace("_", " ").replace(".", " · ")


def evidence(level: EvidenceLevel | str) -> Markup:
    """A level of evidence as a mark that does not need its colour to be read."""
    known = EvidenceLevel(level)
    return Markup('<span class="evidence {}" title="{}">{}</span>').format(
        known.value.replace("_", "-"), EVIDENCE[known], known.value.replace("_", " ")
    )
