"""Plays every story with every framework and compares what the store has to say of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.otlp_receiver import Receiver, receiver
from tests.running import environment
from tests.scenarios.far_end import About, FarEnd
from tests.scenarios.stories import STORIES, Story
from tests.scenarios.tools import MCP_URL
from whodid.processor import pipeline
from whodid.store import Store

ROOT = Path(__file__).parents[2]
POLICIES = Path(__file__).with_name("policies")
PLAY_TIMEOUT_S = 600
STOP_TIMEOUT_S = 10
FRAMEWORKS = {
    "core": "a loop of one's own",
    "openai_agents": "OpenAI Agents SDK",
    "langgraph": "LangGraph",
    "mcp": "MCP",
    "fastmcp": "FastMCP",
    "pydantic_ai": "Pydantic AI",
    "claude_agent_sdk": "Claude Agent SDK",
    "google_adk": "Google ADK",
    "crewai": "CrewAI",
}
"""By the names of their modules in `idioms/`; what people call them."""
ELSEWHERE = ("google_adk", "crewai")
"""Those that have an environment of their own, which is called the same."""


class Verdict(StrEnum):
    """What came of a story in a framework."""

    YES = "yes"
    CANNOT = "cannot"
    """The framework has no way to express it."""
    NOT_YET = "not yet"
    """The framework could, and whodid does not see it."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Cell:
    """A story in a framework."""

    verdict: Verdict
    reason: str = ""
    expected: dict[str, Any] = field(default_factory=dict[str, Any])
    found: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Results:
    """What came of all that was played."""

    cells: dict[str, dict[str, Cell]]
    """By framework, and then by story."""
    notes: dict[str, list[str]]
    """By framework: what is otherwise in its records, in words."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Results:
        said: dict[str, Any] = json.loads(text)
        cells = {
            framework: {
                story: Cell(Verdict(cell["verdict"]), cell["reason"], cell["expected"], cell["found"])
                for story, cell in row.items()
            }
            for framework, row in said["cells"].items()
        }
        return cls(cells, said["notes"])


def perform(interpreters: Mapping[str, Path], folder: Path) -> Results:
    """Play with these frameworks, each by an interpreter that has it; keeps all files in `folder`.

    What they send goes through the pipeline at once, into an embedded store: the rules that look at several
    spans then see all of them, whatever came when. Raises RuntimeError with what a framework's process said,
    if it did not come to its end.
    """
    with receiver() as received:
        with _servers(received) as url, ThreadPoolExecutor(2) as pool:
            plays = [
                pool.submit(_play, framework, interpreter, folder, received, url)
                for framework, interpreter in interpreters.items()
            ]
            for each in plays:
                each.result()
        sealed = pipeline.run([request.SerializeToString() for request in received.requests])
    store = Store.open(f"chdb://{folder / 'store'}")
    try:
        store.insert(sealed, "scenarios")
        far = FarEnd(store)
        abouts = {name: About(**json.loads((folder / f"{name}.json").read_text())) for name in interpreters}
        cells = {
            name: {story.name: _cell(far, name, story, about) for story in STORIES.values()}
            for name, about in abouts.items()
        }
        return Results(cells, {name: about.notes() for name, about in abouts.items()})
    finally:
        store.close()


def _cell(far: FarEnd, framework: str, story: Story, about: About) -> Cell:
    if story.name in about.cannot:
        return Cell(Verdict.CANNOT, about.cannot[story.name])
    if story.name in about.not_yet:
        return Cell(Verdict.NOT_YET, about.not_yet[story.name])
    expected, found = about.expected(story.leaves), {}
    reason = about.failed.get(story.name, "")
    try:
        found = far.record(framework, story, about)
    except Exception as error:  # noqa: BLE001 one record that cannot be read must not hide the others
        reason += f"the record cannot be read: {error!r}"
    is_right = found == expected and not reason
    return Cell(Verdict.YES if is_right else Verdict.WRONG, reason, expected, found)


def _play(framework: str, interpreter: Path, folder: Path, received: Receiver, url: str) -> None:
    done = subprocess.run(
        (str(interpreter), "-m", "tests.scenarios.play", framework, str(folder)),
        cwd=ROOT,
        env=_variables(received, "agent", **{MCP_URL: url}),
        capture_output=True,
        text=True,
        timeout=PLAY_TIMEOUT_S,
    )
    (folder / f"{framework}.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise RuntimeError(f"{framework}: {(done.stdout + done.stderr)[-4000:]}")


def _variables(received: Receiver, name: str, **more: str) -> dict[str, str]:
    return environment(
        OTEL_SERVICE_NAME=name,
        WHODID_POLICY=str(POLICIES),
        OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        **more,
    )


@contextmanager
def _servers(received: Receiver) -> Generator[str]:
    """The two MCP servers; gives the address of the first."""
    with _server(received, "warehouse") as warehouse, _server(received, "orders", warehouse) as orders:
        yield orders


@contextmanager
def _server(received: Receiver, name: str, *arguments: str) -> Generator[str]:
    command = (sys.executable, "-m", "tests.scenarios.servers", name, *arguments)
    with subprocess.Popen(
        command, cwd=ROOT, env=_variables(received, name), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def wrong(results: Results) -> Iterable[tuple[str, str, Cell]]:
    """The cells that are not as they have to be."""
    for framework, row in results.cells.items():
        for story, cell in row.items():
            if cell.verdict is Verdict.WRONG:
                yield framework, story, cell


def here(names: Sequence[str]) -> dict[str, Path]:
    """The frameworks of these that are installed beside the tests."""
    return {name: Path(sys.executable) for name in names if name not in ELSEWHERE}
