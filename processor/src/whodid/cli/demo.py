"""`whodid demo`: runs real agents with offline models against a real service, and asks who did what."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from whodid.processor.announcement import Announcement
    from whodid.store.records import WhoRecord

USER = "alice@acme.example"
START_TIMEOUT_S = 60
AGENTS_TIMEOUT_S = 120
ANSWERS_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
_WHODID = (sys.executable, "-m", "whodid.cli.main")
_NEEDS = ("agents", "langchain", "langgraph", "mcp", "cedarpy")

_STORIES = {
    "denied": "An action that a policy denied",
    "approved": "An action that somebody approved",
    "autonomous": "An action that an agent chose by itself",
}


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: where to ask it, and where to send to."""

    data_dir: Path
    api: str
    """Where its pages are, too."""
    otlp_grpc: str
    process: subprocess.Popen[bytes] | None
    """Ours, if we started it."""


@click.command("demo", short_help="Run real agents with offline models, and ask who did what.")
@click.option("--once", is_flag=True, help="End after the answers; free ports and a folder of its own.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the demo's service keeps its data.  [default: .whodid, or a temporary folder with --once]",
)
def command(once: bool, data_dir: Path | None) -> None:
    """Run real agents with offline models, and ask who did what.

    A support agent (openai-agents) works for alice@acme.example. It asks a research agent (LangGraph), which
    looks an order up in an MCP server in another process; it refunds the order, which bob@acme.example
    approves; it writes a mail by itself; and it tries to delete the customer, which a Cedar policy denies.
    No key, no network.

    Uses the service that runs on the data folder, or starts one. Answers go to stdout. Without --once, and on
    a terminal, a service that the demo started goes on until Ctrl-C.
    """
    for module in _NEEDS:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    _stop_on_signals()
    with contextlib.ExitStack() as stack:
        if once and data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whodid-demo-")))
        service = stack.enter_context(_service(_data_dir(data_dir), free_ports=once))
        calls = _run_agents(service)
        _print_answers(service, calls)
        if service.process is not None and not once and sys.stdout.isatty():
            _stay(service, calls)


def _data_dir(given: Path | None) -> Path:
    from whodid.processor import settings

    return settings.load({"data_dir": given} if given else {}).data_dir


@contextlib.contextmanager
def _service(data_dir: Path, *, free_ports: bool) -> Generator[Service]:
    """The service that runs on the folder, or one of our own, which is stopped with the block."""
    from whodid.processor import announcement

    if (running := announcement.read(data_dir)) is not None:
        _say(f"using the service that runs on {data_dir}")
        yield Service(data_dir, running.api, running.otlp_grpc, None)
        return
    _say("starting `whodid up` …")
    ports = ["--grpc-port", "0", "--http-port", "0", "--api-port", "0"] if free_ports else []
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - whodid itself
            [*_WHODID, "up", "--data-dir", str(data_dir), *ports],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to pass on: a second signal would cut its draining short
        )
        try:
            running = _wait_for_start(process, data_dir, log)
            yield Service(data_dir, running.api, running.otlp_grpc, process)
        finally:
            _stop(process)


def _wait_for_start(process: subprocess.Popen[bytes], data_dir: Path, log: IO[bytes]) -> Announcement:
    from whodid.processor import announcement

    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        running = announcement.read(data_dir)
        if running is not None and running.pid == process.pid:
            return running
        if process.poll() is not None:
            cause, hint = _its_error(log)
            raise _failure(f"`whodid up` did not start: {cause}", hint)
        time.sleep(0.05)
    raise _failure(f"`whodid up` did not start within {START_TIMEOUT_S} s", "try `whodid up` by itself")


def _its_error(log: IO[bytes]) -> tuple[str, str]:
    """The error and the hint that another verb ended with."""
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    causes = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    hints = [line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")]
    return (causes or lines or ["it said nothing"])[-1], (hints or ["try `whodid up` by itself"])[-1]


def _run_agents(service: Service) -> dict[str, str]:
    """Run the demo's agents in processes of their own; gives the id of each story's tool call."""
    from whodid import demo

    _say(f"running a support agent for {USER}, a research agent and an order system …")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "WHODID_"))}
    arguments = ["run", sys.executable, "-m", "whodid.demo.support", "--user", USER]
    try:
        done = subprocess.run(  # noqa: S603 - whodid itself
            [*_WHODID, *arguments],
            env={
                **kept,
                "OTEL_SERVICE_NAME": "support",
                "OTEL_EXPORTER_OTLP_ENDPOINT": service.otlp_grpc,
                "WHODID_POLICY": str(Path(demo.__path__[0]) / "policies"),
                "WHODID_AGENT_IDENTITY": "spiffe://acme.example/agent/support",
                "WHODID_AGENT_IDENTITY_TYPE": "spiffe",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=AGENTS_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failure(
            f"the demo's agents did not finish within {AGENTS_TIMEOUT_S} s", "is this machine very busy?"
        ) from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise _failure(
            f"the demo's agents failed ({done.returncode}): {said[-1] if said else 'they said nothing'}",
            f"run them by themselves: whodid {' '.join(['run', 'python', *arguments[2:]])}",
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["story"]: line["tool_call_id"] for line in lines if line["event"] == "tool_call"}


def _print_answers(service: Service, calls: dict[str, str]) -> None:
    from whodid.cli import answers, show
    from whodid.store.questions.trace import QUESTION, TraceParameters

    records = {story: _wait_for(service, calls[story]) for story in _STORIES}
    for story, title in _STORIES.items():
        click.echo(f"\n{title}: whodid who {calls[story]}\n")
        show.record(records[story])
    trace_id = records["denied"].trace_ids[0]
    click.echo(f"\nAll that happened: whodid trace {trace_id}\n")
    show.trace(answers.ask(QUESTION, TraceParameters(trace_id=trace_id), service.data_dir))


def _wait_for(service: Service, call_id: str) -> WhoRecord:
    """The record of an action as soon as its outcome is stored: the service stores in segments."""
    from whodid.cli import answers
    from whodid.store.questions import UnknownIdError
    from whodid.store.questions.who import QUESTION, WhoParameters

    deadline_s = time.monotonic() + ANSWERS_TIMEOUT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(UnknownIdError):
            record = answers.ask(QUESTION, WhoParameters(id=call_id), service.data_dir)
            if record.outcome.status != "not_recorded":
                return record
        time.sleep(0.1)
    raise _failure(
        f"the spans of {call_id} were not stored within {ANSWERS_TIMEOUT_S} s",
        "`whodid up` says on its standard error what keeps it",
    )


def _stay(service: Service, calls: dict[str, str]) -> None:
    """Says where the pages are, and waits for Ctrl-C, or for the service's end."""
    stop = threading.Event()

    def on_interrupt(_number: int, _frame: object) -> None:
        stop.set()

    # Not as an exception: that could strike anywhere, inside of what watches the service's process too.
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        _say(
            f"\nIn a browser: {service.api} has it all, and {service.api}/action/{calls['mailed']}"
            f"\nis the mail that was sent. It takes OTLP at {service.otlp_grpc}, and goes on until Ctrl-C."
            f"\nAnother terminal can ask it with `whodid who` as above{_folder_flag(service)}."
        )
        while service.process is not None and service.process.poll() is None and not stop.wait(0.2):
            pass
    finally:
        signal.signal(signal.SIGINT, before)


def _folder_flag(service: Service) -> str:
    default = Path(".whodid").resolve()
    return "" if service.data_dir.resolve() == default else f" and --data-dir {service.data_dir}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stop_on_signals() -> None:
    """SIGTERM, and a terminal that goes away, end the demo in order: the service it started ends as well."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _failure(cause: str, hint: str) -> Exception:
    from whodid.processor.errors import WhodidError

    return WhodidError(cause, hint)


def _say(text: str) -> None:
    click.echo(text, err=True)
