"""What a search for actions is asked with: the filters, and which values they take."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from whodid.store.questions.question import MAX_ID_CHARACTERS, Paged

MAX_VALUES = 100
"""How many values one filter takes."""


class Became(StrEnum):
    """What became of an action, by what its spans show."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"
    NOT_RECORDED = "not_recorded"
    """Something was decided about it, and no span shows that it ran or was held back."""


class Without(StrEnum):
    """What an action may not say."""

    AGENT = "agent"
    PRINCIPAL = "principal"
    INITIATOR = "initiator"
    TASK = "task"
    CREDENTIAL = "credential"
    RESOURCE = "resource"
    TOOL = "tool"
    MODE = "mode"
    DECISION = "decision"


Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARACTERS)]
Values = tuple[Text, ...]


def _filter(description: str) -> Any:
    return Field(default=(), max_length=MAX_VALUES, description=description)


class ActionsParameters(Paged):
    """What `actions` is asked with. Of one filter's values one is enough; of several filters each counts."""

    id: Values = _filter(
        "Only actions with this id, whatever it is one of: trace, span, tool call, action, correlation, "
        "decision, approval, credential, principal, task, session or conversation."
    )
    agent: Values = _filter("Only what this agent did: its name, running copy or workload identity.")
    principal: Values = _filter("Only what was done on behalf of this principal.")
    initiator: Values = _filter("Only what this one had started.")
    tool: Values = _filter("Only what was done with this tool.")
    credential: Values = _filter("Only what was done with this credential (its id).")
    resource_type: Values = _filter("Only what was done to resources of this type.")
    resource: Values = _filter("Only what was done to this resource (its id).")
    service: Values = _filter("Only actions of which this service tells (service.name).")
    session: Values = _filter("Only what was done in this session or conversation.")
    task: Values = _filter("Only what was done in this task.")
    mode: Values = _filter("Only actions that say this mode (attribution.action.mode).")
    decision: Values = _filter("Only actions that the policies said this about: allow, deny, error.")
    enforcement: Values = _filter("Only actions that this was done about: allowed, blocked, monitored.")
    effect: Values = _filter("Only actions that say this effect (attribution.action.effect).")
    status: tuple[Became, ...] = Field(
        default=(), description="Only what became of it: it succeeded, failed, was denied, or nothing shows."
    )
    error: Values = _filter("Only actions that failed with this (error.type).")
    rule: Values = _filter("Only actions with a finding of this rule of the validator.")
    without: tuple[Without, ...] = Field(
        default=(),
        description="Only actions of which no span says these: the agent, the principal, and so on.",
    )
    operations: Values = Field(
        default=("execute_tool", "tools/call"),
        min_length=1,
        max_length=MAX_VALUES,
        description="What counts as an action: values of gen_ai.operation.name or mcp.method.name. With "
        "execute_tool also what was decided about and did not run.",
    )
    facets: bool = Field(
        default=False,
        description="Also tell the ten most frequent values of each property among the newest actions with "
        "these properties.",
    )
