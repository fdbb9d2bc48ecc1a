"""Whether the approval that an action names covers it: granted, for this call, in time, once, by a human."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from whodid.processor.arrow import pa, pc
from whodid.processor.batch import Findings, Mask, Rows
from whodid.processor.rules.clocks import SKEW_US, before
from whodid.processor.rules.telling import per_row, pick, quoted
from whodid.processor.rules.view import View, differ, first_rows, valid
from whodid.semconv import attributes as attr
from whodid.semconv import expressions
from whodid.semconv.values import FindingRule, PrincipalType

_RESOLVED_EVENT = "attribution.approval.resolved"

_NOT_GRANTED = expressions.parse(
    f'present({attr.ATTRIBUTION_APPROVAL_STATUS}) and not {attr.ATTRIBUTION_APPROVAL_STATUS} == "granted"'
)
_REQUESTED = expressions.parse(f'{attr.ATTRIBUTION_APPROVAL_STATUS} == "requested"')
_FOR_AN_AGENT = expressions.parse(f'{attr.ATTRIBUTION_PRINCIPAL_TYPE} == "{PrincipalType.AGENT.value}"')

_BOUND = (
    (attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH, attr.ATTRIBUTION_APPROVAL_CONTEXT_HASH),
    (attr.GEN_AI_TOOL_NAME, attr.GEN_AI_TOOL_NAME),
    (attr.GEN_AI_TOOL_CALL_ID, attr.GEN_AI_TOOL_CALL_ID),
)
"""What an action says, and what the approval has to say for it to be about this action."""

_AGENT = (attr.GEN_AI_AGENT_NAME, attr.ATTRIBUTION_AGENT_IDENTITY_ID, attr.ATTRIBUTION_AGENT_INSTANCE_ID)
"""What the acting agent is called."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Actions, each with the answer to its request for approval. Both are rows, and as many."""

    actions: Rows
    answers: Rows


def action_against_approval(view: View) -> Iterator[Findings]:
    """What is wrong with the approvals that actions name. An answer may come in another batch."""
    ids = view.values(attr.ATTRIBUTION_APPROVAL_ID)
    if ids is None:
        return
    ran = view.operation("execute_tool") & valid(ids)
    actions = np.flatnonzero(ran)
    answers = np.flatnonzero(view.operation("resolve_approval"))
    # Where the request is a span of its own, the answer counts; where there is no answer, nobody granted it.
    answers = answers[np.argsort(view.where(_REQUESTED)[answers], kind="stable")]
    found = first_rows(ids, answers, pick(ids, actions))
    pairs = _Pairs(actions[found >= 0], found[found >= 0])
    yield from _mismatches(view, ran, pairs)
    yield from _not_in_time(view, ran, pairs)
    yield from _reused(view, actions)
    yield from _by_agent(view, pairs)


def _mismatches(view: View, ran: Mask, pairs: _Pairs) -> Iterator[Findings]:
    status = attr.ATTRIBUTION_APPROVAL_STATUS
    not_granted = view.where(_NOT_GRANTED)
    refused = ran & not_granted
    refused[pairs.actions[not_granted[pairs.answers]]] = True
    yield Findings(
        FindingRule.APPROVAL_MISMATCH,
        status,
        "the action ran although its approval was not granted; expected granted",
        np.flatnonzero(refused),
    )
    for of_action, of_approval in _BOUND:
        done, approved = view.agreed(of_action), view.agreed(of_approval)
        if done is None or approved is None:
            continue
        wrong = differ(pick(done, pairs.actions), pick(approved, pairs.answers))
        rows, answers = pairs.actions[wrong], pairs.answers[wrong]
        yield from per_row(
            FindingRule.APPROVAL_MISMATCH,
            of_action,
            rows,
            lambda at, done=of_action, approved=of_approval, rows=rows, answers=answers: (
                f"{done} is {quoted(view.text(done, rows[at]))}; "
                f"expected {quoted(view.text(approved, answers[at]))}, which was approved"
            ),
            f"{of_action} is not what was approved",
        )


def _not_in_time(view: View, ran: Mask, pairs: _Pairs) -> Iterator[Findings]:
    began_ns = view.times_ns("start_time")
    answered_ns = view.times_ns("end_time").copy()
    # The event tells the time better than the span's end, and is only looked at where it matters.
    for position in np.flatnonzero(answered_ns[pairs.answers] > began_ns[pairs.actions]):
        row = int(pairs.answers[position])
        answered_ns[row] = _resolved_ns(view, row, int(answered_ns[row]))
    late = before(view, began_ns[pairs.actions], answered_ns[pairs.answers], pairs.actions, pairs.answers)
    rows, answers = pairs.actions[late], pairs.answers[late]
    yield from per_row(
        FindingRule.APPROVAL_NOT_IN_TIME,
        attr.ATTRIBUTION_APPROVAL_ID,
        rows,
        lambda at: (
            f"the action began at {view.start(rows[at])}; "
            f"expected after its approval at {view.moment(int(answered_ns[answers[at]]))}"
        ),
        "the action began before its approval; expected after it",
    )
    yield from _expired(view, ran, pairs, began_ns // 1_000)


def _resolved_ns(view: View, row: int, otherwise_ns: int) -> int:
    names = cast(list[str], view.batch.spans.column("events.name")[row].as_py())
    if _RESOLVED_EVENT not in names:
        return otherwise_ns
    return int(view.batch.spans.column("events.time")[row].values[names.index(_RESOLVED_EVENT)].value)


def _expired(view: View, ran: Mask, pairs: _Pairs, began_us: npt.NDArray[np.int64]) -> Iterator[Findings]:
    name = attr.ATTRIBUTION_APPROVAL_NOT_AFTER
    not_after = view.instants(name)
    # The action's own copy, and the answer's: the earlier one counts.
    said_by = np.arange(view.row_count)
    late = ran & not_after.known & (began_us > not_after.times_us + SKEW_US)
    by_answer = not_after.known[pairs.answers] & (
        began_us[pairs.actions] > not_after.times_us[pairs.answers] + SKEW_US
    )
    late[pairs.actions[by_answer]] = True
    said_by[pairs.actions[by_answer]] = pairs.answers[by_answer]
    rows = np.flatnonzero(late)
    sayers = said_by[rows]
    yield from per_row(
        FindingRule.APPROVAL_NOT_IN_TIME,
        name,
        rows,
        lambda at: (
            f"the action began at {view.start(rows[at])}; "
            f"expected before {quoted(view.text(name, sayers[at]))}, when its approval expired"
        ),
        "the action began after its approval had expired; expected before",
    )


def _reused(view: View, actions: Rows) -> Iterator[Findings]:
    """The second and every further action of one approval; the first in time may have it."""
    approval_codes, action_codes = (
        view.codes(name)[actions] for name in (attr.ATTRIBUTION_APPROVAL_ID, attr.ATTRIBUTION_ACTION_ID)
    )
    told = action_codes >= 0
    rows, approval_codes, action_codes = actions[told], approval_codes[told], action_codes[told]
    if not len(rows):
        return
    order = np.argsort(view.times_ns("start_time")[rows], kind="stable")[::-1]
    first = np.zeros(int(approval_codes.max()) + 1, dtype=np.int64)
    first[approval_codes[order]] = rows[order]  # the earliest is written last
    holder = first[approval_codes]
    again = view.codes(attr.ATTRIBUTION_ACTION_ID)[holder] != action_codes
    rows, holder = rows[again], holder[again]
    yield from per_row(
        FindingRule.APPROVAL_REUSED,
        attr.ATTRIBUTION_APPROVAL_ID,
        rows,
        lambda at: (
            f"approval {quoted(view.text(attr.ATTRIBUTION_APPROVAL_ID, rows[at]))} was used before by action "
            f"{quoted(view.text(attr.ATTRIBUTION_ACTION_ID, holder[at]))}; expected one action for it"
        ),
        "the approval was used before by another action; expected one action for it",
    )


def _by_agent(view: View, pairs: _Pairs) -> Iterator[Findings]:
    approvers = view.values(attr.ATTRIBUTION_APPROVAL_APPROVER_ID)
    if approvers is None:
        return
    itself = np.flatnonzero(view.present(attr.ATTRIBUTION_APPROVAL_APPROVER_ID))
    # What a span says of its own approver, and what the answer says of it to the action that it is for.
    acting = np.concatenate([itself, pairs.actions])
    named = pick(approvers, np.concatenate([itself, pairs.answers]))
    wrong = _in_chain(view, acting, named)
    for name in _AGENT:
        values = view.values(name)
        if values is not None:
            wrong |= np.asarray(pc.fill_null(pc.equal(pick(values, acting), named), False))
    found = np.flatnonzero(wrong)
    # The same span may be found twice: by its own word, and by the answer's.
    rows, which = np.unique(acting[found], return_index=True)
    approver_ids = pick(named, found[which])
    yield from per_row(
        FindingRule.APPROVAL_BY_AGENT,
        attr.ATTRIBUTION_APPROVAL_APPROVER_ID,
        rows,
        lambda at: (
            f"the approver is {quoted(approver_ids[at].as_py())}, the agent that acts or one that it acts "
            "for; expected somebody else"
        ),
        "the approver is the agent that acts or one that it acts for; expected somebody else",
    )


def _in_chain(view: View, acting: Rows, approvers: Any) -> Mask:
    """Whether the approver is an agent in the acting span's chain, whose first is the principal."""
    found = np.zeros(len(acting), dtype=np.bool_)
    lists = view.lists(attr.ATTRIBUTION_DELEGATION_CHAIN)
    if lists is None:
        return found
    chains = lists.take(pa.array(acting))
    links = chains.flatten()
    owners = np.asarray(pc.list_parent_indices(chains))
    if not len(links):
        return found
    is_first = np.append(True, owners[1:] != owners[:-1])
    is_agent = ~is_first | view.where(_FOR_AN_AGENT)[acting][owners]
    same = np.asarray(pc.fill_null(pc.equal(links, pick(approvers, owners)), False))
    found[owners[same & is_agent]] = True
    return found
