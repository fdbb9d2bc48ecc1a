"""Mutants in which what a span says contradicts itself, or what another span says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.processor.rules.mutants import Mutant, mutant, saying, setting, starting, together
from tests.processor.rules.records import AGENTS, ALICE, BOB, SECOND_NS, SPIFFE_ID, Records, at, digest
from tests.spans import Value
from whodid.processor.settings import DEFAULT_LIMITS
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule as Id


def of_credentials() -> Iterator[Mutant]:
    for record in ("execution", "chat"):
        late = saying(record, ATTRIBUTION_CREDENTIAL_NOT_AFTER=at(-3 * 3600))
        name = attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER
        yield mutant(f"{record} with an expired credential", record, name, Id.CREDENTIAL_NOT_VALID, late)
        early = saying(record, ATTRIBUTION_CREDENTIAL_NOT_BEFORE=at(3600))
        name = attr.ATTRIBUTION_CREDENTIAL_NOT_BEFORE
        yield mutant(f"{record} with a later credential", record, name, Id.CREDENTIAL_NOT_VALID, early)
        other = saying(record, ATTRIBUTION_CREDENTIAL_TASK_ID="task-7")
        name = attr.ATTRIBUTION_CREDENTIAL_TASK_ID
        yield mutant(f"{record} with another's", record, name, Id.CREDENTIAL_OF_OTHER_TASK, other)
    of_a_third = saying("execution of a part", ATTRIBUTION_CREDENTIAL_TASK_ID="task-3")
    name = attr.ATTRIBUTION_CREDENTIAL_TASK_ID
    yield mutant("part of a task", "execution of a part", name, Id.CREDENTIAL_OF_OTHER_TASK, of_a_third)
    yield mutant(
        "both ends in the past, with fractions",
        "execution",
        attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER,
        Id.CREDENTIAL_NOT_VALID,
        saying(
            "execution",
            ATTRIBUTION_CREDENTIAL_NOT_BEFORE="1950-01-01T00:00:00.123456789Z",
            ATTRIBUTION_CREDENTIAL_NOT_AFTER="2020-01-01T00:00:00.5Z",
        ),
    )


def of_modes() -> Iterator[Mutant]:
    mode = attr.ATTRIBUTION_ACTION_MODE
    for value in ("autonomous", "autonomous_after_approval"):
        for record in ("approved execution", "approved decision"):
            change = saying(record, ATTRIBUTION_ACTION_MODE=value)
            yield mutant(f"{value} {record}", record, mode, Id.MODE_INCONSISTENT, change)
    unapproved = saying("denied decision", ATTRIBUTION_ACTION_MODE="human_approved")
    yield mutant("approved without an approval", "denied decision", mode, Id.MODE_INCONSISTENT, unapproved)
    by_hand = saying("cached execution", ATTRIBUTION_ACTION_MODE="human_initiated")
    yield mutant("by hand, through an agent", "cached execution", mode, Id.MODE_INCONSISTENT, by_hand)
    by_schedule = saying(
        "cached execution",
        ATTRIBUTION_ACTION_MODE="human_initiated",
        ATTRIBUTION_INITIATOR_TYPE="schedule",
        ATTRIBUTION_DELEGATION_CHAIN=["support-agent"],
        ATTRIBUTION_PRINCIPAL_ID="support-agent",
    )
    yield mutant("by hand, on a schedule", "cached execution", mode, Id.MODE_INCONSISTENT, by_schedule)


def of_claims() -> Iterator[Mutant]:
    for value in ("verified", "self_asserted", 5):
        change = saying("plan", ATTRIBUTION_EVIDENCE_LEVEL=value)
        yield mutant(
            f"evidence that is {value}", "plan", attr.ATTRIBUTION_EVIDENCE_LEVEL, Id.EVIDENCE_CLAIMED, change
        )
    identity = attr.ATTRIBUTION_AGENT_IDENTITY_ID
    other = saying("attested plan", ATTRIBUTION_AGENT_IDENTITY_ID=f"{SPIFFE_ID}/2")
    yield mutant("another's identity", "attested plan", identity, Id.IDENTITY_MISMATCH, other)
    own_word = together(other, saying("attested plan", ATTRIBUTION_AGENT_ATTESTED_ID=f"{SPIFFE_ID}/2"))
    yield mutant("and its own word for it", "attested plan", identity, Id.IDENTITY_MISMATCH, own_word)


def of_secrets_and_otlp() -> Iterator[Mutant]:
    key = "sk-proj-abcdefghijklmnopqrstuv"
    for name, record in (("app.header", "plan"), (attr.ATTRIBUTION_CREDENTIAL_ID, "execution")):
        yield mutant(f"secret in {name}", record, name, Id.SECRET_REDACTED, setting(record, name, key))

    def old(records: Records) -> None:
        records["plan"].start_ns -= 30 * 86_400 * SECOND_NS

    yield mutant("a month ago", "plan", "start_time", Id.TIME_OUTSIDE_WINDOW, old)

    def long(records: Records) -> None:
        records["plan"].attributes["app.text"] = "x" * (DEFAULT_LIMITS.max_value_bytes + 1)

    yield mutant("a text that is too long", "plan", "app.text", Id.BEYOND_LIMIT, long)

    def without_trace(records: Records) -> None:
        records["attested plan"].trace_id = bytes(16)

    yield mutant("no trace id", "attested plan", "trace_id", Id.INVALID_ID, without_trace)

    def short_parent(records: Records) -> None:
        records["attested plan"].parent_id = b"1234"

    yield mutant("short parent", "attested plan", "parent_span_id", Id.INVALID_ID, short_parent)


def of_decisions() -> Iterator[Mutant]:
    identifier = attr.ATTRIBUTION_POLICY_DECISION_ID
    after = Id.DECISION_AFTER_ACTION
    just_after = starting("execution", -0.000_000_001, after="decision")
    yield mutant("by a nanosecond", "execution", identifier, after, just_after)
    long_after = starting("execution", -30, after="decision")
    yield mutant("by half a minute", "execution", identifier, after, long_after)
    unnamed = together(just_after, _unnamed("execution"))
    yield mutant("by the action's id alone", "execution", identifier, after, unnamed)

    def elsewhere(records: Records) -> None:
        records.resources["execution"] = {"service.name": "tools"}

    on_another_clock = together(elsewhere, starting("execution", -2, after="decision"))
    yield mutant("on another clock", "execution", identifier, after, on_another_clock)
    for constant, value in (
        ("ATTRIBUTION_ACTION_ID", "action-77"),
        ("ATTRIBUTION_ACTION_ARGUMENTS_HASH", digest("other")),
        ("GEN_AI_TOOL_NAME", "delete_order"),
    ):
        change = saying("execution", **{constant: value})
        name = str(getattr(attr, constant))
        yield mutant(f"a decision about another {name}", "execution", name, Id.DECISION_MISMATCH, change)
    enforcement = attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION
    outcome = attr.ATTRIBUTION_POLICY_DECISION_OUTCOME
    claimed = saying("monitored execution", ATTRIBUTION_POLICY_DECISION_OUTCOME="error")
    yield mutant("another outcome", "monitored execution", outcome, Id.DECISION_MISMATCH, claimed)
    for value, said in (("deny", "allowed"), ("error", "allowed"), ("allow", "monitored")):
        change = saying(
            "denied decision",
            ATTRIBUTION_POLICY_DECISION_OUTCOME=value,
            ATTRIBUTION_POLICY_ENFORCEMENT_ACTION=said,
        )
        yield mutant(f"{said} after {value}", "denied decision", enforcement, Id.DECISION_MISMATCH, change)
    despite = Id.ACTION_DESPITE_DENIAL
    blocked: dict[str, Value] = {
        "ATTRIBUTION_POLICY_DECISION_OUTCOME": "deny",
        "ATTRIBUTION_POLICY_ENFORCEMENT_ACTION": "blocked",
    }
    both = together(saying("decision", **blocked), saying("execution", **blocked))
    yield mutant("ran, and says it was blocked", "execution", enforcement, despite, both)
    silent = together(saying("decision", **blocked), _unnamed("execution"))
    yield mutant("ran, and says nothing of it", "execution", enforcement, despite, silent)
    alone = saying("execution", ATTRIBUTION_POLICY_DECISION_ID="decision-9", **blocked)
    yield mutant("ran, its decision elsewhere", "execution", enforcement, despite, alone)
    yield mutant(
        "ran, and says it was allowed",
        "execution",
        enforcement,
        (despite, Id.DECISION_MISMATCH),
        saying("decision", ATTRIBUTION_POLICY_ENFORCEMENT_ACTION="blocked"),
        "what the action says of its decision is not what the decision says",
    )


def _unnamed(record: str) -> Callable[[Records], None]:
    return saying(
        record,
        ATTRIBUTION_POLICY_DECISION_ID=None,
        ATTRIBUTION_POLICY_DECISION_OUTCOME=None,
        ATTRIBUTION_POLICY_ENFORCEMENT_ACTION=None,
    )


def of_approvals() -> Iterator[Mutant]:
    record = "approved execution"
    status = attr.ATTRIBUTION_APPROVAL_STATUS
    for value in ("refused", "requested", "expired"):
        change = together(
            saying("answer", ATTRIBUTION_APPROVAL_STATUS=value),
            saying(record, ATTRIBUTION_APPROVAL_STATUS=None),
        )
        yield mutant(f"{value} by the answer", record, status, Id.APPROVAL_MISMATCH, change)
        change = saying(record, ATTRIBUTION_APPROVAL_STATUS=value)
        yield mutant(f"{value} by its own word", record, status, Id.APPROVAL_MISMATCH, change)
    arguments = attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH
    other = saying("answer", ATTRIBUTION_APPROVAL_CONTEXT_HASH=digest("other"))
    yield mutant("approved for other arguments", record, arguments, Id.APPROVAL_MISMATCH, other)
    tool = saying("answer", GEN_AI_TOOL_NAME="lookup_order")
    yield mutant("approved for another tool", record, attr.GEN_AI_TOOL_NAME, Id.APPROVAL_MISMATCH, tool)
    call = saying("answer", GEN_AI_TOOL_CALL_ID="call-77")
    yield mutant("approved for another call", record, attr.GEN_AI_TOOL_CALL_ID, Id.APPROVAL_MISMATCH, call)
    identifier, not_after = attr.ATTRIBUTION_APPROVAL_ID, attr.ATTRIBUTION_APPROVAL_NOT_AFTER
    in_time = Id.APPROVAL_NOT_IN_TIME
    # Without a decision that would be late too.
    alone = together(_unnamed(record), saying("approved decision", ATTRIBUTION_ACTION_ID="action-44"))
    alone = together(alone, saying("approved decision", GEN_AI_TOOL_CALL_ID="call-44"))
    early = together(alone, starting(record, -10, after="answer"))
    yield mutant("before the answer", record, identifier, in_time, early)

    def without_event(records: Records) -> None:
        records["answer"].events.clear()

    yield mutant("before the answer's end", record, identifier, in_time, together(early, without_event))
    for name, sayer in (("by the answer", "answer"), ("by its own word", record)):
        change = saying(sayer, ATTRIBUTION_APPROVAL_NOT_AFTER=at(-3 * 3600))
        yield mutant(f"too late, {name}", record, not_after, in_time, change)
    again = saying(
        "cached execution",
        GEN_AI_TOOL_NAME="refund_invoice",
        GEN_AI_TOOL_CALL_ID="call-4",
        ATTRIBUTION_ACTION_ARGUMENTS_HASH=digest("arguments 4"),
        ATTRIBUTION_ACTION_MODE="human_approved",
        ATTRIBUTION_APPROVAL_ID="approval-4",
    )
    yield mutant("used twice", "cached execution", identifier, Id.APPROVAL_REUSED, again)
    yield from _of_approvers(record)


def _of_approvers(record: str) -> Iterator[Mutant]:
    approver = attr.ATTRIBUTION_APPROVAL_APPROVER_ID
    for value in ("support-agent", "support-agent:1", SPIFFE_ID):
        change = saying(record, ATTRIBUTION_APPROVAL_APPROVER_ID=value)
        yield mutant(f"{record} approved by {value}", record, approver, Id.APPROVAL_BY_AGENT, change)
        change = saying("refusal", ATTRIBUTION_APPROVAL_APPROVER_ID=value)
        yield mutant(f"refused by {value}", "refusal", approver, Id.APPROVAL_BY_AGENT, change)

    def by_caller(records: Records) -> None:
        records["cached execution"].parent_id = b""
        records.say(
            "cached execution",
            ATTRIBUTION_APPROVAL_APPROVER_ID=AGENTS[0],
            ATTRIBUTION_DELEGATION_CHAIN=[ALICE, *AGENTS],
            GEN_AI_AGENT_NAME=AGENTS[-1],
            ATTRIBUTION_AGENT_INSTANCE_ID="search-agent:1",
        )

    yield mutant("by an agent up the chain", "cached execution", approver, Id.APPROVAL_BY_AGENT, by_caller)
    by_principal = saying(record, ATTRIBUTION_PRINCIPAL_TYPE="agent", ATTRIBUTION_APPROVAL_APPROVER_ID=ALICE)
    yield mutant("by a principal that is an agent", record, approver, Id.APPROVAL_BY_AGENT, by_principal)
    told = together(
        saying("answer", ATTRIBUTION_APPROVAL_APPROVER_ID="other-agent", GEN_AI_AGENT_NAME="another"),
        saying(
            record,
            ATTRIBUTION_APPROVAL_APPROVER_ID=None,
            ATTRIBUTION_AGENT_INSTANCE_ID="other-agent",
        ),
    )
    yield mutant("by the agent, as the answer says", record, approver, Id.APPROVAL_BY_AGENT, told)


def of_chains() -> Iterator[Mutant]:
    chain = attr.ATTRIBUTION_DELEGATION_CHAIN
    by_itself: tuple[tuple[str, Value], ...] = (
        ("begins with another", [BOB, AGENTS[0]]),
        ("does not end with the agent", [ALICE, AGENTS[0], "another"]),
        ("has nobody but the principal", [ALICE]),
    )
    for name, links in by_itself:
        change = saying("attested plan", ATTRIBUTION_DELEGATION_CHAIN=links)
        yield mutant(f"a chain that {name}", "attested plan", chain, Id.CHAIN_BROKEN, change)
    deepest = AGENTS[-1]
    beside_its_parent: tuple[tuple[str, Value], ...] = (
        ("leaves one out", [ALICE, AGENTS[0], deepest]),
        ("has another in the middle", [ALICE, "another", AGENTS[1], deepest]),
        ("has another in the place of one", [ALICE, AGENTS[0], "another", deepest]),
    )
    for name, links in beside_its_parent:
        change = saying("denied decision", ATTRIBUTION_DELEGATION_CHAIN=links)
        yield mutant(f"a chain that {name}", "denied decision", chain, Id.CHAIN_BROKEN, change)


def of_call_ids() -> Iterator[Mutant]:
    call = attr.GEN_AI_TOOL_CALL_ID
    again = saying("cached execution", GEN_AI_TOOL_CALL_ID="call-1")
    yield mutant("one call id, two actions", "cached execution", call, Id.CALL_ID_REUSED, again)
    other = saying("repeated execution", ATTRIBUTION_ACTION_ARGUMENTS_HASH=digest("other"))
    yield mutant("again with other arguments", "repeated execution", call, Id.CALL_ID_REUSED, other)
    tool = saying("repeated execution", GEN_AI_TOOL_NAME="refund_invoice")
    yield mutant("again with another tool", "repeated execution", call, Id.CALL_ID_REUSED, tool)
    untold = saying("repeated execution", ATTRIBUTION_ACTION_ARGUMENTS_HASH=None)
    yield mutant(
        "again, arguments not told",
        "repeated execution",
        call,
        (Id.CALL_ID_REUSED, Id.MISSING_RECOMMENDED),
        untold,
        "the digest is a recommended attribute",
    )

    def without_conversation(records: Records) -> None:
        for name in records.spans:
            records.say(name, GEN_AI_CONVERSATION_ID=None)
        again(records)

    yield mutant(
        "one call id in one trace",
        "cached execution",
        call,
        (Id.CALL_ID_REUSED, Id.MISSING_RECOMMENDED),
        without_conversation,
        "the conversation is a recommended attribute",
    )


MUTANTS: tuple[Mutant, ...] = (
    *of_credentials(),
    *of_modes(),
    *of_claims(),
    *of_secrets_and_otlp(),
    *of_decisions(),
    *of_approvals(),
    *of_chains(),
    *of_call_ids(),
)
