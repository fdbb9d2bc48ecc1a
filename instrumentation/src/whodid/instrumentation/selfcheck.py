"""Looks for what would keep this environment's spans from arriving whole; each finding says what to do."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

from whodid.instrumentation import export, frameworks, inventory, requirements, settings
from whodid.instrumentation.export import GRPC, Target
from whodid.instrumentation.scopes import error_type
from whodid.instrumentation.unsent import REFUSED, Unsent
from whodid.semconv import attributes as names

CONNECT_TIMEOUT_S: Final = 3.0
SAMPLED_TRACES: Final = 1000
FEWEST_ATTRIBUTES: Final = 64
"""An audit span has some forty; a limit below this cuts them."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_VERSIONS: Final = ("whodid", "opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    detail: str
    hint: str = ""


def environment(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything that can be seen without sending anything but a TCP connection."""
    env = os.environ if environ is None else environ
    looked: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("versions", lambda: [_versions()]),
        ("settings", _settings),
        ("sdk", lambda: sdk(env)),
        ("sampler", lambda: [sampler(TracerProvider().sampler)]),
        ("endpoint", lambda: endpoint(env)),
        ("headers", lambda: headers(env)),
        ("unsent", _unsent),
        ("frameworks", _frameworks),
        ("duplicates", lambda: [_duplicates()]),
    ]
    found: list[Finding] = []
    for check, look in looked:
        try:
            found += look()
        except Exception as error:  # noqa: BLE001 one look that fails is a finding and hides no other
            found.append(Finding(check, Level.FAILED, f"could not be looked at ({error_type(error)})"))
    return found


def _versions() -> Finding:
    known = [f"{name} {inventory.installed_version(name) or 'not installed'}" for name in _VERSIONS]
    python = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("versions", Level.OK, f"Python {python}, " + ", ".join(known))


def _settings() -> list[Finding]:
    problems = settings.read(os.environ).problems
    if not problems:
        return [Finding("settings", Level.OK, "every WHODID_* variable can be read")]
    return [
        Finding("settings", Level.FAILED, each, "docs/instrumentation.md lists them") for each in problems
    ]


def sdk(env: Mapping[str, str]) -> list[Finding]:
    """What the SDK's own variables switch off or cut."""
    found: list[Finding] = []
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        found.append(
            Finding("sdk", Level.FAILED, "OTEL_SDK_DISABLED=true: no span is made", "unset OTEL_SDK_DISABLED")
        )
    if env.get("OTEL_TRACES_EXPORTER", "otlp").strip() == "none":
        detail = "OTEL_TRACES_EXPORTER=none: `opentelemetry-instrument` sends nothing"
        found.append(Finding("sdk", Level.WARNING, detail, "unset it, or use `whodid run`"))
    propagators = [each.strip() for each in env.get("OTEL_PROPAGATORS", "tracecontext").split(",")]
    if "tracecontext" not in propagators:
        detail = "OTEL_PROPAGATORS has no tracecontext: a trace ends at each hop"
        found.append(Finding("sdk", Level.WARNING, detail, "OTEL_PROPAGATORS=tracecontext,baggage"))
    limits = SpanLimits()
    count = limits.max_span_attributes
    if count is not None and count < FEWEST_ATTRIBUTES:
        detail = f"a span keeps {count} attributes: what attributes an action would be dropped"
        found.append(Finding("sdk", Level.FAILED, detail, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=128 or more"))
    length = limits.max_span_attribute_length
    if length is not None and length < 1024:
        detail = f"attributes are cut at {length} characters: a cut id is another one"
        found.append(Finding("sdk", Level.FAILED, detail, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=4096"))
    return found or [Finding("sdk", Level.OK, "spans are made, and nothing cuts them")]


def sampler(used: Any) -> Finding:
    """Whether a sampler drops audit spans: it is asked about a thousand traces that begin with one."""
    said = {names.GEN_AI_OPERATION_NAME: "execute_tool", names.GEN_AI_TOOL_NAME: "doctor"}
    dropped = sum(
        not used.should_sample(
            Context(), secrets.randbits(128), "execute_tool doctor", attributes=said
        ).decision.is_sampled()
        for _ in range(SAMPLED_TRACES)
    )
    if not dropped:
        return Finding("sampler", Level.OK, f"{used.get_description()} keeps every trace that begins here")
    return Finding(
        "sampler",
        Level.FAILED,
        f"{used.get_description()} drops {dropped / SAMPLED_TRACES:.0%} of the audit spans",
        "OTEL_TRACES_SAMPLER=parentbased_always_on; sample in a collector, behind the audit's branch",
    )


def endpoint(env: Mapping[str, str]) -> list[Finding]:
    """The OTLP endpoint: known, not mixed up, reachable, and not in the clear to somewhere else."""
    try:
        to = export.target(env)
    except export.UnknownProtocolError as error:
        detail = f"OTEL_EXPORTER_OTLP_PROTOCOL={error} is not known"
        return [Finding("endpoint", Level.FAILED, detail, "grpc or http/protobuf")]
    host, port, secure = _address(to, env)
    if host is None or port is None:
        return [Finding("endpoint", Level.FAILED, f"{to.shown} names no host", "http://127.0.0.1:4317")]
    found: list[Finding] = []
    if (to.protocol == GRPC and port == 4318) or (to.protocol != GRPC and port == 4317):
        detail = f"{to.protocol} to port {port}, where the other protocol is spoken by custom"
        found.append(Finding("endpoint", Level.WARNING, detail, "OTLP/gRPC is 4317, OTLP/HTTP 4318"))
    if not secure and host not in LOOPBACK:
        detail = f"{to.shown} is another machine, and the spans go there in the clear"
        found.append(Finding("endpoint", Level.WARNING, detail, "use https, or a collector on this machine"))
    try:
        with socket.create_connection((host, port), CONNECT_TIMEOUT_S):
            found.append(Finding("endpoint", Level.OK, f"{to.shown} ({to.protocol}) takes connections"))
    except OSError as error:
        detail = f"{to.shown} takes no connection ({error.strerror or type(error).__name__})"
        hint = "start one with `whodid up`, or set OTEL_EXPORTER_OTLP_ENDPOINT"
        found.append(Finding("endpoint", Level.FAILED, detail, hint))
    return found


def _address(to: Target, env: Mapping[str, str]) -> tuple[str | None, int | None, bool]:
    given = to.endpoint or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or env["OTEL_EXPORTER_OTLP_ENDPOINT"]
    parts = urlsplit(given if "://" in given else f"//{given}")
    secure = parts.scheme == "https"
    try:
        port = parts.port or (
            443 if secure else 80 if parts.scheme == "http" and to.protocol != GRPC else None
        )
    except ValueError:
        port = None
    return parts.hostname, port, secure


def headers(env: Mapping[str, str]) -> list[Finding]:
    """OTEL_EXPORTER_OTLP_HEADERS: whether it can be read. Values are secrets and are never shown."""
    known: list[str] = []
    for variable in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        for position, pair in enumerate(filter(None, env.get(variable, "").split(",")), 1):
            name, equals, value = pair.partition("=")
            if not equals or not name.strip() or not value.strip():
                detail = f"{variable}: entry {position} is not `name=value`, and would be left out"
                return [Finding("headers", Level.FAILED, detail, "authorization=Bearer%20TOKEN,other=value")]
            known.append(name.strip().lower())
    if not known:
        return [Finding("headers", Level.OK, "none are sent")]
    return [Finding("headers", Level.OK, "sent: " + ", ".join(known) + " (values are not shown)")]


def _unsent() -> list[Finding]:
    """What waits in the folder of WHODID_UNSENT, if there is one."""
    configured = settings.read(os.environ)
    if configured.unsent is None:
        return []
    try:
        unsent = Unsent(Path(configured.unsent), configured.unsent_max_bytes)
    except OSError as error:
        detail = f"WHODID_UNSENT: {configured.unsent} cannot be written to ({error.strerror})"
        return [Finding("unsent", Level.FAILED, detail, "let the agent's user write there")]
    waiting, refused = len(unsent.waiting()), len(list(unsent.folder.glob(f"*{REFUSED}")))
    if not waiting and not refused:
        return [Finding("unsent", Level.OK, f"no request waits in {unsent.folder}")]
    detail = f"{waiting} requests wait in {unsent.folder}, and {refused} were refused"
    hint = "the next process with this folder sends them; what was refused stays until you have looked at it"
    return [Finding("unsent", Level.WARNING, detail, hint)]


def _frameworks() -> list[Finding]:
    """Imports every framework that is installed and puts the hooks in, as an agent's process would."""
    found: list[Finding] = []
    claimed: set[str] = set()
    required = {each.replace("-", "_") for each in settings.read(os.environ).require}
    for name in frameworks.ADAPTERS:
        adapter = frameworks.load(name)
        claimed.add(adapter.distribution)
        version = adapter.installed_version()
        is_required = bool(required & {name, adapter.distribution.replace("-", "_")})
        if version is None:
            if is_required:
                detail = f"{adapter.distribution} is in WHODID_REQUIRE and not installed"
                found.append(
                    Finding("frameworks", Level.FAILED, detail, f"pip install {adapter.distribution}")
                )
            continue
        adapter.install()
        problems = requirements.hooked(adapter)
        if problems:
            level = Level.FAILED if is_required else Level.WARNING
            detail = f"{adapter.distribution} {version}: " + "; ".join(problems)
            hint = "what is named runs unobserved: use a version that the guide lists"
            found.append(Finding("frameworks", level, detail, hint))
        elif (warning := adapter.untested(version)) is not None:
            hint = (
                "what it has of what is hooked is recorded; look at a trace of your own, or use a tested one"
            )
            found.append(Finding("frameworks", Level.WARNING, warning, hint))
        else:
            found.append(Finding("frameworks", Level.OK, f"{adapter.distribution} {version} is instrumented"))
    for distribution, version in inventory.without_adapter(claimed):
        detail = f"{distribution} {version} is installed, and there is no adapter for it"
        hint = "its agents run unobserved; its own or another's OpenTelemetry spans are stamped"
        found.append(Finding("frameworks", Level.WARNING, detail, hint))
    return found or [Finding("frameworks", Level.WARNING, "no agent framework is installed here")]


def _duplicates() -> Finding:
    others = inventory.other_instrumentations(set(frameworks.ADAPTERS))
    if not others:
        return Finding("duplicates", Level.OK, "no other instrumentation of these frameworks is installed")
    listed = ", ".join(f"{distribution} ({name})" for name, distribution in others)
    hint = (
        "their spans are stamped and stand beside ours; switch one off: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
    )
    return Finding("duplicates", Level.WARNING, f"also installed: {listed}", hint)


class ExportLog(logging.Handler):
    """Keeps what the exporter says of a failure, which it tells to its logger and to nobody else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        self.said.append(record.getMessage()[:300])
