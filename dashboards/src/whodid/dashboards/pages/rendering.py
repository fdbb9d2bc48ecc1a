"""The templates: one environment, everything escaped, and what they may call."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jinja2

from whodid.dashboards.pages import charts, texts
from whodid.dashboards.pages.links import ENTITIES
from whodid.dashboards.pages.shown import shown, table

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
STATIC = HERE / "static"


@functools.cache
def environment() -> jinja2.Environment:
    """Escapes everything; a name that is not there is an error, not an empty text."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # A service that goes on while it is upgraded keeps the templates that its code was written for.
        auto_reload=False,
    )
    filters = {
        "plain": texts.plain,
        "folded": texts.folded,
        "short": texts.short,
        "moment": texts.moment,
        "duration": texts.duration,
        "words": texts.words,
        "indented": texts.indented,
        "evidence": texts.evidence,
        "shown": shown,
        "hourly": charts.hourly,
    }
    cast("dict[str, Any]", made.filters).update(filters)
    cast("dict[str, Any]", made.globals).update(static=static_url, entities=ENTITIES, as_table=table)
    return made


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template's text."""
    return environment().get_template(template).render(context)


@functools.cache
def static_url(name: str) -> str:
    """The address of a file of ours; it changes with the content, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
