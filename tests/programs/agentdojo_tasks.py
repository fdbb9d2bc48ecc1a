"""Runs AgentDojo's user tasks, its own ground truth in the place of a model, as an attributed agent would.

    python agentdojo_tasks.py FOLDER [--unattributed]

For each suite FOLDER gets `<suite>.otlp`, one ExportTraceServiceRequest with the spans of all its tasks; a
JSON object on standard output says how many tasks, calls and failed calls each suite had. With
--unattributed nobody says for whom the tasks are.
"""

# pyright: basic, reportMissingImports=false
# The benchmark is not installed beside the tests.

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from agentdojo.functions_runtime import FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from whodid.instrumentation import attribution, core, stamping
from whodid.instrumentation.core import ToolCall

VERSION = "v1.2.2"
USER = "emma.johnson@bluesparrowtech.com"


def for_user(task_id: str, prompt: str, attributed: bool) -> Any:
    """The block in which a task is done for its user."""
    if not attributed:
        return contextlib.nullcontext()
    return attribution(
        principal=USER,
        principal_type="human",
        initiator=USER,
        initiator_type="human",
        task=task_id,
        objective=prompt,
    )


def run_task(suite: Any, task: Any, name: str) -> dict[str, int]:
    """One task: each call of the ground truth through the same steps as an adapter takes."""
    environment = task.init_environment(suite.load_and_inject_default_environment({}))
    runtime = FunctionsRuntime(suite.tools)
    count = {"tasks": 1, "calls": 0, "failed": 0}
    with core.agent_span(f"{suite.name}-agent", adapter="agentdojo"):
        for number, call in enumerate(task.ground_truth(environment)):
            action = core.tool_call(
                ToolCall(call.function, f"call_{name}_{number}", dict(call.args)), adapter="agentdojo"
            )
            count["calls"] += 1
            try:
                with action.executing():
                    result, _ = runtime.run_function(
                        environment, call.function, call.args, raise_on_error=True
                    )
                    action.result(str(result))
            except Exception:  # noqa: BLE001  a failed call is part of the run, as for a model
                count["failed"] += 1
    return count


def main() -> None:
    folder, attributed = Path(sys.argv[1]), "--unattributed" not in sys.argv
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    stamping.install(provider)
    counts: dict[str, dict[str, int]] = {}
    for suite_name, suite in get_suites(VERSION).items():
        counts[suite_name] = {"tasks": 0, "calls": 0, "failed": 0}
        for task_id, task in suite.user_tasks.items():
            name = f"{suite_name}_{task_id}"
            with for_user(name, task.PROMPT, attributed):
                for what, number in run_task(suite, task, name).items():
                    counts[suite_name][what] += number
        request = encode_spans(exporter.get_finished_spans())
        (folder / f"{suite_name}.otlp").write_bytes(request.SerializeToString())
        exporter.clear()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
