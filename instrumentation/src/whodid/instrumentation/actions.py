"""An agent's actions: freeze the arguments, find the approval, ask the guard, run under a span of its own."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, get_current, get_value, set_value
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode

from whodid.instrumentation import approvals, effects, ending, guard, process, settings
from whodid.instrumentation.approvals import Approval
from whodid.instrumentation.context import Attribution, current, with_attribution
from whodid.instrumentation.digest import CannotFreezeError, Frozen, canonical_json, definition_hash, freeze
from whodid.instrumentation.policy import Guard
from whodid.instrumentation.scopes import Scope, content, end_span, record_error, start_span, where
from whodid.semconv import attributes as names
from whodid.semconv.values import ActionMode, ApprovalStatus, InitiatorType
from whodid.semconv.values import PolicyEnforcementAction as Enforcement

_log = logging.getLogger(__name__)
EXECUTE_TOOL: Final = "execute_tool"
EVALUATE_POLICY: Final = "evaluate_policy"
ACTION_KEY: Final = "whodid.action"
UNKNOWN_DENIAL: Final = "The call could not be checked against the policy, so it did not run."


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as an adapter finds it in its framework."""

    name: str
    call_id: str | None = None
    arguments: Any = None
    """A mapping, or the JSON text that the model wrote."""
    type: str = "function"
    description: str | None = None
    definition: Mapping[str, Any] | None = None
    """`name`, `description` and `parameters` (JSON Schema), as the model has them; recorded by digest."""
    effect: str | None = None
    """One of `values.ActionEffect`, where the framework declares it."""
    resource_type: str | None = None
    resource_id: str | None = None
    tool: Any = field(default=None, compare=False, repr=False)
    """The framework's tool, or its function: for what its author declared, and what is kept with it."""


class Action:
    """A decided tool call. Run it inside `executing()` if it is `allowed`; give back `denial` if not."""

    def __init__(
        self,
        call: ToolCall,
        attribution: Attribution,
        frozen: Frozen | None,
        *,
        adapter: str,
        parent: Context,
        denial: str | None = None,
    ) -> None:
        self.call = call
        self.attribution = attribution
        """With the action, its mode, decision and approval: what every span inside will say."""
        self.denial = denial
        """What to tell the model instead of running the tool; None if the action is allowed."""
        self._frozen = frozen
        self._adapter = adapter
        self._parent = parent
        self._scope: Scope | None = None

    @property
    def allowed(self) -> bool:
        """Whether the tool may run."""
        return self.denial is None

    @property
    def arguments(self) -> Any:
        """A copy of the arguments that were decided on. Running these leaves no gap between check and use."""
        return self.call.arguments if self._frozen is None else self._frozen.value()

    def start(self, *, native: bool = False) -> Scope:
        """Start the `execute_tool` span, once; the split form of `executing`, for pairs of hooks.

        `native`: the framework makes that span inside, which stamping completes; ours would be a second one.
        """
        if self._scope is None and native:
            self._scope = Scope(INVALID_SPAN, with_attribution(self.attribution, self._parent))
        elif self._scope is None:
            span, context = start_span(
                self._adapter,
                f"{EXECUTE_TOOL} {self.call.name}",
                self.attribution,
                {names.GEN_AI_OPERATION_NAME: EXECUTE_TOOL, **self._described()},
                self._parent,
            )
            self._scope = Scope(span, context)
        self._scope.context = set_value(ACTION_KEY, self, self._scope.context)
        return self._scope

    @property
    def span(self) -> Span:
        """The action's own span; an invalid one before it starts, and where the framework makes it."""
        return INVALID_SPAN if self._scope is None else self._scope.span

    def executing(
        self, control_flow: tuple[type[BaseException], ...] = (), *, native: bool = False
    ) -> AbstractContextManager[Scope]:
        """The tool at work in this block, in sync and async code alike.

        `control_flow`: exceptions by which the framework pauses or diverts, which are no failures. `native`:
        as for `start`.
        """
        return self.start(native=native).running(control_flow)

    def did_not_run(self) -> None:
        """It was started, and then its framework kept it from running: its span is never sent."""
        if self._scope is not None:
            self._scope.discard()

    def describe(self, span: Span) -> None:
        """Say on the framework's own span what stamping did not: the definition, or a later decision."""
        span.set_attributes({**self.attribution.attributes, **self._described()})

    def waits_for_approval(self) -> None:
        """The tool did not go on, but asks for an approval of this call: note it, and say so on the span."""
        approval_id = approval_requested(self.call)
        if self._scope is not None and approval_id is not None:
            self._scope.span.set_attribute(names.ATTRIBUTION_APPROVAL_ID, approval_id)
            self._scope.span.set_attribute(names.ATTRIBUTION_APPROVAL_STATUS, ApprovalStatus.REQUESTED.value)

    def failed(self, error: BaseException | str) -> None:
        """The tool failed although nothing was raised: a framework made a message of the exception."""
        if self._scope is not None and self._scope.span.is_recording():
            record_error(self._scope.span, error)

    def result(self, value: Any) -> None:
        """The tool's result; recorded only where content capture is on."""
        if self._scope is None or not settings.current().capture_content:
            return
        try:
            text = canonical_json(value)
        except CannotFreezeError:
            text = str(value)
        self._scope.span.set_attribute(names.GEN_AI_TOOL_CALL_RESULT, content(text))

    def _described(self) -> dict[str, Any]:
        found: dict[str, Any] = {names.GEN_AI_TOOL_TYPE: self.call.type}
        if (digest := definition_hash(self.call.definition, self.call.tool)) is not None:
            found[names.ATTRIBUTION_TOOL_DEFINITION_HASH] = digest
        if settings.current().capture_content:
            text = self._frozen.text if self._frozen is not None else str(self.call.arguments)
            found[names.GEN_AI_TOOL_CALL_ARGUMENTS] = content(text)
            if self.call.description:
                found[names.GEN_AI_TOOL_DESCRIPTION] = content(self.call.description)
        return found


def tool_call(call: ToolCall, *, adapter: str, join: bool = False, context: Context | None = None) -> Action:
    """Decide on a call before it runs. Never raises: what goes wrong here denies where a guard enforces.

    `context`: where the call stands (the current Context if None). `join`: this is the action that is already
    under way, seen further down (in a server that was called by it): it keeps the action's id and mode.
    """
    parent = get_current() if context is None else context
    try:
        return _decide(call, adapter, join, parent)
    except Exception as error:  # noqa: BLE001 the host's agent must go on, or be told no, but never break
        denial = UNKNOWN_DENIAL if guard.enforcing() else None
        done = "denied, because a guard is on" if denial else "let through unrecorded"
        _log.error("whodid: an action was %s: %s", done, where(error))
        return Action(call, current(parent), None, adapter=adapter, parent=parent, denial=denial)


def in_action(tool_name: str | None = None) -> bool:
    """Whether an action is under way, here or in the process that called this one.

    `tool_name`: and a call of that tool is a part of it. A further tool that a called server calls is not:
    that is the server's own doing, on which its policies decide.
    """
    known = current()
    if known.action_id is None:
        return False
    return tool_name is None or not known.remote or known.tool_name in (None, tool_name)


def at_work(context: Context | None = None) -> Action | None:
    """The action of this process that is at work in a Context, the current one if None."""
    action = get_value(ACTION_KEY, context)
    known = isinstance(action, Action) and action.attribution.action_id == current(context).action_id
    return action if isinstance(action, Action) and known else None


def arguments_hash(call: ToolCall) -> str | None:
    """The digest of a call's arguments; None if they are not JSON."""
    try:
        return freeze(call.arguments).hash
    except CannotFreezeError:
        return None


def approval_requested(call: ToolCall) -> str | None:
    """Note that a call waits for approval; gives the approval's id. No span: the answer's will say when."""
    digest = arguments_hash(call)
    return None if digest is None else approvals.request(current(), call.call_id, digest).id


def approval_resolved(
    call: ToolCall,
    granted: bool,
    *,
    adapter: str,
    not_after: datetime | None = None,
    context: Context | None = None,
) -> str | None:
    """Record the answer to a request, by whoever the `approver(...)` block says; gives the approval's id.

    A granted one covers exactly this call with exactly these arguments, once. Arguments that have no digest
    cannot be approved: then None, and nothing is covered. `context`: of the agent's run, where it is known.
    """
    digest = arguments_hash(call)
    if digest is None:
        return None
    return approvals.resolve(
        call.name,
        call.call_id,
        digest,
        granted=granted,
        adapter=adapter,
        not_after=not_after,
        context=context,
        definition_hash=definition_hash(call.definition, call.tool),
    )


def _decide(call: ToolCall, adapter: str, join: bool, parent: Context) -> Action:
    base = process.with_identity(current(parent))
    try:
        frozen = freeze(call.arguments)
    except CannotFreezeError:
        frozen = None
    acting = base if join and base.action_id is not None else _new_action(call, base, frozen)
    engine = guard.active()
    denial = None
    if engine is not None:
        acting, denial = _ask(engine, call, acting, frozen, adapter, parent)
    return Action(call, acting, frozen, adapter=adapter, parent=parent, denial=denial)


def _new_action(call: ToolCall, base: Attribution, frozen: Frozen | None) -> Attribution:
    approval: Approval | None = None
    if frozen is not None:
        approval = approvals.ledger.use((base.task_id, call.call_id, frozen.hash), datetime.now(UTC))
    said = effects.declared(call.tool)
    return base.changed(
        action_id=uuid.uuid4().hex,
        action_mode=_mode(base, approval),
        action_effect=call.effect or said.effect,
        resource_type=call.resource_type or said.resource_type,
        resource_id=call.resource_id or _resource_id(said, frozen),
        tool_name=call.name,
        call_id=call.call_id,
        arguments_hash=None if frozen is None else frozen.hash,
        decision_id=None,
        decision_outcome=None,
        enforcement=None,
        approval_id=None if approval is None else approval.id,
        approval_status=None if approval is None else ApprovalStatus.GRANTED.value,
        approver_id=None if approval is None else approval.approver_id,
    )


def _resource_id(said: effects.Declared, frozen: Frozen | None) -> str | None:
    """The declared resource's id, where arguments are needed for it and known."""
    if said.resource is None or frozen is None:
        return None
    return said.resource_id(frozen.value())


def _flush() -> None:
    """Of the provider that decisions go to now, whoever made it."""
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()


def _mode(base: Attribution, approval: Approval | None) -> str | None:
    """How much a human had to do with it; None where neither an agent nor an initiator is known."""
    if approval is not None:
        return ActionMode.HUMAN_APPROVED.value
    no_agent = base.agent_name is None and len(base.chain) <= 1
    if no_agent and base.initiator_type is None:
        return None
    if no_agent and base.initiator_type == InitiatorType.HUMAN:
        return ActionMode.HUMAN_INITIATED.value
    if approvals.ledger.granted_in(base.task_id):
        return ActionMode.AUTONOMOUS_AFTER_APPROVAL.value
    return ActionMode.AUTONOMOUS.value


def _ask(
    engine: Guard,
    call: ToolCall,
    acting: Attribution,
    frozen: Frozen | None,
    adapter: str,
    parent: Context,
) -> tuple[Attribution, str | None]:
    """Ask the engine and end the decision's span before anything runs; gives the denial, if it is one."""
    started_ns = time.time_ns()
    request = guard.request_for(acting, call.name, frozen)
    decision = guard.decide(engine, request)
    enforced = guard.enforcement(decision)
    decided = acting.changed(
        decision_id=uuid.uuid4().hex,
        decision_outcome=decision.outcome.value,
        enforcement=enforced.value,
    )
    recorded = request.recorded_context()
    attributes: dict[str, str | None] = {
        names.GEN_AI_OPERATION_NAME: EVALUATE_POLICY,
        names.ATTRIBUTION_POLICY_ENGINE_NAME: decision.engine,
        names.ATTRIBUTION_POLICY_ID: decision.policy_id,
        names.ATTRIBUTION_POLICY_VERSION: decision.policy_version,
        names.ATTRIBUTION_POLICY_RULE_ID: decision.rule_id,
        names.ATTRIBUTION_POLICY_DECISION_REASON: decision.reason,
        names.ATTRIBUTION_POLICY_CONTEXT_HASH: guard.context_hash(recorded),
        names.ATTRIBUTION_POLICY_CONTEXT_VALUE: recorded,
        names.ERROR_TYPE: decision.error_type,
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    span, _ = start_span(adapter, f"{EVALUATE_POLICY} {call.name}", decided, known, parent, started_ns)
    if decision.error_type is not None:
        span.set_status(StatusCode.ERROR, decision.error_type)
    end_span(span)
    if settings.current().flush_decisions:
        ending.before_action.flush(_flush)
    blocked = enforced is Enforcement.BLOCKED
    return decided, guard.denial_text(decision, call.name) if blocked else None
