"""Requests as an attributed agent sends them: whole, valid records, with ids that no other request has."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.spans import Value, any_value
from whodid.semconv import attributes as attr

SERVICES = 4
TRACE_SPANS = 12
ACTIONS = 5
TOOLS = ("search", "sql_query", "http_get", "send_mail")
STEP_NS = 2_000_000


def make(span_count: int, seed: int) -> bytes:
    """One serialized ExportTraceServiceRequest: traces of an agent, a chat, and five decided actions.

    The spans are of four services, or of one where there are not enough of them for a trace each.
    """
    draw = random.Random(seed)
    request = ExportTraceServiceRequest()
    services = SERVICES if span_count >= SERVICES * TRACE_SPANS else 1
    for service in range(services):
        resource_spans = request.resource_spans.add()
        for key, value in {
            "service.name": f"agent-{service}",
            "service.version": "1.2.3",
            "service.instance.id": _id(draw),
            "host.name": f"host-{service}",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "python",
        }.items():
            resource_spans.resource.attributes.add(key=key, value=any_value(value))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = "whodid.instrumentation.langchain"
        mine = span_count // services + (service < span_count % services)
        for trace in range(-(-mine // TRACE_SPANS)):
            wanted = min(TRACE_SPANS, mine - trace * TRACE_SPANS)
            scope_spans.spans.extend(islice(_trace(draw, service * 100 + trace), wanted))
    return request.SerializeToString()


class Stamp:
    """One request that can be had again and again, each time with ids that no other has.

    For long runs, where making every request anew would cost more than receiving it. Beside the ids of
    traces and spans everything is the same, so such requests compress better than real ones.
    """

    def __init__(self, span_count: int, seed: int) -> None:
        body = make(span_count, seed)
        self._body = np.frombuffer(body, np.uint8)
        # Not what made the body: its ids must not meet their own bytes again.
        self._draw = random.Random(f"stamp {seed}")
        message = ExportTraceServiceRequest.FromString(body)
        spans = [span for each in message.resource_spans for span in each.scope_spans[0].spans]
        self._trace_ids = _places(body, {span.trace_id for span in spans})
        self._span_ids = _places(body, {span.span_id for span in spans})
        self._first_id = spans[0].span_id

    def fresh(self) -> tuple[bytes, bytes]:
        """A request with fresh ids, and its first span's id."""
        body = self._body.copy()
        # The same change to each id of a kind: what was different stays so, and parents stay parents.
        for places, size in ((self._trace_ids, 16), (self._span_ids, 8)):
            change = np.frombuffer(self._draw.randbytes(size), np.uint8)
            body[places] ^= change
        first = np.frombuffer(self._first_id, np.uint8) ^ change
        return body.tobytes(), first.tobytes()


def _places(body: bytes, ids: set[bytes]) -> npt.NDArray[np.int64]:
    """Where these ids stand in the body: a row an occurrence, with the place of each byte."""
    found: list[list[int]] = []
    for each in ids:
        start = body.find(each)
        while start >= 0:
            found.append(list(range(start, start + len(each))))
            start = body.find(each, start + 1)
    return np.array(found)


def _trace(draw: random.Random, number: int) -> Iterator[trace_pb2.Span]:
    trace_id = draw.randbytes(16)
    start_ns = time.time_ns() - 1_000 * STEP_NS + number
    common = _why(draw)
    agent = _span(draw, trace_id, b"", start_ns, common | {attr.GEN_AI_OPERATION_NAME: "invoke_agent"})
    yield agent
    asked: dict[str, Value] = {attr.GEN_AI_OPERATION_NAME: "chat", attr.GEN_AI_REQUEST_MODEL: "m-1"}
    yield _span(draw, trace_id, agent.span_id, start_ns + STEP_NS, common | asked)
    for action in range(ACTIONS):
        said = common | _what(draw)
        decided_ns = start_ns + (2 + 2 * action) * STEP_NS
        yield _span(draw, trace_id, agent.span_id, decided_ns, said | _asked(draw))
        ran: dict[str, Value] = {
            attr.GEN_AI_OPERATION_NAME: "execute_tool",
            attr.GEN_AI_TOOL_TYPE: "function",
        }
        yield _span(draw, trace_id, agent.span_id, decided_ns + STEP_NS, said | ran)


def _span(
    draw: random.Random, trace_id: bytes, parent_id: bytes, start_ns: int, said: Mapping[str, Value]
) -> trace_pb2.Span:
    span = trace_pb2.Span(
        trace_id=trace_id,
        span_id=draw.randbytes(8),
        parent_span_id=parent_id,
        name=str(said[attr.GEN_AI_OPERATION_NAME]),
        kind=trace_pb2.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + STEP_NS // 2,
    )
    for key, value in said.items():
        span.attributes.add(key=key, value=any_value(value))
    return span


def _why(draw: random.Random) -> dict[str, Value]:
    user, agent, task = f"user-{draw.randrange(500)}@acme.example", f"agent-{draw.randrange(7)}", _id(draw)
    now = datetime.now(UTC)
    return {
        attr.ATTRIBUTION_INITIATOR_TYPE: "human",
        attr.ATTRIBUTION_INITIATOR_ID: user,
        attr.ATTRIBUTION_PRINCIPAL_TYPE: "human",
        attr.ATTRIBUTION_PRINCIPAL_ID: user,
        attr.ATTRIBUTION_DELEGATION_CHAIN: [user, agent],
        attr.ATTRIBUTION_TASK_ID: task,
        attr.ATTRIBUTION_TASK_OBJECTIVE_HASH: _digest(draw),
        attr.GEN_AI_AGENT_NAME: agent,
        attr.GEN_AI_CONVERSATION_ID: _id(draw),
        attr.ATTRIBUTION_AGENT_INSTANCE_ID: f"{agent}:{_id(draw)}",
        attr.ATTRIBUTION_AGENT_IDENTITY_ID: f"spiffe://acme.example/agent/{agent}",
        attr.ATTRIBUTION_AGENT_IDENTITY_TYPE: "spiffe",
        attr.ATTRIBUTION_CREDENTIAL_ID: f"sha256:{_id(draw)}",
        attr.ATTRIBUTION_CREDENTIAL_TYPE: "bearer",
        attr.ATTRIBUTION_CREDENTIAL_NOT_BEFORE: _time(now - timedelta(seconds=draw.randrange(60, 600))),
        attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER: _time(now + timedelta(seconds=draw.randrange(60, 600))),
        attr.ATTRIBUTION_CREDENTIAL_TASK_ID: task,
    }


def _what(draw: random.Random) -> dict[str, Value]:
    return {
        attr.GEN_AI_TOOL_NAME: draw.choice(TOOLS),
        attr.GEN_AI_TOOL_CALL_ID: f"call_{_id(draw)}",
        attr.ATTRIBUTION_ACTION_ID: _id(draw) + _id(draw),
        attr.ATTRIBUTION_ACTION_MODE: "autonomous",
        attr.ATTRIBUTION_ACTION_EFFECT: "read",
        attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH: _digest(draw),
        attr.ATTRIBUTION_POLICY_DECISION_ID: _id(draw) + _id(draw),
        attr.ATTRIBUTION_POLICY_DECISION_OUTCOME: "allow",
        attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION: "allowed",
    }


def _asked(draw: random.Random) -> dict[str, Value]:
    return {
        attr.GEN_AI_OPERATION_NAME: "evaluate_policy",
        attr.ATTRIBUTION_POLICY_ENGINE_NAME: "cedar",
        attr.ATTRIBUTION_POLICY_ID: "tools.cedar",
        attr.ATTRIBUTION_POLICY_CONTEXT_HASH: _digest(draw),
        attr.ATTRIBUTION_POLICY_CONTEXT_VALUE: f'{{"risk":{draw.random()},"tool":"search"}}',
    }


def _id(draw: random.Random) -> str:
    return draw.randbytes(8).hex()


def _digest(draw: random.Random) -> str:
    return f"sha256:{hashlib.sha256(draw.randbytes(8)).hexdigest()}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
