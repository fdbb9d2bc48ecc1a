"""The validator's rules, in one list. A rule finds; it changes nothing and drops nothing.

A rule that looks at several spans reports what contradicts itself among the spans of one batch. It never
reports that a span is absent: that one may come later, in another batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from whodid.processor.batch import Batch, Findings
from whodid.processor.rules.approvals import action_against_approval
from whodid.processor.rules.call_ids import call_id_reused
from whodid.processor.rules.credentials import credential_not_valid, credential_of_other_task
from whodid.processor.rules.decisions import action_against_decision
from whodid.processor.rules.delegation import chain_broken
from whodid.processor.rules.enums import open_value, undefined_value
from whodid.processor.rules.identities import identity_mismatch
from whodid.processor.rules.modes import mode_inconsistent
from whodid.processor.rules.names import deprecated_name, strange_name
from whodid.processor.rules.requirements import missing_conditional, missing_recommended, missing_required
from whodid.processor.rules.value_formats import invalid_format
from whodid.processor.rules.value_types import type_mismatch
from whodid.processor.rules.view import View
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingRule as Id
from whodid.semconv.values import FindingSeverity

_SEVERITIES = tuple(FindingSeverity)
"""From the worst on."""


@dataclass(frozen=True, slots=True)
class Check:
    """A function that finds, and the ids of what it finds."""

    find: Callable[[View], Iterator[Findings]]
    ids: tuple[Id, ...]


CHECKS: tuple[Check, ...] = (
    Check(missing_required, (Id.MISSING_REQUIRED,)),
    Check(missing_conditional, (Id.MISSING_CONDITIONAL,)),
    Check(missing_recommended, (Id.MISSING_RECOMMENDED,)),
    Check(type_mismatch, (Id.TYPE_MISMATCH,)),
    Check(undefined_value, (Id.UNDEFINED_VALUE,)),
    Check(open_value, (Id.OPEN_VALUE,)),
    Check(invalid_format, (Id.INVALID_FORMAT,)),
    Check(deprecated_name, (Id.DEPRECATED_NAME,)),
    Check(strange_name, (Id.MISSPELT_NAME, Id.UNKNOWN_NAME)),
    Check(credential_not_valid, (Id.CREDENTIAL_NOT_VALID,)),
    Check(credential_of_other_task, (Id.CREDENTIAL_OF_OTHER_TASK,)),
    Check(
        action_against_decision, (Id.DECISION_AFTER_ACTION, Id.DECISION_MISMATCH, Id.ACTION_DESPITE_DENIAL)
    ),
    Check(
        action_against_approval,
        (Id.APPROVAL_MISMATCH, Id.APPROVAL_NOT_IN_TIME, Id.APPROVAL_REUSED, Id.APPROVAL_BY_AGENT),
    ),
    Check(chain_broken, (Id.CHAIN_BROKEN,)),
    Check(mode_inconsistent, (Id.MODE_INCONSISTENT,)),
    Check(call_id_reused, (Id.CALL_ID_REUSED,)),
    Check(identity_mismatch, (Id.IDENTITY_MISMATCH,)),
)


def find(batch: Batch, severity: FindingSeverity) -> Iterator[Findings]:
    """What the rules of at least this severity find in the batch."""
    wanted = frozenset(
        rule
        for rule in Id
        if _SEVERITIES.index(FindingSeverity(RULES[rule].severity)) <= _SEVERITIES.index(severity)
    )
    view = View(batch)
    for check in CHECKS:
        if wanted.isdisjoint(check.ids):
            continue
        for found in check.find(view):
            if found.rule in wanted and len(found.rows):
                yield found
