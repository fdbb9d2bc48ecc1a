"""An action in a few lines, for records in which something is said, missing or contradictory."""

from __future__ import annotations

from typing import Any

import pytest

from whodid.dashboards.pages.account import NOBODY, Line, account
from whodid.semconv.values import EvidenceLevel
from whodid.store.records import Answer, Finding, WhoRecord

SAID = Answer(value="said", evidence=EvidenceLevel.SELF_ASSERTED, spans=["1" * 16])
MISSING = Answer(value=None, evidence=EvidenceLevel.MISSING, spans=[])


PLAIN = ("findings", "approval__covers_action", "outcome__status")
"""What of a record is no answer with evidence."""


def answer(value: str | list[str] | None) -> Answer:
    return SAID.model_copy(update={"value": value}) if value is not None else MISSING


def record(**said: Any) -> WhoRecord:
    """A record in which only so much is said; names as in `decision__outcome`."""
    everything: dict[str, Any] = {
        "id": "action-1",
        "matched_by": "action_id",
        "action_id": "action-1",
        "trace_ids": [],
        "span_ids": [],
        "spans": [],
        "session": MISSING,
        "delegation_chain": MISSING,
        "mode": MISSING,
        "correlation_id": MISSING,
        "findings": [],
        "gaps": [],
        "actor": dict.fromkeys(("name", "instance", "identity"), MISSING),
        "initiator": {"type": MISSING, "id": MISSING},
        "principal": {"type": MISSING, "id": MISSING},
        "resource": {"type": MISSING, "id": MISSING},
        "task": dict.fromkeys(("id", "parent_id", "objective_hash"), MISSING),
        "tool": dict.fromkeys(("name", "call_id", "arguments_hash", "effect"), MISSING),
        "credential": dict.fromkeys(("id", "type", "issuer", "scopes", "not_after", "task_id"), MISSING),
        "decision": dict.fromkeys(
            ("id", "outcome", "enforcement", "rule", "reason", "policy", "policy_version", "engine"), MISSING
        )
        | {"context": None, "context_matches_hash": None},
        "approval": dict.fromkeys(("id", "status", "approver", "not_after"), MISSING)
        | {"covers_action": None},
        "outcome": {
            "status": "succeeded",
            "error_type": None,
            "started_at": None,
            "ended_at": None,
            "evidence": "missing",
            "spans": [],
        },
    }
    for name, value in said.items():
        part, _, inner = name.partition("__")
        new = value if name in PLAIN else answer(value)
        if inner:
            everything[part] = {**everything[part], inner: new}
        else:
            everything[part] = new
    return WhoRecord.model_validate(everything)


def by(lines: list[Line], who: str) -> Line:
    (line,) = [each for each in lines if each.by == who]
    return line


class TestBegin:
    def test_who_began_it_and_lent_the_authority_is_told_once(self) -> None:
        lines = account(
            record(
                initiator__id="alice", initiator__type="human", principal__id="alice", principal__type="human"
            )
        )
        line = by(lines, "human")
        assert (line.name, line.text) == ("alice", "began it, and lent the agent the authority for it")

    def test_another_one_s_authority_is_told_apart(self) -> None:
        lines = account(
            record(
                initiator__id="nightly",
                initiator__type="schedule",
                principal__id="acme",
                principal__type="organization",
            )
        )
        assert by(lines, "schedule").text == "began it"
        assert by(lines, "organization").text == "lent the agent the authority for it"

    def test_what_nobody_says_is_told_as_missing(self) -> None:
        texts = [line.text for line in account(record()) if line.by == NOBODY]
        assert "No span says who or what began it." in texts
        assert "No span says for whom it was done." in texts
        assert "No decision of a policy about it is recorded." in texts

    def test_a_kind_that_is_none_is_not_repeated(self) -> None:
        lines = account(record(initiator__id="alice", initiator__type="<b>"))
        assert by(lines, "unknown kind").name == "alice"

    def test_those_between_are_named(self) -> None:
        lines = account(
            record(delegation_chain=["alice", "support", "research", "mailer"], actor__name="mailer")
        )
        assert [line.name for line in lines if line.by == "agent"] == ["support → research", "mailer"]


class TestDecision:
    @pytest.mark.parametrize(
        ("enforcement", "text"),
        [
            ("allowed", "let it through"),
            ("blocked", "held it back"),
            ("monitored", "was asked, and its answer"),
        ],
    )
    def test_what_was_done_about_it(self, enforcement: str, text: str) -> None:
        lines = account(
            record(decision__outcome="deny", decision__enforcement=enforcement, decision__rule="r")
        )
        assert by(lines, "policy").text.startswith(text)

    def test_what_ran_though_it_was_held_back_is_doubtful(self) -> None:
        said = {"decision__outcome": "deny", "decision__enforcement": "blocked"}
        assert by(account(record(**said)), "policy").is_doubtful
        assert not by(account(record(**said, outcome__status="denied")), "policy").is_doubtful

    def test_an_outcome_that_is_none_is_a_span_s_text(self) -> None:
        line = by(account(record(decision__outcome="\u202emaybe")), "policy")
        assert line.reason == "\u202emaybe"  # shown as such: our own text never holds it
        assert "maybe" not in line.text


GRANTED = {"approval__id": "approval-1", "approval__status": "granted", "approval__approver": "bob"}


class TestApproval:
    @pytest.mark.parametrize(
        ("covers", "text", "is_doubtful"),
        [
            (True, "approved exactly this", False),
            (False, "approved something, but with other arguments than these", True),
            (None, "approved it; whether with these arguments is not recorded", False),
        ],
    )
    def test_whether_it_was_for_this(self, covers: bool | None, text: str, is_doubtful: bool) -> None:
        line = by(account(record(**GRANTED, approval__covers_action=covers)), "approver")
        assert (line.name, line.text, line.is_doubtful) == ("bob", text, is_doubtful)

    def test_an_agent_s_approval_is_no_human_s(self) -> None:
        wrong = Finding(
            span="1" * 16, rule="approval_by_agent", severity="violation", attribute="a", message="m"
        )
        lines = account(record(**GRANTED, approval__covers_action=True, findings=[wrong]))
        assert by(lines, "agent").is_doubtful

    def test_none_where_none_is_claimed(self) -> None:
        lines = account(record(mode="autonomous", actor__name="support"))
        assert not [line for line in lines if line.by == "approver"]
        assert by(lines, "agent").text == "did it by itself; it succeeded"

    def test_one_that_is_claimed_and_not_named(self) -> None:
        texts = [line.text for line in account(record(mode="human_approved", actor__name="support"))]
        assert "It says that it was approved, and names no approval." in texts

    def test_one_that_is_not_there(self) -> None:
        texts = [line.text for line in account(record(approval__id="approval-1"))]
        assert "It names an approval that is not in the store." in texts

    @pytest.mark.parametrize("status", ["refused", "requested", "expired", "dreamt"])
    def test_no_other_answer_reads_as_a_yes(self, status: str) -> None:
        said = {**GRANTED, "approval__status": status}
        line = by(account(record(**said, approval__covers_action=True)), "approver")
        assert "approved" not in line.text


class TestActed:
    def test_a_denied_action_was_tried(self) -> None:
        lines = account(record(mode="autonomous", actor__name="support", outcome__status="denied"))
        assert by(lines, "agent").text == "tried it by itself; it did not run: it was held back"

    def test_a_mode_that_is_not_said_is_not_guessed(self) -> None:
        line = by(account(record(actor__name="support")), "agent")
        assert line.text.startswith("acted; whether by itself is not recorded")

    def test_an_agent_without_a_name(self) -> None:
        assert account(record())[-1].by == NOBODY
