"""Switching on, in processes of their own: `init()`, `whodid run`, `opentelemetry-instrument`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.otlp_receiver import Receiver, receiver
from whodid.instrumentation import ending, export, own_exporters, startup

BIN = Path(sys.executable).parent
SPAN = """
from opentelemetry import trace
from whodid.instrumentation import attribution
def span(name):
    with attribution(principal="alice"), trace.get_tracer("host").start_as_current_span(name):
        pass
"""


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


def environment(endpoint: str | None = None, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WHODID_", "OTEL_")) and name != "PYTHONPATH"
    }
    where = {} if endpoint is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    # As in an activated environment: `python` is this one.
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return {**kept, "PATH": path, **where, **more}


def run(
    tmp_path: Path, program: str, *command: str, endpoint: str | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the program as `x.py`; `{x}` in the command is its path."""
    file = tmp_path / "x.py"
    file.write_text(SPAN + textwrap.dedent(program))
    arguments = [str(BIN / command[0]), *(part.replace("{x}", str(file)) for part in command[1:])]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=60, env=environment(endpoint, **more), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return done


def test_importing_it_loads_no_server_and_no_exporter() -> None:
    heavy = "grpc pyarrow clickhouse_connect starlette pydantic requests cedarpy agents langchain_core mcp"
    everything = "import sys; from whodid.instrumentation import *; "
    program = f"{everything}print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_init_makes_a_provider_and_reports(tmp_path: Path, receiving: Receiver) -> None:
    done = run(
        tmp_path,
        """
        from whodid.instrumentation import init, flush
        init(); init()
        span("x")
        assert flush()
        print("output")
        """,
        "python",
        "{x}",
        endpoint=receiving.endpoint,
    )
    assert done.stdout == "output\n"
    address = receiving.endpoint.removeprefix("http://")
    lines = done.stderr.splitlines()
    assert re.match(r"whodid: instrumented openai-agents \d+\.\d+\.\d+, ", lines[0])
    assert lines[-1] == f"whodid: spans go to {address} (grpc): receiver answered"
    assert all(line.startswith("whodid: found but not instrumented: ") for line in lines[1:-1])
    said = receiving.spans()["x"]
    assert said["attribution.principal.id"] == "alice"
    assert re.fullmatch(r"[0-9a-f]{32}", said["resource"]["service.instance.id"])


def test_whodid_run_and_its_children(tmp_path: Path, receiving: Receiver) -> None:
    done = run(
        tmp_path,
        """
        import subprocess, sys
        if len(sys.argv) > 1:
            span("child")
        else:
            span("parent")
            subprocess.run([sys.executable, __file__, "child"], check=True)
        """,
        "whodid",
        "run",
        "{x}",
        endpoint=receiving.endpoint,
    )
    assert done.stderr.count("whodid: instrumented") == 1, "children do not repeat it"
    spans = receiving.spans()
    assert {spans[name]["attribution.principal.id"] for name in ("parent", "child")} == {"alice"}
    ids = {spans[name]["resource"]["service.instance.id"] for name in ("parent", "child")}
    assert len(ids) == 2


def test_whodid_run_gives_the_programs_arguments_and_exit_code(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("import sys; print(sys.argv[1:]); sys.exit(3)")
    done = subprocess.run(
        [BIN / "whodid", "run", sys.executable, "x.py", "--help", "-v", "a b"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(WHODID_REPORT="0", WHODID_EXPORT="0"),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "['--help', '-v', 'a b']\n", "")


@pytest.mark.parametrize(("command", "hint"), [("no-such-command", "shell"), ("no-such.py", "Python file")])
def test_whodid_run_without_such_a_program(command: str, hint: str) -> None:
    done = subprocess.run([BIN / "whodid", "run", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 127
    assert re.fullmatch(rf"error: {command}: no such command\n\nhint: .*{hint}.*\n", done.stderr)


def test_a_receiver_that_is_away_is_said_and_does_not_keep_the_program(tmp_path: Path) -> None:
    started_s = time.monotonic()
    done = run(tmp_path, 'span("x")', "whodid", "run", "python", "{x}", endpoint="http://127.0.0.1:9")
    assert "spans go to 127.0.0.1:9 (grpc): receiver did not answer" in done.stderr
    assert "hint: start one with `whodid up`" in done.stderr
    assert time.monotonic() - started_s < ending.FLUSH_TIMEOUT_S + 8


def test_the_sitecustomize_behind_ours_runs_too(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sys; sys.theirs = True")
    done = run(
        tmp_path,
        "import sys; print(sys.theirs, sys.modules['sitecustomize'].__file__)",
        "whodid",
        "run",
        "{x}",
        PYTHONPATH=str(other),
        WHODID_EXPORT="0",
    )
    assert done.stdout == f"True {other / 'sitecustomize.py'}\n"
    (other / "sitecustomize.py").write_text("1 / 0")
    done = run(tmp_path, "print('ran')", "whodid", "run", "{x}", PYTHONPATH=str(other), WHODID_EXPORT="0")
    assert done.stdout == "ran\n"
    assert "ZeroDivisionError" in done.stderr
    assert "whodid: instrumented" in done.stderr


def test_opentelemetry_instrument_without_a_distribution_of_otels(
    tmp_path: Path, receiving: Receiver
) -> None:
    done = run(
        tmp_path, 'span("x")', "opentelemetry-instrument", "python", "{x}", endpoint=receiving.endpoint
    )
    assert done.stdout == ""
    assert done.stderr.startswith("whodid: instrumented ")
    assert "receiver answered" in done.stderr
    assert receiving.spans()["x"]["attribution.principal.id"] == "alice"


def test_opentelemetry_instrument_keeps_to_what_is_required_and_what_is_disabled(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("print('ran')")
    command = [BIN / "opentelemetry-instrument", "python", "x.py"]

    def started(**more: str) -> subprocess.CompletedProcess[str]:
        variables = environment(WHODID_EXPORT="0", **more)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=variables, cwd=tmp_path
        )

    missing = started(WHODID_REQUIRE="mcp,no_such_framework")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "error: no_such_framework is required, and there is no adapter for it" in missing.stderr
    disabled = started(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="whodid_mcp", WHODID_REQUIRE="langgraph")
    assert disabled.stdout == "ran\n"
    assert re.search(r"found but not instrumented: .*mcp \S+ \(not in WHODID_FRAMEWORKS\)", disabled.stderr)
    everything = started(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*")
    assert (everything.stdout, everything.stderr) == ("ran\n", "")


HOSTS_PROVIDER = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.resources import Resource
hosts = InMemorySpanExporter()
provider = TracerProvider(resource=Resource.create({"service.name": "hosts"}))
provider.add_span_processor(SimpleSpanProcessor(hosts))
"""


def test_a_provider_that_the_host_has_already_is_stamped_and_kept(
    tmp_path: Path, receiving: Receiver
) -> None:
    done = run(
        tmp_path,
        HOSTS_PROVIDER
        + textwrap.dedent("""
        from whodid.instrumentation import init
        trace.set_tracer_provider(provider)
        init()
        assert trace.get_tracer_provider() is provider
        span("x")
        print(hosts.get_finished_spans()[0].attributes["attribution.principal.id"])
        """),
        "python",
        "{x}",
        endpoint=receiving.endpoint,
    )
    assert done.stdout == "alice\n"
    assert "go where the program's own exporters send them" in done.stderr
    assert receiving.spans() == {}


def test_a_provider_that_the_host_sets_later_takes_the_place_of_ours(
    tmp_path: Path, receiving: Receiver
) -> None:
    done = run(
        tmp_path,
        "early = trace.get_tracer('early')\n"
        + HOSTS_PROVIDER
        + textwrap.dedent("""
        with attribution(principal="alice"), early.start_as_current_span("early"):
            pass
        trace.set_tracer_provider(provider)
        assert trace.get_tracer_provider() is provider
        span("late")
        print([(s.name, s.attributes["attribution.principal.id"]) for s in hosts.get_finished_spans()])
        trace.set_tracer_provider(TracerProvider())  # the API refuses that one, as always
        assert trace.get_tracer_provider() is provider
        """),
        "whodid",
        "run",
        "{x}",
        endpoint=receiving.endpoint,
    )
    assert done.stdout == "[('late', 'alice')]\n"
    assert done.stderr.count("Overriding of current TracerProvider") == 1
    spans = receiving.spans()
    assert set(spans) == {"early", "late"}
    assert spans["late"]["resource"]["service.name"] == "hosts"


@pytest.mark.parametrize("handler", ["none", "hosts"])
def test_sigterm_sends_what_is_waiting_and_then_does_what_it_did(
    tmp_path: Path, receiving: Receiver, handler: str
) -> None:
    file = tmp_path / "x.py"
    hosts = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: (print("hosts", flush=True), os._exit(7)))
"""
    program = f"""
{hosts if handler == "hosts" else ""}
import time
from whodid.instrumentation import init
init(report=False)
span("x")
print("ready", flush=True)
time.sleep(60)
"""
    file.write_text(SPAN + program)
    process = subprocess.Popen(
        [sys.executable, file], stdout=subprocess.PIPE, text=True, env=environment(receiving.endpoint)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == ((7, "hosts\n") if handler == "hosts" else (-signal.SIGTERM, ""))
    assert "x" in receiving.spans()


def test_settings_that_are_wrong_are_reported_and_harmless(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "print('ran')",
        "whodid",
        "run",
        "{x}",
        WHODID_FRAMEWORKS="langchian,mcp",
        WHODID_GUARD_MODE="off",
        OTEL_EXPORTER_OTLP_PROTOCOL="carrier-pigeon",
    )
    assert done.stdout == "ran\n"
    assert (
        "WHODID_FRAMEWORKS: no adapter is called langchian; there are openai_agents, langchain" in done.stderr
    )
    assert "WHODID_GUARD_MODE takes enforce or monitor; it counts as enforce" in done.stderr
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=carrier-pigeon is not known: no spans are sent" in done.stderr
    assert "whodid: instrumented mcp " in done.stderr
    left_out = next(line for line in done.stderr.splitlines() if "found but not instrumented" in line)
    assert re.search(r"openai-agents \S+ \(not in WHODID_FRAMEWORKS\)", left_out)


def test_a_program_on_a_python_without_whodid_runs_and_says_so(tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    done = run(tmp_path, "", "whodid", "run", str(tmp_path / "bare/bin/python"), "-c", "print('ran')")
    assert done.stdout == "ran\n"
    assert re.fullmatch(
        r"whodid: not instrumented: \S+/bare/bin/python cannot import whodid \(.*\)\n\nhint: .*\n",
        done.stderr,
    )


def test_the_endpoint() -> None:
    assert export.target({}).shown == "127.0.0.1:4317"
    assert export.target({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}).shown == "127.0.0.1:4318/v1/traces"
    secret = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:hunter2@otlp.acme.example/in?key=hunter2"}
    assert export.target(secret).shown == "otlp.acme.example/in"
    both = {**secret, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}
    assert export.target(both).shown == "127.0.0.1:1"
    with pytest.raises(export.UnknownProtocolError):
        export.target({"OTEL_EXPORTER_OTLP_PROTOCOL": "x"})


def test_the_report_of_nothing_installed() -> None:
    report = startup.Report(not_installed=["mcp"])
    assert report.lines()[0] == "whodid: instrumented nothing · not installed: mcp"


@pytest.mark.parametrize("first", [True, False], ids=["exporter-first", "provider-first"])
@pytest.mark.parametrize("kind", ["Simple", "Batch"])
def test_an_exporter_of_the_hosts_to_the_same_receiver_is_enough(
    tmp_path: Path, receiving: Receiver, kind: str, first: bool
) -> None:
    set_up = [
        f"provider.add_span_processor({kind}SpanProcessor(OTLPSpanExporter()))",
        "trace.set_tracer_provider(provider)",
    ]
    run(
        tmp_path,
        f"from opentelemetry.sdk.trace.export import {kind}SpanProcessor\n"
        + HOSTS_PROVIDER
        + "from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter\n"
        + "\n".join(set_up if first else reversed(set_up))
        + "\nspan('x')\n",
        "whodid",
        "run",
        "{x}",
        endpoint=receiving.endpoint,
    )
    assert set(receiving.spans()) == {"x"}, "and it came once, which spans() asserts"


def test_an_exporter_of_the_hosts_with_a_mind_of_its_own_is_not_enough(
    tmp_path: Path, receiving: Receiver
) -> None:
    run(
        tmp_path,
        HOSTS_PROVIDER
        + textwrap.dedent("""
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        class Some(SimpleSpanProcessor):
            def on_end(self, span):
                if span.name == "y":
                    super().on_end(span)
        provider.add_span_processor(Some(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        span("x")
        """),
        "whodid",
        "run",
        "{x}",
        endpoint=receiving.endpoint,
    )
    assert set(receiving.spans()) == {"x"}


@pytest.mark.parametrize(
    ("endpoint", "same"),
    [
        ("http://localhost:4318/v1/traces", True),
        ("http://127.0.0.1:4317", True),
        ("http://localhost:9999/v1/traces", False),
        ("http://collector.example:4318/v1/traces", False),
        ("http://[broken", False),
    ],
)
def test_whose_receiver_it_is_goes_by_host_and_port(endpoint: str, same: bool) -> None:
    processor = SimpleSpanProcessor(HttpExporter(endpoint="http://127.0.0.1:1/v1/traces"))
    assert isinstance(processor.span_exporter, HttpExporter)
    setattr(processor.span_exporter, "_endpoint", endpoint)  # noqa: B010 what its constructor would refuse, too
    assert own_exporters.sends_to(processor, export.target({})) is same
    processor.shutdown()
