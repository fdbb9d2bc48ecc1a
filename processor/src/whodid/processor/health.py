"""How the service is: what /healthz and /readyz say, of one process or summed over all workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of one process, or of all of them."""

    store_is_away: bool = False
    grpc_is_down: bool = False
    # None where nothing is forwarded.
    forward_is_away: bool | None = None
    spool_bytes: int = 0
    spool_max_bytes: int = 0
    spool_oldest_age_s: float = 0.0
    accepted_requests: int = 0
    stored_spans: int = 0
    findings: Mapping[str, int] = field(default_factory=dict[str, int])
    # Why it should get no requests now; empty where it should.
    reasons: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        forward = {} if self.forward_is_away is None else {"forward": _word(self.forward_is_away)}
        return {
            "store": _word(self.store_is_away),
            **forward,
            "spool_bytes": self.spool_bytes,
            "findings": dict(self.findings),
        }


def _word(is_away: bool) -> str:
    return "away" if is_away else "ok"


def total(healths: Iterable[Health]) -> Health:
    """The workers' states as one: sums, the oldest age, every reason once."""
    each = list(healths)
    findings: Counter[str] = Counter()
    for health in each:
        findings.update(health.findings)
    forwards = [health.forward_is_away for health in each if health.forward_is_away is not None]
    return Health(
        store_is_away=any(health.store_is_away for health in each),
        grpc_is_down=any(health.grpc_is_down for health in each),
        forward_is_away=any(forwards) if forwards else None,
        spool_bytes=sum(health.spool_bytes for health in each),
        spool_max_bytes=sum(health.spool_max_bytes for health in each),
        spool_oldest_age_s=max((health.spool_oldest_age_s for health in each), default=0.0),
        accepted_requests=sum(health.accepted_requests for health in each),
        stored_spans=sum(health.stored_spans for health in each),
        findings=dict(findings.most_common()),
        reasons=tuple(dict.fromkeys(reason for health in each for reason in health.reasons)),
    )


def judged(health: Health, *, max_age_s: float, stopping: bool) -> Health:
    """The same with the reasons why this process should get no requests now."""
    found: list[str] = []
    if stopping:
        found.append("the service is stopping")
    if health.store_is_away:
        found.append("the store is away")
    if health.grpc_is_down:
        found.append("OTLP/gRPC does not answer")
    if health.spool_bytes > NEARLY_FULL * health.spool_max_bytes:
        found.append(f"the spool is nearly full: over {NEARLY_FULL:.0%} of {health.spool_max_bytes} bytes")
    if health.spool_oldest_age_s > max_age_s:
        found.append(f"a request has been in the spool for more than {max_age_s:g} s")
    return replace(health, reasons=tuple(found))


def from_dict(content: dict[str, Any]) -> Health:
    """The counterpart of `dataclasses.asdict`, behind JSON."""
    fields: dict[str, Any] = content | {"reasons": tuple(content["reasons"])}
    return Health(**fields)


def with_reason(health: Health, reason: str) -> Health:
    return replace(health, reasons=(*health.reasons, reason))


def routes(ask: Callable[[], Awaitable[Health]]) -> list[Route]:
    """`/healthz`: the figures, with 200 while it lives. `/readyz`: 503 when it should get no requests."""

    async def healthz(_request: Request) -> JSONResponse:
        return JSONResponse((await ask()).as_json())

    async def readyz(_request: Request) -> JSONResponse:
        health = await ask()
        ready = not health.reasons
        return JSONResponse({"ready": ready, "reasons": list(health.reasons)}, 200 if ready else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
