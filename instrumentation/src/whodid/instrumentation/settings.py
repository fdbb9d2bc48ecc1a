"""The WHODID_* variables that an agent's process reads: one table, from which everything else is derived."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from whodid.semconv.values import AgentIdentityType

_log = logging.getLogger(__name__)

TRUE: Final = ("1", "true", "yes", "on")
FALSE: Final = ("0", "false", "no", "off", "")


class SettingError(ValueError):
    """A variable's value is not one that it takes; says which and what it takes."""


def _flag(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise SettingError("takes 1 or 0")


def _text(text: str) -> str | None:
    return text or None


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _names(text)
    for host in hosts:
        if "://" in host or " " in host or ("*" in host.removeprefix("*.") and host != "*"):
            raise SettingError(
                "takes names of hosts, such as orders.acme.example, *.acme.example, 10.0.0.0/8"
            )
    return hosts


def _names(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise SettingError("takes a number of seconds") from error
    if not 0 < value < float("inf"):
        raise SettingError("takes a number of seconds above 0")
    return value


def _bytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise SettingError("takes a number of bytes above 0")
    return int(text)


def _one_of(*values: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in values:
            raise SettingError("takes " + " or ".join(values))
        return text.lower()

    return parse


def _optional_one_of(*values: str) -> Callable[[str], str | None]:
    parse = _one_of(*values)
    return lambda text: parse(text) if text else None


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: `name` in the environment, `field` in `Settings`, its default as one would write it."""

    name: str
    field: str
    type: str
    default: str
    parse: Callable[[str], Any]
    doc: str
    on_error: str
    """What a value that cannot be read counts as: always the side on which nothing leaks and nothing runs."""


TABLE: Final[tuple[Setting, ...]] = (
    Setting(
        "WHODID_CAPTURE_CONTENT",
        "capture_content",
        "flag",
        "0",
        _flag,
        "Record tool arguments, tool results, objectives in words and exceptions' messages.",
        "0",
    ),
    Setting(
        "WHODID_POLICY",
        "policy",
        "path",
        "",
        _text,
        "A Cedar policy file, or a folder of `*.cedar` files, that is asked before each tool runs.",
        "",
    ),
    Setting(
        "WHODID_GUARD_MODE",
        "guard_mode",
        "`enforce` or `monitor`",
        "enforce",
        _one_of("enforce", "monitor"),
        "`monitor` records what the policies say and lets every action run.",
        "enforce",
    ),
    Setting(
        "WHODID_APPROVAL_TIMEOUT_S",
        "approval_timeout_s",
        "seconds",
        "3600",
        _seconds,
        "How long an approval can be used when it does not say so itself.",
        "3600",
    ),
    Setting(
        "WHODID_AGENT_IDENTITY",
        "agent_identity",
        "text",
        "",
        _text,
        "The workload identity that this process runs as, such as a SPIFFE ID.",
        "",
    ),
    Setting(
        "WHODID_AGENT_IDENTITY_TYPE",
        "agent_identity_type",
        ", ".join(f"`{kind}`" for kind in AgentIdentityType),
        "",
        _optional_one_of(*AgentIdentityType),
        "The kind of that identity.",
        "",
    ),
    Setting(
        "WHODID_AGENT_IDENTITY_ISSUER",
        "agent_identity_issuer",
        "text",
        "",
        _text,
        "Who vouches for that identity.",
        "",
    ),
    Setting(
        "WHODID_FRAMEWORKS",
        "frameworks",
        "names, with commas",
        "",
        _names,
        "The frameworks to instrument; all that whodid knows if empty.",
        "",
    ),
    Setting(
        "WHODID_SEND_TO",
        "send_to",
        "hosts, with commas",
        "localhost",
        _hosts,
        "Hosts that are told for whom they are called, over HTTP and MCP. `localhost` is this machine, with "
        "its child processes; `none` is nobody.",
        "none",
    ),
    Setting(
        "WHODID_ACCEPT_FROM",
        "accept_from",
        "hosts, with commas",
        "localhost",
        _hosts,
        "Peers whose word is taken for whom they call, by address. It stays their word.",
        "none",
    ),
    Setting(
        "WHODID_CACHES",
        "caches",
        "`cachetools`, `diskcache`, `redis`, with commas",
        "",
        _names,
        "The caches whose entries are kept with their origin. In redis that is a second key beside each.",
        "",
    ),
    Setting(
        "WHODID_FLUSH_DECISIONS",
        "flush_decisions",
        "flag",
        "1",
        _flag,
        "Send each decision before its action begins, and wait up to 0.25 s for that.",
        "1",
    ),
    Setting(
        "WHODID_MODEL_CALLS",
        "model_calls",
        "flag",
        "1",
        _flag,
        "Make spans of model calls by the libraries of OpenAI and Anthropic, where nobody else does.",
        "1",
    ),
    Setting(
        "WHODID_REQUIRE",
        "require",
        "names, with commas",
        "",
        _names,
        "Frameworks without whose hooks the program does not start. They are imported at the start.",
        "",
    ),
    Setting(
        "WHODID_EXPORT",
        "export",
        "flag",
        "1",
        _flag,
        "Send spans by OTLP. With 0 they are stamped, and the program's own exporters carry them.",
        "1",
    ),
    Setting(
        "WHODID_UNSENT",
        "unsent",
        "path",
        "",
        _text,
        "A folder in which spans are on disk before they are sent, and wait while the receiver is away. "
        "Processes may share it. Without one they wait in memory, and for seconds.",
        "",
    ),
    Setting(
        "WHODID_UNSENT_MAX_BYTES",
        "unsent_max_bytes",
        "bytes",
        "67108864",
        _bytes,
        "How much that folder may hold; spans beyond it are lost, and the log says so.",
        "67108864",
    ),
    Setting(
        "WHODID_REPORT",
        "report",
        "flag",
        "1",
        _flag,
        "Print at start, to stderr, what was instrumented and whether the receiver answered.",
        "1",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The table's variables, read."""

    capture_content: bool
    policy: str | None
    guard_mode: str
    approval_timeout_s: float
    agent_identity: str | None
    agent_identity_type: str | None
    agent_identity_issuer: str | None
    frameworks: tuple[str, ...]
    flush_decisions: bool
    model_calls: bool
    require: tuple[str, ...]
    send_to: tuple[str, ...]
    accept_from: tuple[str, ...]
    caches: tuple[str, ...]
    export: bool
    unsent: str | None
    unsent_max_bytes: int
    report: bool
    problems: tuple[str, ...] = ()
    """Variables whose value could not be read, in words."""


def read(environ: Mapping[str, str]) -> Settings:
    """Read the variables. One that cannot be read takes its `on_error` value and is named in `problems`."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in TABLE:
        try:
            values[setting.field] = setting.parse(environ.get(setting.name, setting.default).strip())
        except SettingError as error:
            values[setting.field] = setting.parse(setting.on_error)
            problems.append(f"{setting.name} {error}; it counts as {setting.on_error or 'not set'}")
    return Settings(**values, problems=tuple(problems))


_current: Settings | None = None


def current() -> Settings:
    """The process's settings, read from the environment when they are first asked for."""
    global _current
    if _current is None:
        _current = read(os.environ)
        for problem in _current.problems:
            _log.warning("whodid: %s", problem)
    return _current


def override(**values: Any) -> Settings:
    """Replace settings by field name; None leaves the environment's. Unknown fields raise TypeError."""
    global _current
    known = {field.name for field in fields(Settings)}
    if unknown := values.keys() - known:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    _current = replace(current(), **{name: value for name, value in values.items() if value is not None})
    return _current


def forget() -> None:
    """Read the environment again at the next `current()`."""
    global _current
    _current = None
