"""What a question is: a name, typed parameters, a typed answer; commands and the API are made from it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from whodid.store.questions.cursor import MAX_CURSOR_CHARACTERS
from whodid.store.records import Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_PAGE = 1_000
MAX_ID_CHARACTERS = 1_024


class Parameters(BaseModel):
    """What a question is asked with; a field's description is its help text. The Reader has the tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_BEGIN = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2200, 1, 1, tzinfo=datetime.UTC)
"""The times that the store's columns hold, and then some."""


class Period(Parameters):
    """Parameters of a question about a time: spans that started in [since, until)."""

    since: AwareDatetime | None = Field(
        None, description="Only what started at or after this time (RFC 3339)."
    )
    until: AwareDatetime | None = Field(None, description="Only what started before this time (RFC 3339).")

    def bounds(self) -> dict[str, datetime.datetime]:
        """`since` and `until` as a query's parameters; an open side is the end of all times."""
        return {
            "since": self.since or _BEGIN,
            "until": self.until or _END,
        }

    @model_validator(mode="after")
    def _is_a_period(self) -> Self:
        for moment in (self.since, self.until):
            if moment is not None and not _BEGIN <= moment <= _END:
                raise ValueError("since and until are between the years 1970 and 2200")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("until is not after since")
        return self


class Paged(Period):
    """Parameters of a question whose answer is a listing."""

    limit: int = Field(100, ge=1, le=MAX_PAGE, description="How many items a page holds.")
    cursor: str = Field(
        "",
        max_length=MAX_CURSOR_CHARACTERS,
        description="Where the page begins: `next_cursor` of the one before.",
    )


ItemT = TypeVar("ItemT", bound=Record)


class Listing(Record, Generic[ItemT]):
    """One page of an answer that is a list; a table and a CSV are made of its items."""

    items: list[ItemT]
    next_cursor: str | None = None
    """Where the next page begins; None on the last one."""
    gaps: list[str] = Field(default_factory=list)
    """What is missing, cut off or contradictory about the answer as a whole, in words."""


ParametersT = TypeVar("ParametersT", bound=Parameters)
AnswerT = TypeVar("AnswerT", bound=Record)


@dataclass(frozen=True, slots=True)
class Question(Generic[ParametersT, AnswerT]):
    """A question that can be asked of the store."""

    name: str
    """In kebab-case: `whodid ask NAME`, `/api/v1/NAME`, `docs/questions/NAME.md`."""
    title: str
    """The question in plain words, ending with a question mark."""
    parameters: type[ParametersT]
    answer: type[AnswerT]
    ask: Callable[[Reader, ParametersT], AnswerT]
    """Raises UnknownIdError, AmbiguousIdError, CursorError, QueryTooBroadError and StoreUnavailableError."""


AnyQuestion = Question[Any, Any]
