"""Where the stories are acted out: who asks, and what a framework has to be able to do."""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.scenarios.records import APPROVER
from tests.scenarios.script import Script
from whodid.instrumentation import approver, attribution, settings

RESUME_TIMEOUT_S = 300


class CannotError(Exception):
    """The framework has no way to act a story out; says why."""


class Idiom(ABC):
    """How one framework does things, with an offline model. A subclass is called `Idiom` in its module.

    What is not overridden, the framework cannot do: `cannot` says why, by the story's name.
    """

    cannot: ClassVar[dict[str, str]] = {}
    """Stories that the framework cannot express, each with the reason."""
    not_yet: ClassVar[dict[str, str]] = {}
    """Stories that it could, and that whodid does not see, each with the reason."""
    prefix: ClassVar[str] = ""
    """What the framework puts before the names of tools."""
    delegating: ClassVar[tuple[str, ...]] = ("ask_planner", "ask_research")
    """The names of tools by which an agent has another one do something."""
    handing_over: ClassVar[tuple[str, ...]] = ()
    """The names of tools by which an agent hands over, where that is a tool's call."""
    around: ClassVar[tuple[str, ...]] = ()
    """What the framework has around agents that hand over to each other, and which is an agent itself."""
    decides_first: ClassVar[bool] = False
    """Policies are asked before anybody is asked for an approval, and again after that."""
    lacks: ClassVar[dict[str, str]] = {}
    """Fields of `Act` that the framework cannot know, each with the reason."""
    errors_are_texts: ClassVar[bool] = False
    """A tool's exception reaches the agent's process as a text, so that its class is not known."""

    async def close(self) -> None:  # noqa: B027 most have nothing to close
        """After the last story."""

    @abstractmethod
    async def act(self, script: Script) -> None:
        """Run the agent to its end."""

    async def ask_first(self, script: Script, granted: bool) -> None:
        """The same, where the first call waits for an approval; answer it inside of `approved()`."""
        await self.go_on(script, await self.stop_to_ask(script), granted)

    async def stop_to_ask(self, script: Script) -> Any:
        """Run the agent until it waits for an approval; gives its state, as JSON has it."""
        raise NotImplementedError

    async def go_on(self, script: Script, state: Any, granted: bool) -> None:
        """Answer and go on from such a state, with nothing of the process that stopped."""
        raise NotImplementedError

    async def abandon(self, script: Script) -> None:
        """Have the agent's answer streamed, and stop reading after the first piece."""
        raise NotImplementedError


@contextmanager
def approved() -> Generator[None]:
    """The block in which somebody answers."""
    with approver(APPROVER):
        yield


class Stage:
    """One story's stage: the framework, and the task of each user, by which the record is found."""

    def __init__(self, framework: str, story: str, idiom: Idiom, folder: Path) -> None:
        self._framework = framework
        self._story = story
        self._idiom = idiom
        self._folder = folder

    def asks(self, user: str, **more: Any) -> attribution:
        """The block of a task that this user started, in the user's own name."""
        return attribution(
            principal=user,
            principal_type="human",
            initiator=user,
            initiator_type="human",
            task=task_of(self._framework, self._story, user),
            **more,
        )

    async def act(self, script: Script) -> None:
        await self._idiom.act(script)

    async def ask_first(self, script: Script, granted: bool) -> None:
        await self._idiom.ask_first(script, granted)

    async def abandon(self, script: Script) -> None:
        await self._idiom.abandon(script)

    async def ask_in_another_process(self, script: Script) -> None:
        """Stop here, and go on in a process that knows nothing but the state."""
        state = await self._idiom.stop_to_ask(script)
        file = self._folder / f"{self._framework}.state"
        file.write_text(json.dumps(state))
        done = subprocess.run(
            (sys.executable, "-m", "tests.scenarios.play", self._framework, str(self._folder), "--resume"),
            capture_output=True,
            text=True,
            timeout=RESUME_TIMEOUT_S,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])

    async def go_on(self, script: Script) -> None:
        """In that other process: somebody approves, and the agent goes on."""
        state = json.loads((self._folder / f"{self._framework}.state").read_text())
        await self._idiom.go_on(script, state, granted=True)

    @contextmanager
    def approvals_expire_at_once(self) -> Generator[None]:
        """An approval that is given in this block is out of date when it is used."""
        before = settings.current().approval_timeout_s
        settings.override(approval_timeout_s=0)
        try:
            yield
        finally:
            settings.override(approval_timeout_s=before)


def task_of(framework: str, story: str, user: str) -> str:
    """The id of a user's task in a story."""
    return f"{framework}/{story}/{user}"
