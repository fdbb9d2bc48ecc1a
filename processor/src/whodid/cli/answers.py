"""How the command line asks a question: the running service over HTTP, or else the store itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import urlencode

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from whodid.processor.settings import Settings
    from whodid.store import Store
    from whodid.store.questions.question import Parameters, Question
    from whodid.store.reader import Statement
    from whodid.store.records import Record

TIMEOUT_S = 60
_UNKNOWN_HINT = (
    "WHODID_ACCESS__TOKEN has to be a token that `whodid tokens create` made and that is still good"
)

ParametersT = TypeVar("ParametersT", bound="Parameters")
AnswerT = TypeVar("AnswerT", bound="Record")


class Source(Protocol):
    """Who answers."""

    def ask(self, question: Question[ParametersT, AnswerT], parameters: ParametersT) -> AnswerT:
        """The answer. Raises WhodidError."""
        ...

    def statements(
        self, question: Question[ParametersT, AnswerT], parameters: ParametersT
    ) -> list[Statement]:
        """The queries that make the answer, as they were run. Raises WhodidError."""
        ...


def ask(question: Question[ParametersT, AnswerT], parameters: ParametersT, data_dir: Path | None) -> AnswerT:
    """One answer, from the service that runs on the data folder, or from its store. Raises WhodidError."""
    with source(data_dir) as found:
        return found.ask(question, parameters)


@contextmanager
def source(data_dir: Path | None, tenant: str | None = None) -> Generator[Source]:
    """The service that runs on the data folder, or else its store, which is opened for the block.

    `tenant`: about whose spans; None for the tenant of the settings. Raises WhodidError.
    """
    from whodid.processor import announcement, settings

    loaded = settings.load({"data_dir": data_dir} if data_dir else {})
    running = announcement.read(loaded.data_dir)
    if running is not None:
        yield _Service(running.api, tenant, loaded.access.token)
        return
    with opened(loaded) as store:
        yield _Opened(store, tenant)


@contextmanager
def opened(loaded: Settings) -> Generator[Store]:
    """The store of the settings, which no service has. Raises WhodidError."""
    from whodid.processor import storage
    from whodid.processor.lock import DataLock

    embedded = not loaded.store.url.get_secret_value()
    if embedded and not (loaded.data_dir / "store").exists():
        raise WhodidError(
            f"no service runs on {loaded.data_dir}, and there is no store in it",
            "start one with `whodid up`, or name its folder with --data-dir",
        )
    with DataLock(loaded.data_dir) if embedded else nullcontext():
        store = storage.opened(loaded)
        try:
            yield store
        finally:
            store.close()


@dataclass(frozen=True, slots=True)
class _Opened:
    """The store itself."""

    store: Store
    tenant: str | None

    def ask(self, question: Question[ParametersT, AnswerT], parameters: ParametersT) -> AnswerT:
        return question.ask(self.store.reader(self.tenant), parameters)

    def statements(
        self, question: Question[ParametersT, AnswerT], parameters: ParametersT
    ) -> list[Statement]:
        reader = self.store.reader(self.tenant)
        question.ask(reader, parameters)
        return reader.statements


@dataclass(frozen=True, slots=True)
class _Service:
    """A running service's API."""

    api: str
    tenant: str | None
    token: SecretStr

    def ask(self, question: Question[ParametersT, AnswerT], parameters: ParametersT) -> AnswerT:
        return question.answer.model_validate(self._get(question.name, parameters))

    def statements(
        self, question: Question[ParametersT, AnswerT], parameters: ParametersT
    ) -> list[Statement]:
        from pydantic import TypeAdapter

        from whodid.store.reader import Statement

        found = self._get(question.name, parameters, ("sql", "true"))
        return TypeAdapter(list[Statement]).validate_python(found["statements"])

    def _get(self, name: str, parameters: Parameters, *more: tuple[str, str]) -> Any:
        from whodid.store.questions.asking import texts

        said = [*texts(parameters), *more]
        if self.tenant is not None:
            said.append(("tenant", self.tenant))
        return _get(f"{self.api}/api/v1/{name}?{urlencode(said)}", self.token)


def _get(url: str, token: SecretStr) -> Any:
    request = urllib.request.Request(url)  # noqa: S310 - the service's own address
    if token.get_secret_value():
        # Not to wherever the answer might send us on.
        request.add_unredirected_header("authorization", f"Bearer {token.get_secret_value()}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise _problem(error) from None
    except (OSError, ValueError) as error:
        raise WhodidError(
            f"the service at {url.partition('?')[0]} did not answer: {error}",
            "is `whodid up` still running?",
        ) from None


def _problem(error: urllib.error.HTTPError) -> WhodidError:
    """The service's problem (RFC 9457) as the error that asking the store would have raised."""
    from whodid.store.questions import AmbiguousIdError, UnknownIdError
    from whodid.store.records import Candidate

    try:
        body = cast("dict[str, Any]", json.load(error))
        cause, hint = str(body["title"]), str(body["hint"])
    except (ValueError, KeyError, TypeError):
        return WhodidError(f"the service answered {error.code}", "see what `whodid up` printed")
    if error.code == 401:
        return WhodidError(f"the service does not know who asks: {cause}", _UNKNOWN_HINT)
    if error.code == 409:
        return AmbiguousIdError(cause, hint, [Candidate.model_validate(each) for each in body["candidates"]])
    if body.get("type") == "urn:whodid:problem:unknown-id":
        return UnknownIdError(cause, hint)
    return WhodidError(cause, hint)
