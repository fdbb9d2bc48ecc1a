"""What runs inside an agent's process: says on every span who acts, for whom, why, and who allowed it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whodid.instrumentation.approvals import approver
    from whodid.instrumentation.blocks import attribution
    from whodid.instrumentation.context import Attribution, Credential, current
    from whodid.instrumentation.effects import tool_effect
    from whodid.instrumentation.provider import flush
    from whodid.instrumentation.startup import init

__all__ = ["Attribution", "Credential", "approver", "attribution", "current", "flush", "init", "tool_effect"]

_MODULES = {
    "Attribution": "context",
    "Credential": "context",
    "approver": "approvals",
    "attribution": "blocks",
    "current": "context",
    "flush": "provider",
    "init": "startup",
    "tool_effect": "effects",
}


def __getattr__(name: str) -> Any:
    """Loads what is asked for (PEP 562): a program that only says for whom need not pay for the hooks."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
