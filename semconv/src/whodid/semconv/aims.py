"""The minimum fields of an agent's audit record in IETF AIMS (draft-ietf-wimse-aims).

An attribute of the model says with `annotations.whodid.aims` which of them it answers to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Field:
    """One of the minimum fields."""

    id: str
    title: str
    span: str = ""
    """What a span has for it apart from attributes."""


FIELDS: Final = (
    Field("agent_identifier", "Authenticated agent identifier"),
    Field("delegated_subject", "Delegated subject"),
    Field("resource_or_tool", "Resource or tool"),
    Field("action_and_decision", "Action and decision"),
    Field("time_and_correlation", "Time and correlation id", "start time, end time, trace id, span id"),
    Field("attestation_or_risk", "Attestation or risk state that influenced the decision"),
    Field("remediation_or_revocation", "Remediation or revocation, and its cause"),
)
