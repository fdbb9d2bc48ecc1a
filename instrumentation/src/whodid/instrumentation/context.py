"""What a span says about who, for whom and why: one immutable value, carried in the OpenTelemetry Context."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Self

from opentelemetry.context import Context, get_current
from opentelemetry.context import get_value as get_context_value
from opentelemetry.context import set_value as set_context_value

from whodid.semconv import attributes as names

ATTRIBUTION_KEY: Final = "whodid.attribution"
MAX_CHAIN_ITEMS: Final = 256
"""A longer chain is a runaway recursion; it is then missing, because a cut chain would be a wrong one."""

AttributeValue = str | tuple[str, ...]


def rfc3339(moment: datetime | str | None) -> str | None:
    """A time as RFC 3339 in UTC; text is taken as it is, a naive time is local time as Python has it."""
    if moment is None or isinstance(moment, str):
        return moment
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What is known about a credential, never the secret itself. Times are RFC 3339 in UTC."""

    id: str
    """A fingerprint (`from_secret`) or the issuer's own accessor."""
    type: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    not_before: str | None = None
    not_after: str | None = None
    task_id: str | None = None
    """The task that the credential was issued for."""
    replaces_id: str | None = None

    @classmethod
    def from_secret(
        cls,
        secret: str | bytes,
        *,
        type: str | None = None,  # noqa: A002 the attribute's own name
        issuer: str | None = None,
        scopes: Sequence[str] = (),
        audiences: Sequence[str] = (),
        not_before: datetime | str | None = None,
        not_after: datetime | str | None = None,
        task_id: str | None = None,
        replaces_id: str | None = None,
    ) -> Self:
        """A credential known by the first 16 hex digits of its secret's SHA-256; the secret is not kept."""
        raw = secret.encode() if isinstance(secret, str) else secret
        return cls(
            id="sha256:" + hashlib.sha256(raw).hexdigest()[:16],
            type=type,
            issuer=issuer,
            scopes=tuple(scopes),
            audiences=tuple(audiences),
            not_before=rfc3339(not_before),
            not_after=rfc3339(not_after),
            task_id=task_id,
            replaces_id=replaces_id,
        )


CREDENTIAL_ATTRIBUTES: Final[tuple[tuple[str, str], ...]] = (
    ("id", names.ATTRIBUTION_CREDENTIAL_ID),
    ("type", names.ATTRIBUTION_CREDENTIAL_TYPE),
    ("issuer", names.ATTRIBUTION_CREDENTIAL_ISSUER),
    ("scopes", names.ATTRIBUTION_CREDENTIAL_SCOPES),
    ("audiences", names.ATTRIBUTION_CREDENTIAL_AUDIENCES),
    ("not_before", names.ATTRIBUTION_CREDENTIAL_NOT_BEFORE),
    ("not_after", names.ATTRIBUTION_CREDENTIAL_NOT_AFTER),
    ("task_id", names.ATTRIBUTION_CREDENTIAL_TASK_ID),
    ("replaces_id", names.ATTRIBUTION_CREDENTIAL_REPLACES_ID),
)

# The order is the order of importance: what does not fit into a hop's baggage is left out from the end.
ATTRIBUTES: Final[tuple[tuple[str, str], ...]] = (
    ("principal_type", names.ATTRIBUTION_PRINCIPAL_TYPE),
    ("principal_id", names.ATTRIBUTION_PRINCIPAL_ID),
    ("initiator_type", names.ATTRIBUTION_INITIATOR_TYPE),
    ("initiator_id", names.ATTRIBUTION_INITIATOR_ID),
    ("task_id", names.ATTRIBUTION_TASK_ID),
    ("agent_name", names.GEN_AI_AGENT_NAME),
    ("agent_instance_id", names.ATTRIBUTION_AGENT_INSTANCE_ID),
    ("chain", names.ATTRIBUTION_DELEGATION_CHAIN),
    ("identity_id", names.ATTRIBUTION_AGENT_IDENTITY_ID),
    ("identity_type", names.ATTRIBUTION_AGENT_IDENTITY_TYPE),
    ("identity_issuer", names.ATTRIBUTION_AGENT_IDENTITY_ISSUER),
    ("action_id", names.ATTRIBUTION_ACTION_ID),
    ("action_mode", names.ATTRIBUTION_ACTION_MODE),
    ("tool_name", names.GEN_AI_TOOL_NAME),
    ("call_id", names.GEN_AI_TOOL_CALL_ID),
    ("arguments_hash", names.ATTRIBUTION_ACTION_ARGUMENTS_HASH),
    ("decision_id", names.ATTRIBUTION_POLICY_DECISION_ID),
    ("decision_outcome", names.ATTRIBUTION_POLICY_DECISION_OUTCOME),
    ("enforcement", names.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION),
    ("approval_id", names.ATTRIBUTION_APPROVAL_ID),
    ("approval_status", names.ATTRIBUTION_APPROVAL_STATUS),
    ("approver_id", names.ATTRIBUTION_APPROVAL_APPROVER_ID),
    ("correlation_id", names.ATTRIBUTION_CORRELATION_ID),
    ("task_parent_id", names.ATTRIBUTION_TASK_PARENT_ID),
    ("objective_hash", names.ATTRIBUTION_TASK_OBJECTIVE_HASH),
    ("session_id", names.SESSION_ID),
    ("conversation_id", names.GEN_AI_CONVERSATION_ID),
    ("agent_version", names.GEN_AI_AGENT_VERSION),
    ("action_effect", names.ATTRIBUTION_ACTION_EFFECT),
    ("resource_type", names.ATTRIBUTION_RESOURCE_TYPE),
    ("resource_id", names.ATTRIBUTION_RESOURCE_ID),
    ("objective_text", names.ATTRIBUTION_TASK_OBJECTIVE_TEXT),
)

_NO_ACTION: Final[Mapping[str, Any]] = MappingProxyType(
    dict.fromkeys(
        (
            "action_id",
            "action_mode",
            "action_effect",
            "resource_type",
            "resource_id",
            "tool_name",
            "call_id",
            "arguments_hash",
            "decision_id",
            "decision_outcome",
            "enforcement",
            "approval_id",
            "approval_status",
            "approver_id",
        )
    )
)


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Who acts, for whom, why, and in which action. What is `None` (or an empty chain) is not known.

    Without slots: a changed one is then the copy of a dict.
    """

    initiator_type: str | None = None
    initiator_id: str | None = None
    principal_type: str | None = None
    principal_id: str | None = None
    chain: tuple[str, ...] = ()
    """From the principal to the acting agent."""
    task_id: str | None = None
    task_parent_id: str | None = None
    objective_hash: str | None = None
    objective_text: str | None = None
    """Set only where the recording of content is switched on; never leaves the process in baggage."""
    correlation_id: str | None = None
    session_id: str | None = None
    conversation_id: str | None = None
    agent_name: str | None = None
    agent_version: str | None = None
    agent_instance_id: str | None = None
    identity_id: str | None = None
    identity_type: str | None = None
    identity_issuer: str | None = None
    credential: Credential | None = None
    # The current action; all None outside of one.
    action_id: str | None = None
    action_mode: str | None = None
    action_effect: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    tool_name: str | None = None
    call_id: str | None = None
    arguments_hash: str | None = None
    decision_id: str | None = None
    decision_outcome: str | None = None
    enforcement: str | None = None
    approval_id: str | None = None
    approval_status: str | None = None
    approver_id: str | None = None
    remote: bool = False
    """It came over a hop, so its agent, identity, credential and action are another process's."""
    _attributes: Mapping[str, AttributeValue] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def attributes(self) -> Mapping[str, AttributeValue]:
        """The span attributes that this value stands for; rendered once, because stamping is hot."""
        rendered = self._attributes
        if rendered is None:
            found = _render(vars(self), ATTRIBUTES)
            if self.credential is not None:
                found.update(_render(vars(self.credential), CREDENTIAL_ATTRIBUTES))
            rendered = MappingProxyType(found)
            object.__setattr__(self, "_attributes", rendered)
        return rendered

    def changed(self, **changes: Any) -> Attribution:
        """The same with these fields changed; `replace` would set each of them anew, for every call."""
        if not changes.keys() <= _FIELDS:
            raise TypeError(f"no such field: {', '.join(sorted(changes.keys() - _FIELDS))}")
        values = vars(self).copy()
        values.update(changes)
        values["_attributes"] = None
        made = object.__new__(Attribution)
        object.__setattr__(made, "__dict__", values)
        return made

    def without_action(self) -> Attribution:
        """The same outside of any action."""
        return self if self.action_id is None else self.changed(**_NO_ACTION)

    def with_agent(self, name: str, *, instance_id: str, version: str | None = None) -> Attribution:
        """The same with this agent acting: the chain one longer, outside of any action."""
        broken = not self.chain and self.agent_name is not None
        chain = () if broken or len(self.chain) >= MAX_CHAIN_ITEMS else (*self.chain, name)
        callers = ("identity_id", "identity_type", "identity_issuer", "credential") if self.remote else ()
        return self.changed(
            **_NO_ACTION,
            **dict.fromkeys(callers),
            chain=chain,
            agent_name=name,
            agent_version=version,
            agent_instance_id=instance_id,
            remote=False,
        )


_FIELDS: Final = frozenset(each.name for each in fields(Attribution) if each.init)


def _render(values: Mapping[str, Any], table: tuple[tuple[str, str], ...]) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for attribute, name in table:
        value = values[attribute]
        if value is None or value == ():
            continue
        # str() makes a plain string of an enum member, which is all that an exporter has to know.
        found[name] = tuple(str(item) for item in value) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return found


NOTHING_KNOWN: Final = Attribution()


def current(context: Context | None = None) -> Attribution:
    """The attribution in a Context (the current one if none is given); an empty one where nobody set any."""
    value = get_context_value(ATTRIBUTION_KEY, context)
    return value if isinstance(value, Attribution) else NOTHING_KNOWN


def with_attribution(attribution: Attribution, context: Context | None = None) -> Context:
    """A Context (derived from the current one if none is given) that carries `attribution`."""
    return set_context_value(ATTRIBUTION_KEY, attribution, get_current() if context is None else context)
