"""The demo's application: it runs the support agent for a user.

    whodid run python -m whodid.demo.support --user alice@acme.example

This is what a team writes around its agents, and the only part that knows whodid: it says for whom the work
is done (`attribution`), with which credential, and who answers a request for approval (`approver`). Standard
output gets one JSON object a line: what to ask `whodid who` about.
"""

import argparse
import asyncio
import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from agents import Agent, RunConfig, Runner, RunResult
from opentelemetry import trace

from whodid.demo import research_agent, support_agent
from whodid.demo.orders import SCOPE
from whodid.instrumentation import Credential, approver, attribution

APPROVER = "bob@acme.example"
TOKEN_LIFETIME = timedelta(minutes=5)
COMPLAINT = "My espresso machine arrived broken. I want my money back."

_tracer = trace.get_tracer(__name__)

# The agents' vendor would be sent traces otherwise, and the demo stays offline.
_RUN_CONFIG = RunConfig(tracing_disabled=True)


def _desk_key(task: str) -> Credential:
    """The support desk's key for this task: with it the agent pays refunds and sends mails."""
    now = datetime.now(UTC)
    return Credential.from_secret(
        f"desk:{secrets.token_urlsafe(24)}",
        type="api_key",
        issuer="https://login.acme.example",
        scopes=("invoices:refund", "mail:send"),
        not_before=now,
        not_after=now + TOKEN_LIFETIME,
        task_id=task,
    )


async def _research(question: str, task: str, call_id: str) -> str:
    """Asks the research agent, with a token that is good for this task and for reading orders alone."""
    token = f"{SCOPE}:{secrets.token_urlsafe(24)}"
    now = datetime.now(UTC)
    credential = Credential.from_secret(
        token,
        type="bearer",
        issuer="https://login.acme.example",
        scopes=(SCOPE,),
        audiences=("orders",),
        not_before=now,
        not_after=now + TOKEN_LIFETIME,
        task_id=task,
    )
    with attribution(credential=credential):
        return await research_agent.answer(question, token=token, call_id=call_id)


async def run(user: str, task: str) -> None:
    """Settles one complaint for `user`, from the first question to the last answer."""
    calls = support_agent.CallIds.of(task)
    agent = support_agent.build(calls, lambda question: _research(question, task, calls.lookup))
    with (
        attribution(
            principal=user,
            principal_type="human",
            initiator=user,
            initiator_type="human",
            task=task,
            objective=COMPLAINT,
            correlation_id=f"ticket-{task}",
        ),
        _tracer.start_as_current_span("settle complaint"),  # as a web framework's request would be
    ):
        key = _desk_key(task)
        result = await _work(agent, COMPLAINT, key)
        while result.interruptions:
            result = await _work(agent, _approve(result), key)
    _say(event="started", user=user, task=task)
    _say(event="tool_call", story="autonomous", tool="lookup_order", tool_call_id=calls.lookup)
    _say(event="tool_call", story="approved", tool="refund_invoice", tool_call_id=calls.refund)
    _say(event="tool_call", story="mailed", tool="send_mail", tool_call_id=calls.mail)
    _say(event="tool_call", story="denied", tool="delete_customer", tool_call_id=calls.delete)
    _say(event="finished", answer=str(result.final_output))


async def _work(agent: Agent[None], given: Any, key: Credential) -> RunResult:
    """The key is the agent's: neither the request nor the colleague who approves uses it."""
    with attribution(credential=key):
        return await Runner.run(agent, given, run_config=_RUN_CONFIG)


def _approve(result: RunResult) -> Any:
    """What a colleague does who looks at the waiting calls and finds nothing wrong with them."""
    state = result.to_state()
    with approver(APPROVER):
        for waiting in result.interruptions:
            state.approve(waiting)
    return state


def _say(**line: str) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the demo's support agent.")
    parser.add_argument("--user", required=True, help="for whom the agent works: alice@acme.example")
    parser.add_argument("--task", default=None, help="the id of the task (default: a new one)")
    options = parser.parse_args()
    task = options.task or f"task-{uuid.uuid4().hex[:12]}"
    asyncio.run(run(options.user, task))


if __name__ == "__main__":
    main()
