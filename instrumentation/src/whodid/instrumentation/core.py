"""The one face that adapters see: agents, hand-offs, tool calls, approvals, credentials.

Nothing but the modules behind it knows a span's name, an attribute, what is left out, how a guard fails.
"""

from __future__ import annotations

from whodid.instrumentation.actions import (
    Action,
    ToolCall,
    approval_requested,
    approval_resolved,
    at_work,
    in_action,
    tool_call,
)
from whodid.instrumentation.agents import (
    AgentRun,
    agent_astream,
    agent_span,
    agent_start,
    agent_stream,
    in_agent,
)
from whodid.instrumentation.credentials import credential_issued
from whodid.instrumentation.scopes import Scope
from whodid.instrumentation.streams import ContextAsyncIterator, ContextIterator

__all__ = [
    "Action",
    "AgentRun",
    "ContextAsyncIterator",
    "ContextIterator",
    "Scope",
    "ToolCall",
    "agent_astream",
    "agent_span",
    "agent_start",
    "agent_stream",
    "approval_requested",
    "approval_resolved",
    "at_work",
    "credential_issued",
    "in_action",
    "in_agent",
    "tool_call",
]
