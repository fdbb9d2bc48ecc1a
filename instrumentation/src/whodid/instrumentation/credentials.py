"""Credentials: the event that says one was issued to the agent. The secret itself is never seen here."""

from __future__ import annotations

from typing import Final

from opentelemetry import trace

from whodid.instrumentation.context import Attribution, Credential

CREDENTIAL_ISSUED: Final = "attribution.credential.issued"


def credential_issued(credential: Credential) -> None:
    """Note on the current span that a credential was issued; `attribution(credential=…)` says it is used."""
    attributes = dict(Attribution(credential=credential).attributes)
    trace.get_current_span().add_event(CREDENTIAL_ISSUED, attributes)
