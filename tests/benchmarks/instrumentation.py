"""What instrumentation costs an agent: time added per run with one tool call, and imports.

`python -m tests.benchmarks.instrumentation`

Each subject runs in processes of its own; OpenInference is the other one. A run is an agent of LangGraph's,
or of the OpenAI Agents SDK's, with an offline model that calls one tool: an agent's span and a tool's at
least. Spans go to the SDK's batching processor and from there nowhere, and each turn pays for all of its own.

What is added is a tenth of a run, and a busy machine drifts by more than that within a second. So the
subjects' processes stand side by side and take short turns, and only turns next to each other are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

SUBJECTS = ("nothing", "whodid", "openinference")
FRAMEWORKS = ("langgraph", "openai_agents")
WARM_UP_RUNS = 30
TURN_RUNS = 20
IMPORTS = {
    "opentelemetry.sdk.trace": "import opentelemetry.sdk.trace",
    "whodid.instrumentation": "import whodid.instrumentation",
    "… and attribution": "from whodid.instrumentation import attribution",
    "… and init": "from whodid.instrumentation import init",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="agent runs a process, in turns of 20")
    parser.add_argument("--rounds", type=int, default=5, help="times that the processes are started")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--only", choices=FRAMEWORKS, help="agents of one framework")
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.subject is not None:
        for figures in measure(options.subject, options.only, sys.stdin):
            print(json.dumps(figures), flush=True)
        return 0
    chosen = [options.only] if options.only else FRAMEWORKS
    runs = {name: side_by_side(name, options.rounds, options.runs) for name in chosen}
    figures = {"run": runs, "import": imports(options.rounds)}
    report(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def side_by_side(framework: str, rounds: int, runs: int) -> dict[str, dict[str, float]]:
    """By subject: CPU microseconds a run, what it adds to nothing, spans a run; medians over all turns."""
    found: dict[str, list[dict[str, float]]] = {subject: [] for subject in SUBJECTS}
    for _ in range(rounds):
        with ExitStack() as stack:
            processes = {subject: stack.enter_context(started(framework, subject)) for subject in SUBJECTS}
            for _ in range(-(-runs // TURN_RUNS)):
                for subject, process in processes.items():
                    found[subject].append(turn(process))
    bare = found["nothing"]
    figures: dict[str, dict[str, float]] = {}
    for subject, turns in found.items():
        added_us = statistics.median(
            one["run_us"] - base["run_us"] for one, base in zip(turns, bare, strict=True)
        )
        run_us = statistics.median(one["run_us"] for one in turns)
        figures[subject] = {"run_us": run_us, "added_us": added_us, "spans": turns[0]["spans"]}
    return figures


def started(framework: str, subject: str) -> subprocess.Popen[str]:
    """A process of one subject's, which makes a turn for each line that it reads."""
    command = [sys.executable, "-m", __spec__.name, "--only", framework, "--subject", subject]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def turn(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def imports(rounds: int) -> dict[str, float]:
    """Milliseconds that each import takes in a fresh interpreter, beyond its own start; the best."""
    bare_ms = import_ms("pass", rounds)
    return {name: import_ms(statement, rounds) - bare_ms for name, statement in IMPORTS.items()}


def import_ms(statement: str, rounds: int) -> float:
    times_s: list[float] = []
    for _ in range(2 * rounds):
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        times_s.append(time.perf_counter() - start_s)
    return min(times_s) * 1000


def measure(subject: str, framework: str, turns: Iterable[object]) -> Iterator[dict[str, float]]:
    """In a process of its own: the CPU time of a run, all threads and the export together, turn by turn."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = counting_exporter()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    if subject == "whodid":
        from whodid.instrumentation import init

        init(report=False)
    elif subject == "openinference":
        theirs(framework).instrument(tracer_provider=provider)
    from whodid.instrumentation import attribution

    run = langgraph_agent() if framework == "langgraph" else openai_agent(quiet=subject != "openinference")

    def several(runs: int) -> None:
        for number in range(runs):
            if subject == "whodid":
                task = f"t{number}"
                with attribution(principal="alice", principal_type="human", initiator="alice", task=task):
                    answer = run()
            else:
                answer = run()
            assert answer == "done"
        provider.force_flush()

    several(WARM_UP_RUNS)
    for _ in turns:
        before, start_s = exporter.count, time.process_time()
        several(TURN_RUNS)
        spent_s = time.process_time() - start_s
        yield {"run_us": spent_s / TURN_RUNS * 1e6, "spans": (exporter.count - before) / TURN_RUNS}


def theirs(framework: str) -> Any:
    """OpenInference's instrumentor."""
    if framework == "langgraph":
        from openinference.instrumentation.langchain import LangChainInstrumentor

        return LangChainInstrumentor()
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    return OpenAIAgentsInstrumentor()


def counting_exporter() -> Any:
    """Takes spans and counts them: what a receiver costs is no part of the question."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Counting(SpanExporter):
        count = 0

        def export(self, spans: Any) -> SpanExportResult:
            self.count += len(spans)
            return SpanExportResult.SUCCESS

    return Counting()


def langgraph_agent() -> Callable[[], str]:
    """Runs LangGraph's own agent; its model calls the tool once and is then done."""
    from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - langchain's
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool

    class Scripted(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

    def script() -> Any:
        while True:
            call = {"name": "lookup_order", "args": {"order_id": "17"}, "id": "call_1"}
            yield AIMessage("", tool_calls=[call])  # pyright: ignore[reportArgumentType]
            yield AIMessage("done")

    agent: Any = cast("Any", create_agent)(Scripted(messages=script()), tools=[tool(lookup_order)])
    asked: dict[str, Any] = {"messages": [("user", "where is order 17?")]}
    return lambda: agent.invoke(asked)["messages"][-1].content


def openai_agent(*, quiet: bool) -> Callable[[], str]:
    """Runs an agent of the OpenAI Agents SDK's, the same way.

    `quiet`: the SDK's own traces, which it makes for whoever listens, go to nobody; not to its vendor either.
    """
    from agents import Agent, Runner, function_tool, set_trace_processors
    from agents.testing import ScriptedModel, assistant_message, function_call

    if quiet:
        set_trace_processors([])
    loop = asyncio.new_event_loop()
    lookup = function_tool(lookup_order)

    def run() -> str:
        turns = [
            [function_call("lookup_order", {"order_id": "17"}, call_id="call_1")],
            [assistant_message("done")],
        ]
        agent = Agent[None](name="support", model=ScriptedModel(turns), tools=[lookup])
        return str(loop.run_until_complete(Runner.run(agent, "where is order 17?")).final_output)

    return run


def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    return f"order {order_id}"


def report(figures: dict[str, Any]) -> None:
    for framework, subjects in figures["run"].items():
        added_us = subjects["openinference"]["added_us"]
        print(f"{framework + ', a tool call':30} {'µs':>8} {'added':>8} {'of theirs':>10} {'spans':>6}")
        for subject, each in subjects.items():
            share = f"{each['added_us'] / added_us:10.2f}" if added_us > 0 else f"{'':10}"
            print(f"{subject:30} {each['run_us']:8.0f} {each['added_us']:8.0f} {share} {each['spans']:6.1f}")
    sdk_ms = figures["import"]["opentelemetry.sdk.trace"]
    print(f"\n{'import':30} {'ms':>8} {'of the SDK':>10}")
    for name, took_ms in figures["import"].items():
        print(f"{name:30} {took_ms:8.1f} {took_ms / sdk_ms:10.2f}")


if __name__ == "__main__":
    sys.exit(main())
