"""Span: everything that is stored of one span; content for who may see it, and asks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.processor.access.viewer import Role
from whodid.semconv import attributes as attr
from whodid.store.questions import QUESTIONS

if TYPE_CHECKING:
    from whodid.dashboards.pages.look import Look
    from whodid.store.questions.span import SpanRecord, StoredAttribute

MAX_SHOWN = 200
"""Attributes, events or links of one kind that a page holds; JSON has the rest."""

_COLUMNS = {
    attr.GEN_AI_AGENT_NAME: "agent",
    attr.GEN_AI_TOOL_NAME: "tool",
    attr.GEN_AI_CONVERSATION_ID: "session",
    attr.SESSION_ID: "session",
    attr.ATTRIBUTION_ACTION_ID: "action_id",
    attr.ATTRIBUTION_INITIATOR_ID: "initiator",
    attr.ATTRIBUTION_PRINCIPAL_ID: "principal",
    attr.ATTRIBUTION_APPROVAL_APPROVER_ID: "approver",
    attr.ATTRIBUTION_CREDENTIAL_ID: "credential",
    attr.ATTRIBUTION_CREDENTIAL_REPLACES_ID: "credential",
    attr.ATTRIBUTION_RESOURCE_ID: "resource",
    attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID: "trace_id",
}
"""By which column's name the page about an attribute's value is found."""


def column_of(attribute: StoredAttribute) -> str:
    """The name of a column with the same meaning, if there is one with a page."""
    return _COLUMNS.get(attribute.name, "")


def text_of(value: Any) -> str:
    """A stored value as a text: what is no text itself, as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shows_content(look: Look) -> bool:
    return look.get("content") in ("1", "true")


def action_of(record: SpanRecord) -> str:
    """By which id `who` is asked about what the span belongs to."""
    told = next((each.value for each in record.attributes if each.name == attr.ATTRIBUTION_ACTION_ID), None)
    return told if isinstance(told, str) else record.span_id


def _asked(look: Look) -> Given:
    content = [("content", "true")] if shows_content(look) else []
    return [("trace_id", look.get("trace")), ("span_id", look.get("span")), *content]


SPAN = Page(
    name="span",
    path="/trace/{trace}/span/{span}",
    title=lambda look: f"Span {look.get('span')}",
    about="Everything that is stored of it.",
    template="span.html",
    more=lambda look: {
        "action_of": action_of,
        "column_of": column_of,
        "text_of": text_of,
        "has_content": shows_content(look),
        "investigator": Role.INVESTIGATOR,
        "max_shown": MAX_SHOWN,
    },
    panels=(
        Panel(
            name="span",
            title="What is stored",
            question=QUESTIONS["span"],
            parameters=_asked,
            template="panels/span.html",
        ),
    ),
)
