"""What this process is: its instance id, and the workload identity that its environment says it has."""

from __future__ import annotations

import os
import uuid

from whodid.instrumentation import settings
from whodid.instrumentation.context import Attribution

_instance_id: str | None = None


def instance_id() -> str:
    """One id for this process; a forked child gets one of its own."""
    global _instance_id
    if _instance_id is None:
        _instance_id = uuid.uuid4().hex
    return _instance_id


def _forget() -> None:
    global _instance_id
    _instance_id = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def with_identity(attribution: Attribution) -> Attribution:
    """The same with the process's identity, where no other is known."""
    configured = settings.current()
    if configured.agent_identity is None or attribution.identity_id is not None:
        return attribution
    return attribution.changed(
        identity_id=configured.agent_identity,
        identity_type=configured.agent_identity_type,
        identity_issuer=configured.agent_identity_issuer,
    )
