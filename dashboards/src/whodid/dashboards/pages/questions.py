"""Every question on a page of its own: a form of its parameters, and its answer as facts and tables."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from enum import EnumType
from typing import TYPE_CHECKING, Any, cast

from whodid.dashboards.pages.page import Page, Panel
from whodid.store.questions import QUESTIONS
from whodid.store.questions.asking import is_many, is_time

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from whodid.dashboards.pages.look import Given, Look
    from whodid.store.questions import AnyQuestion


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a question, as a field of a form."""

    name: str
    help: str
    kind: str
    """`text`, `time`, `flag`, `choice`, `choices`, or `many`: texts, one a line."""
    required: bool
    choices: tuple[str, ...]
    values: tuple[str, ...]
    """What is filled in."""


def fields(question: AnyQuestion, look: Look) -> list[Field]:
    """The form of a question, filled in with what the address says."""
    model = cast("dict[str, FieldInfo]", question.parameters.model_fields)
    return [_field(name, info, look) for name, info in model.items() if name != "cursor"]


def _field(name: str, info: FieldInfo, look: Look) -> Field:
    choices = _choices(info.annotation)
    if is_time(info):
        kind = "time"
    elif info.annotation is bool:
        kind = "flag"
    elif is_many(info):
        kind = "choices" if choices else "many"
    else:
        kind = "choice" if choices else "text"
    required = info.is_required()
    return Field(name, info.description or "", kind, required, choices, _filled_in(name, info, look))


def _filled_in(name: str, info: FieldInfo, look: Look) -> tuple[str, ...]:
    given = look.many(name)
    if given or info.is_required() or is_time(info):
        return tuple(given)
    default = info.get_default(call_default_factory=True)
    several = cast("tuple[Any, ...]", default) if isinstance(default, tuple | list) else (default,)
    texts = (str(each).lower() if isinstance(each, bool) else str(each) for each in several)
    return tuple(text for text in texts if text)


def _choices(annotation: Any) -> tuple[str, ...]:
    """The values of an enumeration, also within a tuple of them or beside None."""
    if isinstance(annotation, EnumType):
        return tuple(str(cast("Any", each).value) for each in annotation)
    found = [_choices(each) for each in typing.get_args(annotation)]
    return next((each for each in found if each), ())


def _asked(question: AnyQuestion, look: Look) -> Given | None:
    names = [name for name in question.parameters.model_fields if name != "cursor"]
    given = look.given(*names)
    model = cast("dict[str, FieldInfo]", question.parameters.model_fields)
    said = {name for name, _ in given}
    if any(info.is_required() and name not in said for name, info in model.items()):
        return None
    return [*given, *look.page("answer")]


def _page(question: AnyQuestion) -> Page:
    return Page(
        name=f"question-{question.name}",
        path=f"/questions/{question.name}",
        title=lambda _look: question.title,
        template="question.html",
        more=lambda look: {"question": question, "fields": fields(question, look)},
        panels=(
            Panel(
                name="answer",
                title="Answer",
                question=question,
                parameters=lambda look: _asked(question, look),
            ),
        ),
    )


QUESTION_PAGES = tuple(_page(question) for question in QUESTIONS.values())

QUESTIONS_PAGE = Page(
    name="questions",
    path="/questions",
    title=lambda _look: "All questions",
    in_menu="Questions",
    about="Everything that can be asked, each with all its parameters.",
    template="questions.html",
    more=lambda _look: {"questions": list(QUESTIONS.values())},
    panels=(),
)
