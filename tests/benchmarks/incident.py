"""What an incident of the scale data is, and what several of them are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks.scenes import NOTHING, SECOND_NS, Agent, Said, Scene
from tests.spans import Sent, Value

Found = Callable[[Any], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, and is known exactly."""

    name: str
    question: str
    parameters: dict[str, Any]
    expected: frozenset[str]
    found: Found
    """What an answer tells of `expected`, in the same words."""
    scene: Scene

    def requests(self) -> Iterator[tuple[str, dict[str, Value], list[Sent]]]:
        """Service, resource and spans of what each process sends."""
        by_process: dict[tuple[str, str], tuple[Mapping[str, Value], list[Sent]]] = {}
        for service, resource, span in self.scene.sent:
            by_process.setdefault((service, repr(sorted(resource.items()))), (resource, []))[1].append(span)
        for (service, _), (resource, spans) in by_process.items():
            yield service, dict(resource), spans


def day_around(scene: Scene) -> dict[str, datetime]:
    """The 24 hours with the scene in the middle, as a question's period."""
    middle = datetime.fromtimestamp(scene.at_ns / SECOND_NS, UTC)
    return {"since": middle - timedelta(hours=12), "until": middle + timedelta(hours=12)}


def spans_of_items(answer: Any) -> Iterable[str]:
    return {item.span_ids[0] for item in answer.items}


def credential_for(scene: Scene, task: str) -> dict[str, Value]:
    return {
        "ATTRIBUTION_CREDENTIAL_ID": f"sha256:{scene.hex()}",
        "ATTRIBUTION_CREDENTIAL_TYPE": "bearer",
        "ATTRIBUTION_CREDENTIAL_NOT_BEFORE": scene.time(-60),
        "ATTRIBUTION_CREDENTIAL_NOT_AFTER": scene.time(600),
        "ATTRIBUTION_CREDENTIAL_TASK_ID": task,
    }


def run_approved(agent: Agent, tool: str, said: Said = NOTHING) -> tuple[str, str]:
    """An approved and executed action: its id and its approver."""
    scene, approver = agent.scene, f"manager-{agent.scene.hex(2)}@acme.example"
    digest, call = scene.digest(), f"call_{scene.hex()}"
    approval = agent.approval(tool, approver, digest, call)
    done = agent.action(
        tool,
        GEN_AI_TOOL_CALL_ID=call,
        ATTRIBUTION_ACTION_ARGUMENTS_HASH=digest,
        ATTRIBUTION_ACTION_MODE="human_approved",
        ATTRIBUTION_ACTION_EFFECT="delete",
        ATTRIBUTION_APPROVAL_ID=approval,
        said=said,
    )
    return done.id, approver
