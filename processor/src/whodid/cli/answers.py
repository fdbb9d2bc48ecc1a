"""How the command line asks a question: the running service over HTTP, or else the store itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from pathlib import Path

    from whodid.processor.settings import Settings
    from whodid.store.questions.question import Parameters, Question
    from whodid.store.records import Record

TIMEOUT_S = 60

ParametersT = TypeVar("ParametersT", bound="Parameters")
AnswerT = TypeVar("AnswerT", bound="Record")


def ask(
    path: str,
    id_: str,
    question: Question[ParametersT, AnswerT],
    parameters: ParametersT,
    data_dir: Path | None,
) -> AnswerT:
    """The answer to a question about `id_`: from the service that runs on the data folder, or from its store.

    `path`: the question's path below `/api/v1`. Raises WhodidError.
    """
    from whodid.processor import announcement, settings

    loaded = settings.load({"data_dir": data_dir} if data_dir else {})
    running = announcement.read(loaded.data_dir)
    if running is not None:
        return question.answer.model_validate(_get(f"{running.api}/api/v1/{path}/{quote(id_, safe='')}"))
    return _from_store(loaded, question, parameters)


def _from_store(
    loaded: Settings, question: Question[ParametersT, AnswerT], parameters: ParametersT
) -> AnswerT:
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
            return question.ask(store.reader(), parameters)
        finally:
            store.close()


def _get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 - the service's own address
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise _problem(error) from None
    except (OSError, ValueError) as error:
        raise WhodidError(
            f"the service at {url} did not answer: {error}", "is `whodid up` still running?"
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
    if error.code == 404:
        return UnknownIdError(cause, hint)
    if error.code == 409:
        return AmbiguousIdError(cause, hint, [Candidate.model_validate(each) for each in body["candidates"]])
    return WhodidError(cause, hint)
