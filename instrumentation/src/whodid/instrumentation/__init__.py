"""What runs inside an agent's process: says on every span who acts, for whom, why, and who allowed it."""

from __future__ import annotations

from whodid.instrumentation.approvals import approver
from whodid.instrumentation.blocks import attribution
from whodid.instrumentation.context import Attribution, Credential, current
from whodid.instrumentation.effects import tool_effect
from whodid.instrumentation.startup import flush, init

__all__ = ["Attribution", "Credential", "approver", "attribution", "current", "flush", "init", "tool_effect"]
