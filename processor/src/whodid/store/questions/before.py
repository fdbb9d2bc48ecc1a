"""The question *before*: what came before an action, and which tool results its agent had been given."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions import lookup
from whodid.store.questions.ancestry import MAX_TRACES
from whodid.store.questions.evidence import SKEW_NS, moment
from whodid.store.questions.question import MAX_ID_CHARACTERS, MAX_PAGE, Listing, Parameters, Period, Question
from whodid.store.questions.replay import traces_of
from whodid.store.questions.spans import MAX_SPANS, Span, Spans, load
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

_MODEL = ("chat", "generate_content", "text_completion")
_KINDS = {
    "execute_tool": "tool_result",
    "retrieval": "tool_result",
    "invoke_agent": "agent_result",
    "resolve_approval": "approval",
    **dict.fromkeys(_MODEL, "model"),
}


class BeforeParameters(Parameters):
    """What `before` is asked with."""

    id: str = Field(
        max_length=MAX_ID_CHARACTERS,
        description="A span's id (16 hexadecimal digits), a tool call's, an action's, or a correlation id.",
    )
    limit: int = Field(
        default=100, ge=1, le=MAX_PAGE, description="How many are told: those nearest before the action."
    )


class How(StrEnum):
    """How it is tied to the action, from the closest to the loosest."""

    SAME_INVOCATION = "same_invocation"
    """The same run of the agent: in its context, unless it left it out."""
    CALLER = "caller"
    """A run that called on this one, before it did: what it handed on of it is not recorded."""
    CALLEE = "callee"
    """A run that this one called on: this one was given its result, and not each step of it."""
    SAME_CONVERSATION = "same_conversation"
    """Another run in the same conversation or session: in its context if it has a memory."""
    SAME_TRACE = "same_trace"
    """In the trace, and by no run that is tied to the action's."""


class Came(Record):
    """Something that was over before the action began."""

    at: str
    """When it ended, RFC 3339, UTC."""
    before_ms: float
    """How long before the action began."""
    kind: str
    """`tool_result`, `model`, `approval` or `agent_result`."""
    how: How
    agent: Answer
    principal: Answer
    tool: str | None
    resource: str | None
    result_source: str | None
    status: str
    seen_by_model: bool
    """Whether a model was asked by the action's agent between its end and the action."""
    action_id: str | None
    trace_id: str
    span_id: str
    gaps: list[str]


class Before(Listing[Came]):
    """What came before an action, oldest first."""

    id: str
    action_id: str | None
    trace_id: str
    span_id: str
    began_at: str
    agent: Answer


def before(reader: Reader, parameters: BeforeParameters) -> Before:
    """What was over before the action, or span, that the id means.

    Raises UnknownIdError and AmbiguousIdError.
    """
    target = lookup.find(reader, parameters.id)
    own = load(reader, target.traces)
    action = _first(own, target)
    if action is None:
        raise lookup.unread(parameters.id, len(own.all))
    earlier, truncated = _conversation(reader, action, target.traces)
    spans = load(reader, [*target.traces, *earlier]) if earlier else own
    context = _Context(spans, action)
    came = [item for span in spans.all if (item := context.came(span)) is not None]
    came.sort(key=lambda item: (-item.before_ms, item.span_id))
    gaps = context.gaps()
    if len(came) > parameters.limit:
        gaps.append(f"{len(came)} came before it, of which the nearest {parameters.limit} are told")
    if truncated or len(spans.all) >= MAX_SPANS:
        gaps.append("the conversation is longer than an answer looks at: what is missing is not told")
    return Before(
        items=came[-parameters.limit :],
        gaps=gaps,
        id=parameters.id,
        action_id=target.action_id or None,
        trace_id=action.trace_id,
        span_id=action.id,
        began_at=action.started_at,
        agent=spans.answer(action, attr.GEN_AI_AGENT_NAME),
    )


def _first(spans: Spans, target: lookup.Target) -> Span | None:
    """The action's first span: what came after it cannot have led to the action."""
    if not target.action_id:
        return next((span for span in spans.all if span.id == target.span_id), None)
    own = (span for span in spans.all if span.text(attr.ATTRIBUTION_ACTION_ID) == target.action_id)
    return next(own, None)


def _conversation(reader: Reader, action: Span, traces: tuple[str, ...]) -> tuple[list[str], bool]:
    """The other traces of the action's conversation, or session, that began before it; the latest ones."""
    name = action.text(attr.GEN_AI_CONVERSATION_ID) or action.text(attr.SESSION_ID)
    if name is None:
        return [], False
    period = {"since": Period.model_validate({}).bounds()["since"], "until": moment(action.row["start_ns"])}
    rows = traces_of(reader, name, period, MAX_SPANS)
    others = [row["trace"] for row in rows if row["trace"] not in traces]
    return others[-MAX_TRACES:], len(others) > MAX_TRACES


class _Context:
    """What surrounds an action: the runs of agents, and when models were asked."""

    def __init__(self, spans: Spans, action: Span) -> None:
        self._spans = spans
        self._action = action
        self._at_ns: int = action.row["start_ns"]
        self._runs = self._runs_above(action)
        self._running = 0
        self._acted: set[str] = set()
        self._asked = [
            span.row["start_ns"]
            for span in spans.all
            if self._operation(span) in _MODEL
            and span.row["start_ns"] <= self._at_ns
            and self._how(span) is How.SAME_INVOCATION
        ]

    def came(self, span: Span) -> Came | None:
        """What an answer tells of a span; None if it tells nothing of it."""
        kind = _KINDS.get(self._operation(span))
        action_id = span.text(attr.ATTRIBUTION_ACTION_ID)
        if kind is None or self._is_the_action(span) or span in self._runs:
            return None
        if span.row["end_ns"] > self._at_ns:
            self._running += span.row["start_ns"] < self._at_ns
            return None
        # A tool's server tells of the same action as its caller, below it.
        if action_id and kind == "tool_result":
            if action_id in self._acted:
                return None
            self._acted.add(action_id)
        return Came(
            at=span.ended_at,
            before_ms=(self._at_ns - span.row["end_ns"]) / 1e6,
            kind=kind,
            how=self._how(span),
            agent=self._spans.answer(span, attr.GEN_AI_AGENT_NAME),
            principal=self._spans.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
            tool=span.text(attr.GEN_AI_TOOL_NAME),
            resource=span.text(attr.ATTRIBUTION_RESOURCE_ID),
            result_source=span.text(attr.ATTRIBUTION_RESULT_SOURCE),
            status=span.row["status_code"],
            seen_by_model=any(span.row["end_ns"] <= asked_ns for asked_ns in self._asked),
            action_id=action_id,
            trace_id=span.trace_id,
            span_id=span.id,
            gaps=self._span_gaps(span),
        )

    def gaps(self) -> list[str]:
        """What is in doubt about the whole; to be asked for last."""
        gaps: list[str] = []
        if not self._runs:
            gaps.append("no span of the agent's run is above the action: what was in its context is not told")
        if self._running:
            gaps.append(f"{self._running} began before the action and were not over")
        if not self._asked:
            gaps.append("no call of a model by the action's agent is recorded before it")
        return gaps

    def _is_the_action(self, span: Span) -> bool:
        action_id = self._action.text(attr.ATTRIBUTION_ACTION_ID)
        if span is self._action:
            return True
        return action_id is not None and span.text(attr.ATTRIBUTION_ACTION_ID) == action_id

    def _how(self, span: Span) -> How:
        # An agent's result is given to the run that called on it.
        runs = self._runs_above(span)
        if self._runs and runs:
            if runs[0] is self._runs[0]:
                return How.SAME_INVOCATION
            if runs[0] in self._runs:
                return How.CALLER
            if self._runs[0] in runs:
                return How.CALLEE
        for name in (attr.GEN_AI_CONVERSATION_ID, attr.SESSION_ID):
            if span.text(name) and span.text(name) == self._action.text(name):
                return How.SAME_CONVERSATION
        return How.SAME_TRACE

    def _runs_above(self, span: Span) -> list[Span]:
        """The runs of agents that a span is in, the innermost first."""
        runs: list[Span] = []
        seen = {span.id}
        above = self._spans.parent(span)
        while above is not None and above.id not in seen:
            seen.add(above.id)
            if self._operation(above) == "invoke_agent":
                runs.append(above)
            above = self._spans.parent(above)
        return runs

    def _span_gaps(self, span: Span) -> list[str]:
        gaps: list[str] = []
        if span.parent_id and self._spans.parent(span) is None:
            gaps.append("its parent is not in the store")
        close = self._at_ns - span.row["end_ns"] < SKEW_NS
        if close and span.row["service_name"] != self._action.row["service_name"]:
            gaps.append("another process's clock says so, by less than clocks may differ")
        if span.id in self._spans.sent_twice:
            gaps.append("it was sent again with different content, of which the first is told")
        return gaps

    @staticmethod
    def _operation(span: Span) -> str:
        operation = span.text(attr.GEN_AI_OPERATION_NAME) or ""
        is_call = not operation and span.text(attr.MCP_METHOD_NAME) == "tools/call"
        return "execute_tool" if is_call else operation


QUESTION = Question(
    "before",
    "What came before this action, and what had its agent been told?",
    BeforeParameters,
    Before,
    before,
)
