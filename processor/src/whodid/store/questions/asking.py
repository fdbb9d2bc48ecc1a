"""From the texts of a query string or a command line to a question's parameters, and back."""

from __future__ import annotations

import datetime
import difflib
import re
import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from whodid.processor.errors import WhodidError
from whodid.processor.settings import Tenant

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from whodid.store.questions.question import AnyQuestion, Parameters

RESERVED = ("tenant", "format", "sql")
"""What every question can be asked with beside its own parameters, which have other names."""

AGO = r"^[0-9]{1,6}[smhdw]$"
"""A time that long before now, as texts may say it: `90s`, `15m`, `24h`, `7d`, `2w`."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHOWN_CHARACTERS = 80
_TENANT: TypeAdapter[str] = TypeAdapter(Tenant)


class ParameterError(WhodidError):
    """The question cannot be asked with these parameters."""


def is_many(field: FieldInfo) -> bool:
    """Whether a parameter may be given several times."""
    return typing.get_origin(field.annotation) in (tuple, list, set, frozenset)


def is_time(field: FieldInfo) -> bool:
    """Whether a parameter is a time, which may also be told as so long ago."""
    kinds = typing.get_args(field.annotation) or (field.annotation,)
    return any(kind is datetime.datetime or kind is AwareDatetime for kind in map(_plain, kinds))


def parse(
    question: AnyQuestion, given: Iterable[tuple[str, str]], *, now: datetime.datetime | None = None
) -> Any:
    """The parameters of a question from names and texts; a name comes again for each of several values.

    Raises ParameterError, which names every parameter that is wrong.
    """
    fields: dict[str, FieldInfo] = question.parameters.model_fields
    values: dict[str, Any] = {}
    for name, text in given:
        field = fields.get(name)
        if field is None:
            raise _unknown(question, name)
        if is_many(field):
            values.setdefault(name, []).append(text)
        elif name in values:
            raise ParameterError(f"{name} is given twice", f"{question.name} takes one {name}")
        else:
            values[name] = _moment(text, now) if is_time(field) else text
    try:
        return question.parameters.model_validate(values)
    except ValidationError as error:
        raise _wrong(question, error) from None


def tenant_name(text: str) -> str:
    """The text, if a tenant can be called that. Raises ParameterError."""
    try:
        return _TENANT.validate_python(text)
    except ValidationError:
        hint = "letters, digits and ._:@/-; leave it out for the service's own tenant"
        raise ParameterError("tenant is no tenant's name", hint) from None


def texts(parameters: Parameters) -> list[tuple[str, str]]:
    """What `parse` makes the same parameters of."""
    said = parameters.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    found: list[tuple[str, str]] = []
    for name, value in said.items():
        several = typing.cast("list[Any]", value) if isinstance(value, list) else [value]
        found += [(name, _text(each)) for each in several]
    return found


def _plain(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _moment(text: str, now: datetime.datetime | None) -> str:
    if not re.fullmatch(AGO, text):
        return text
    ago = datetime.timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    try:
        return ((now or datetime.datetime.now(datetime.UTC)) - ago).isoformat()
    except OverflowError:
        return text  # before the calendar begins: refused as the time that it is not


def _unknown(question: AnyQuestion, name: str) -> ParameterError:
    shown = name[:_SHOWN_CHARACTERS]
    names: list[str] = list(question.parameters.model_fields)
    near = difflib.get_close_matches(shown, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names)}"
    return ParameterError(f"{question.name} has no parameter {shown!r}", hint)


def _wrong(question: AnyQuestion, error: ValidationError) -> ParameterError:
    told: list[str] = []
    hint = f"docs/questions/{question.name}.md says what each parameter is"
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        told.append(f"{name}: {each['msg']}" if name else each["msg"].removeprefix("Value error, "))
        field = question.parameters.model_fields.get(name)
        if field is not None and is_time(field):
            hint = "a time is 2026-11-25T14:00:00Z, or so long ago: 90s, 15m, 24h, 7d, 2w"
    return ParameterError("; ".join(told), hint)
