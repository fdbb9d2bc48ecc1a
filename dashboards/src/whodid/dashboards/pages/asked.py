"""A question that was asked for a page: its answer, or why there is none, and where to get it as data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from whodid.processor import posted
from whodid.store.questions.question import Listing

if TYPE_CHECKING:
    from whodid.dashboards.pages.links import Links
    from whodid.dashboards.pages.look import Given
    from whodid.processor.errors import WhodidError
    from whodid.store.questions import AnyQuestion
    from whodid.store.reader import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that was asked: its answer, or why there is none."""

    question: AnyQuestion
    given: Given
    links: Links
    answer: Any = None
    error: WhodidError | None = None
    statements: list[Statement] = field(default_factory=list["Statement"])

    @property
    def fits_address(self) -> bool:
        """Whether the question can be asked by a link; if not, the API takes it as a POST."""
        length = sum(len(name) + len(text) for name, text in self.given)
        return length <= posted.MAX_IN_ADDRESS_CHARACTERS

    @property
    def json_url(self) -> str:
        return self.links.data(self.question.name, self.given)

    @property
    def csv_url(self) -> str | None:
        """None where the answer is no listing."""
        is_listing = issubclass(self.question.answer, Listing)
        return self.links.data(self.question.name, self.given, "csv") if is_listing else None

    @property
    def sql_url(self) -> str:
        return self.links.statements(self.question.name, self.given)

    @property
    def queries(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Each statement's name, text and parameters, as the API tells them."""
        return [
            (each.query, each.text, to_jsonable_python(each.parameters, bytes_mode="hex"))
            for each in self.statements
        ]

    @property
    def digest(self) -> str:
        """What tells this answer from another one, for who asks whether there is news."""
        text = self.answer.model_dump_json() if self.answer is not None else repr(self.error)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def next_cursor(self) -> str | None:
        return getattr(self.answer, "next_cursor", None)

    @property
    def gaps(self) -> list[str]:
        return getattr(self.answer, "gaps", [])

    @property
    def candidates(self) -> list[Any]:
        """What else an ambiguous id may mean."""
        return list(getattr(self.error, "candidates", ()))
