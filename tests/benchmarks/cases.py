"""What is measured: each question as analysts ask it, and how they would ask `otel_traces` instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.benchmarks.scale import Scale

PEERS = Path(__file__).with_name("peers")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    question: str
    asked: list[dict[str, Any]]
    peer: str
    """A file in `peers`."""
    peer_asked: list[dict[str, Any]]
    max_ms: float | None = None
    """The target for the 95th percentile."""
    min_ratio: float | None = None
    """The target for how many times faster it is."""

    @property
    def peer_text(self) -> str:
        return (PEERS / f"{self.peer}.sql").read_text()


Asked = list[dict[str, Any]]


def cases(client: Any, database: str, scale: Scale, samples: int) -> Iterator[Case]:
    """All of them, each about so many different ids or times in the store."""
    draw = _Draw(client, database, samples)
    days = _windows(scale, count=min(samples, 12), hours=24, apart=10)
    yield from _by_id(draw)
    yield from _reached(draw, days)
    yield Case("overview, 24 h", "overview", days, "overview", days, 200, 10)
    tasks = draw("attribution_task_id", "gen_ai_operation_name = 'resolve_approval'")
    yield Case("autonomy of a task", "autonomy", _each("task", tasks), "autonomy", _each("task", tasks))
    denials: Asked = [{"outcome": "deny", **day} for day in days]
    yield Case("denials, 24 h", "decisions", denials, "denials", denials)
    searched: Asked = [{"agent": ["sales-agent"], "status": ["failed"], **day} for day in days]
    peer: Asked = [{"agent": "sales-agent", **day} for day in days]
    yield Case("failed actions of an agent, 24 h", "actions", searched, "failed", peer)
    for name in _INCIDENTS:
        yield Case(f"{name}, 24 h", name, days, name, days)


_INCIDENTS = (
    "unattributed",
    "cache-crossings",
    "new-credential-on-retry",
    "identity-conflicts",
    "confused-deputy",
)


@dataclass(frozen=True, slots=True)
class _Draw:
    """Values that the spans have: the same for the same spans, and spread over their whole time."""

    client: Any
    database: str
    samples: int

    def __call__(self, column: str, condition: str = "1") -> list[Any]:
        return [value for value, _ in self.seen(column, condition)]

    def seen(self, column: str, condition: str = "1") -> list[tuple[Any, datetime]]:
        """Each with a time at which a span had it."""
        rows = self.client.query(
            f"SELECT {column} AS value, start_time FROM {self.database}.spans "
            f"WHERE {condition} AND value != '' "
            f"ORDER BY cityHash64(span_id) LIMIT 1 BY value LIMIT {self.samples}",
            tz_mode="aware",
        ).result_rows
        return [(value, at) for value, at in rows]


def _each(name: str, values: list[Any]) -> Asked:
    return [{name: value} for value in values]


def _windows(scale: Scale, *, count: int, hours: int, apart: int) -> Asked:
    starts = [scale.begin + timedelta(hours=number * apart) for number in range(count)]
    return [{"since": start, "until": start + timedelta(hours=hours)} for start in starts]


def _by_id(draw: _Draw) -> Iterator[Case]:
    acted = "gen_ai_operation_name = 'execute_tool'"
    traces = draw("lower(hex(trace_id))")
    yield Case("trace", "trace", _each("trace_id", traces), "trace", _each("trace", traces), 60, 3)
    actions = draw("attribution_action_id", acted)
    for name in ("who", "chain"):
        yield Case(name, name, _each("id", actions), name, _each("action", actions), 60, 3)
    for name, question, parameter, column, peer in (
        ("credential", "credential", "id", "attribution_credential_id", "credential"),
        ("session", "replay", "session", "session_id", "session"),
        ("decision", "decisions", "id", "attribution_policy_decision_id", "decision"),
    ):
        values = draw(column, acted)
        yield Case(name, question, _each(parameter, values), peer, _each(peer, values), 60, 20)


def _reached(draw: _Draw, days: Asked) -> Iterator[Case]:
    for name, hours, max_ms, min_ratio in (
        ("principal, 6 h", 6, 60, 20),
        ("blast radius of a principal, 24 h", 24, 500, None),
    ):
        # Around a time at which something was done for the principal.
        seen = draw.seen("attribution_principal_id")
        half = timedelta(hours=hours / 2)
        pairs = [(value, {"since": at - half, "until": at + half}) for value, at in seen]
        asked: Asked = [{"kind": "principal", "id": principal, **period} for principal, period in pairs]
        peer: Asked = [{"principal": principal, **period} for principal, period in pairs]
        yield Case(name, "blast-radius", asked, "principal", peer, max_ms, min_ratio)
    asked = [{"kind": "agent", "id": "search-agent", **day} for day in days]
    peer = [{"agent": "search-agent", **day} for day in days]
    yield Case("blast radius of an agent, 24 h", "blast-radius", asked, "agent", peer, 500)
