"""The seam at which a policy engine is asked before a tool runs. It fails closed and never raises.

Control inside a process is bypassed by hostile code inside that process: it binds a model's choices, not an
attacker who already runs code beside it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from whodid.instrumentation import settings
from whodid.instrumentation.context import Attribution
from whodid.instrumentation.digest import Frozen, sha256_text
from whodid.instrumentation.policy import Decision, DecisionRequest, Guard
from whodid.instrumentation.scopes import error_type
from whodid.semconv.values import PolicyDecisionOutcome as Outcome
from whodid.semconv.values import PolicyEnforcementAction as Enforcement

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenGuard:
    """Stands in for an engine that is configured and cannot work, so that nothing runs unasked."""

    engine: str
    reason: str
    error_type: str

    def decide(self, request: DecisionRequest) -> Decision:
        """Always the outcome `error`."""
        del request
        return Decision(
            outcome=Outcome.ERROR, engine=self.engine, reason=self.reason, error_type=self.error_type
        )


@dataclass(slots=True)
class _Installed:
    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: bool = False
    guard: Guard | None = None


_installed: Final = _Installed()


def install(guard: Guard | None) -> None:
    """Ask this engine from now on; None: ask nobody."""
    with _installed.lock:
        _installed.guard, _installed.loaded = guard, True


def forget() -> None:
    """Let the settings say again, at the next call, which engine is asked."""
    with _installed.lock:
        _installed.guard, _installed.loaded = None, False


def active() -> Guard | None:
    """The engine that is asked, loaded from WHODID_POLICY at the first call; None if there is none."""
    if not _installed.loaded:
        with _installed.lock:
            if not _installed.loaded:
                _installed.guard = _load(settings.current().policy)
                _installed.loaded = True
    return _installed.guard


def enforcing() -> bool:
    """Whether an action that nobody could decide on is held back."""
    return settings.current().guard_mode != "monitor" and (
        _installed.guard is not None if _installed.loaded else settings.current().policy is not None
    )


def decide(guard: Guard, request: DecisionRequest) -> Decision:
    """Ask, and turn every failure into the outcome `error`."""
    if request.arguments is None:
        return Decision(
            outcome=Outcome.ERROR,
            engine=guard.engine,
            reason="the arguments are not JSON, so there is nothing to decide on",
            error_type="CannotFreezeError",
        )
    try:
        decision = guard.decide(request)
        # An engine of somebody else's may give anything back; an unknown verdict is no permission.
        return _checked(decision, guard.engine)
    except Exception as error:  # noqa: BLE001 whatever it is, it must not reach the host and must not allow
        _log.error("whodid: the policy engine failed (%s): the action is denied", error_type(error))
        return Decision(
            outcome=Outcome.ERROR,
            engine=guard.engine,
            reason="the policy engine failed",
            error_type=error_type(error),
        )


def enforcement(decision: Decision) -> Enforcement:
    """What is done about a decision in the configured mode."""
    if decision.outcome == Outcome.ALLOW:
        return Enforcement.ALLOWED
    return Enforcement.MONITORED if settings.current().guard_mode == "monitor" else Enforcement.BLOCKED


def denial_text(decision: Decision, tool_name: str) -> str:
    """What the model is told: that the tool did not run and which rule says so."""
    if decision.outcome == Outcome.DENY:
        rule = f" (rule {decision.rule_id})" if decision.rule_id else ""
        return f'The call of "{tool_name}" was denied by policy{rule}. It did not run.'
    return f'The call of "{tool_name}" could not be checked against the policy, so it did not run.'


def request_for(
    attribution: Attribution,
    tool_name: str,
    arguments: Frozen | None,
) -> DecisionRequest:
    """The request for one action, with only what is known."""
    groups: dict[str, dict[str, str | None]] = {
        "principal": {"type": attribution.principal_type, "id": attribution.principal_id},
        "initiator": {"type": attribution.initiator_type, "id": attribution.initiator_id},
        "agent": {
            "name": attribution.agent_name,
            "instance": attribution.agent_instance_id,
            "identity": attribution.identity_id,
        },
        "task": {"id": attribution.task_id},
        "approval": {"id": attribution.approval_id, "approver": attribution.approver_id},
        "resource": {"type": attribution.resource_type, "id": attribution.resource_id},
    }
    context: dict[str, Any] = {}
    for group, members in groups.items():
        if known := {name: str(value) for name, value in members.items() if value is not None}:
            context[group] = known
    if attribution.chain:
        context["chain"] = list(attribution.chain)
    if attribution.action_effect is not None:
        context["effect"] = str(attribution.action_effect)
    if attribution.action_mode is not None:
        context["mode"] = str(attribution.action_mode)
    return DecisionRequest(attribution.agent_name, tool_name, context, arguments)


def context_hash(recorded: str) -> str:
    """`attribution.policy.context.hash` of a recorded context."""
    return sha256_text(recorded)


def _checked(decision: Decision, engine: str) -> Decision:
    if decision.outcome in (Outcome.ALLOW, Outcome.DENY, Outcome.ERROR):
        return decision
    return Decision(outcome=Outcome.ERROR, engine=engine, reason="the policy engine gave no verdict")


def _load(policy: str | None) -> Guard | None:
    if policy is None:
        return None
    try:
        from whodid.instrumentation.cedar import CedarGuard  # only where it is asked for

        return CedarGuard.from_path(policy)
    except ModuleNotFoundError as error:
        _log.error(
            "whodid: WHODID_POLICY is set but %s is not installed: every tool call is denied. "
            "hint: pip install 'whodid[guard]'",
            error.name,
        )
        return BrokenGuard("cedar", "the policy engine is not installed", error_type(error))
    except Exception as error:  # noqa: BLE001 an unreadable policy must deny, whatever made it unreadable
        _log.error("whodid: WHODID_POLICY cannot be used: %s: every tool call is denied", error)
        return BrokenGuard("cedar", "the policy cannot be read", error_type(error))
