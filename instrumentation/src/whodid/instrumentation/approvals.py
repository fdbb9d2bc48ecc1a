"""Approvals: who answered which request, and the ledger from which an action takes the one that covers it.

An approval covers one action: the same task, the same call id and the same digest of the arguments, once,
until it expires. The ledger is this process's memory, bounded; what it has forgotten covers nothing.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, get_current, get_value, set_value
from opentelemetry.trace import Link, SpanContext

from whodid.instrumentation import settings
from whodid.instrumentation.context import Attribution, current, rfc3339
from whodid.instrumentation.scopes import end_span, start_span
from whodid.instrumentation.streams import attached
from whodid.semconv import attributes as names
from whodid.semconv.values import ApprovalStatus

APPROVER_KEY: Final = "whodid.approver"
RESOLVE_APPROVAL: Final = "resolve_approval"
REQUESTED_EVENT: Final = "attribution.approval.requested"
RESOLVED_EVENT: Final = "attribution.approval.resolved"
MAX_ENTRIES: Final = 10_000


@contextmanager
def approver(approver_id: str) -> Generator[None, None, None]:
    """Say who answers the approvals in this block. Outside of one an approval has no known approver."""
    with attached(set_value(APPROVER_KEY, str(approver_id), get_current())):
        yield


def current_approver() -> str | None:
    """Who answers approvals here, if anybody said so."""
    value = get_value(APPROVER_KEY)
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Request:
    """A call that waits for an answer, with the attribution of the agent that wants it."""

    id: str
    attribution: Attribution
    time_ns: int
    asked_in: SpanContext
    """The span at work when it was asked: the agent's."""


@dataclass(frozen=True, slots=True)
class Approval:
    """An answer that allows one call."""

    id: str
    approver_id: str | None
    not_after: datetime


Key = tuple[str | None, str | None, str]
"""Task id, call id, digest of the arguments."""


class Ledger:
    """What was asked for and what was granted; beyond `max_entries` the oldest go."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._requests: OrderedDict[Key, Request] = OrderedDict()
        self._granted: OrderedDict[Key, Approval] = OrderedDict()
        self._tasks: OrderedDict[str, None] = OrderedDict()

    def ask(self, key: Key, request: Request) -> Request:
        """Note a request; asking again for the same call gives the first one."""
        with self._lock:
            known = self._requests.setdefault(key, request)
            self._bound(self._requests)
            return known

    def asked(self, key: Key) -> tuple[Key, Request] | None:
        """Take the request that this answers; without a task in the key, it must be the only one."""
        with self._lock:
            if key in self._requests:
                return key, self._requests.pop(key)
            if key[0] is not None:
                return None
            found = [other for other in self._requests if other[1:] == key[1:]]
            return (found[0], self._requests.pop(found[0])) if len(found) == 1 else None

    def grant(self, key: Key, approval: Approval) -> None:
        """Note an approval."""
        with self._lock:
            self._granted[key] = approval
            if key[0] is not None:
                self._tasks[key[0]] = None
            self._bound(self._granted)
            self._bound(self._tasks)

    def use(self, key: Key, now: datetime) -> Approval | None:
        """Take the approval that covers this action, if there is one that has not expired."""
        with self._lock:
            approval = self._granted.pop(key, None)
        return approval if approval is not None and now <= approval.not_after else None

    def granted_in(self, task_id: str | None) -> bool:
        """Whether anything was approved in this task."""
        with self._lock:
            return task_id is not None and task_id in self._tasks

    def forget(self) -> None:
        """Forget all of it: for tests, each of which is a story of its own."""
        with self._lock:
            self._requests.clear()
            self._granted.clear()
            self._tasks.clear()

    def _bound(self, entries: OrderedDict[Any, Any]) -> None:
        while len(entries) > self._max_entries:
            entries.popitem(last=False)


ledger: Final = Ledger()


def request(attribution: Attribution, call_id: str | None, arguments_hash: str) -> Request:
    """Note that a call waits for approval."""
    span = trace.get_current_span().get_span_context()
    asked = Request(uuid.uuid4().hex, attribution, time.time_ns(), span)
    return ledger.ask((attribution.task_id, call_id, arguments_hash), asked)


def resolve(
    tool_name: str,
    call_id: str | None,
    arguments_hash: str,
    *,
    granted: bool,
    adapter: str,
    not_after: datetime | None,
    context: Context | None,
    definition_hash: str | None = None,
) -> str:
    """Record the answer as a span and, if it was granted, in the ledger; gives the approval's id."""
    here = get_current() if context is None else context
    attribution = current(here)
    key: Key = (attribution.task_id, call_id, arguments_hash)
    asked = ledger.asked(key)
    links: list[Link] = []
    if asked is not None:
        # The answer may come outside of the agent and its task; the request says whose call it was for.
        key, attribution = asked[0], asked[1].attribution
        here, links = _beside(here, asked[1].asked_in)
    approval_id = uuid.uuid4().hex if asked is None else asked[1].id
    if not_after is None:
        timeout_s = settings.current().approval_timeout_s
        not_after = datetime.fromtimestamp(time.time() + timeout_s, tz=UTC)
    approver_id = current_approver()
    if granted:
        ledger.grant(key, Approval(approval_id, approver_id, not_after))
    status = ApprovalStatus.GRANTED if granted else ApprovalStatus.REFUSED
    base = {names.ATTRIBUTION_APPROVAL_ID: approval_id}
    outcome: dict[str, Any] = {**base, names.ATTRIBUTION_APPROVAL_STATUS: status.value}
    if approver_id is not None:
        outcome[names.ATTRIBUTION_APPROVAL_APPROVER_ID] = approver_id
    attributes = {
        **outcome,
        names.GEN_AI_OPERATION_NAME: RESOLVE_APPROVAL,
        names.GEN_AI_TOOL_NAME: tool_name,
        names.ATTRIBUTION_APPROVAL_CONTEXT_HASH: arguments_hash,
    }
    if call_id is not None:
        attributes[names.GEN_AI_TOOL_CALL_ID] = call_id
    if definition_hash is not None:
        attributes[names.ATTRIBUTION_TOOL_DEFINITION_HASH] = definition_hash
    if granted:
        attributes[names.ATTRIBUTION_APPROVAL_NOT_AFTER] = rfc3339(not_after)
    name = f"{RESOLVE_APPROVAL} {tool_name}"
    span, _ = start_span(adapter, name, attribution.without_action(), attributes, here, links=links)
    if asked is not None:
        waiting = {**base, names.ATTRIBUTION_APPROVAL_CONTEXT_HASH: arguments_hash}
        span.add_event(REQUESTED_EVENT, waiting, timestamp=asked[1].time_ns)
    span.add_event(RESOLVED_EVENT, outcome)
    end_span(span)
    return approval_id


def _beside(here: Context, asked_in: SpanContext) -> tuple[Context, list[Link]]:
    """Where the answer's span hangs, and what it links to: a trace of its own would be found by nobody."""
    around = trace.get_current_span(here).get_span_context()
    if not asked_in.is_valid or around.trace_id == asked_in.trace_id:
        return here, []
    if around.is_valid:  # a request of the approver's own; it stays what the answer is part of
        return here, [Link(asked_in)]
    return trace.set_span_in_context(trace.NonRecordingSpan(asked_in), here), []
