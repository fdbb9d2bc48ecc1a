"""The question findings: what the validator found, and how often by rule and control."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.registry import RULES
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.findings import QUESTION, Findings, FindingsParameters

Put = Callable[..., None]
WRONG = "undefined_value"


def ask(store: Store, **parameters: Any) -> Findings:
    return QUESTION.ask(store.reader(), FindingsParameters.model_validate(parameters))


def guessed(**more: Any) -> Sent:
    """A span whose action has a mode that nobody defined."""
    return Sent(attributes=attribution("execute_tool", ATTRIBUTION_ACTION_MODE="guessed", **more))


def test_what_a_finding_says(store: Store, put: Put) -> None:
    agent, span = Sent(attributes=attribution("invoke_agent")), guessed()
    span.trace_id, span.parent_id = agent.trace_id, agent.span_id
    put(agent, span)
    (item,) = ask(store, rule=[WRONG]).items
    assert (item.trace_id, item.span_id) == (span.trace_id.hex(), span.span_id.hex())
    assert (item.severity, item.attribute) == ("violation", attr.ATTRIBUTION_ACTION_MODE)
    assert item.message.startswith("attribution.action.mode is 'guessed'")
    assert (item.brief, item.controls) == (RULES[WRONG].brief, list(RULES[WRONG].controls))
    assert (item.agent.value, item.agent.evidence) == ("support-agent", EvidenceLevel.PROPAGATED)
    assert (item.tool, item.service, item.action_id) == ("lookup_order", "tests", "action-1")
    assert item.gaps == []


def test_the_newest_first_and_once_however_often_it_was_sent(store: Store, put: Put) -> None:
    spans = [guessed() for _ in range(3)]
    put(*spans)
    put(*spans)
    answer = ask(store, rule=[WRONG], group_by="rule")
    assert [item.span_id for item in answer.items] == [span.span_id.hex() for span in reversed(spans)]
    assert [(each.finding_count, each.span_count) for each in answer.counts] == [(3, 3)]


def test_filters(store: Store, put: Put) -> None:
    span, other = guessed(), Sent(attributes=attribution("execute_tool", ATTRIBUTION_PRINCIPAL_ID=""))
    put(span, other)
    assert {item.span_id for item in ask(store, severity=["violation"]).items} == {
        span.span_id.hex(),
        other.span_id.hex(),
    }
    assert {item.rule for item in ask(store, span=span.span_id.hex(), severity=["violation"]).items} == {
        WRONG
    }
    of_trace = ask(store, trace=other.trace_id.hex().upper())
    assert {item.span_id for item in of_trace.items} == {other.span_id.hex()}
    assert "missing_required" in {item.rule for item in of_trace.items}
    assert ask(store, trace=other.trace_id.hex(), rule=[WRONG]).items == []
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    assert ask(store, since=later).items == []
    assert ask(store, rule=[WRONG], until=later).items


def test_by_control(store: Store, put: Put) -> None:
    put(guessed(), Sent(attributes=attribution("execute_tool", ATTRIBUTION_PRINCIPAL_ID="")))
    answer = ask(store, control=["ISO-42001-A.6.2.8"])
    assert {item.rule for item in answer.items} == {"missing_required"}
    assert ask(store, control=["ISO-42001-A.6.2.8"], rule=[WRONG]).items == []
    nothing = ask(store, control=["OWASP-ASI99"])
    assert (nothing.items, nothing.gaps) == ([], ["no rule bears on OWASP-ASI99"])


def test_counts_by_rule_and_by_control(store: Store, put: Put) -> None:
    both = guessed(ATTRIBUTION_PRINCIPAL_ID="")
    put(both, guessed())
    by_rule = {each.name: each for each in ask(store, group_by="rule", limit=1).counts}
    assert (by_rule[WRONG].span_count, by_rule["missing_required"].span_count) == (2, 1)
    assert by_rule[WRONG].brief == RULES[WRONG].brief
    by_control = {each.name: each for each in ask(store, group_by="control").counts}
    # A span counts once for a control, however many of its rules it breaks.
    assert by_control["OWASP-T8"].span_count == 2
    assert set(by_control["OWASP-T8"].rules) >= {WRONG, "missing_required"}
    assert by_control["ISO-42001-A.6.2.8"].span_ids == [both.span_id.hex()]
    assert ask(store).counts == []


def test_a_finding_whose_span_is_gone(store: Store, opened: tuple[Store, Any], put: Put) -> None:
    put(guessed())
    opened[1].command("TRUNCATE TABLE whodid.spans")
    (item,) = ask(store, rule=[WRONG]).items
    assert (item.agent.evidence, item.service) == (EvidenceLevel.MISSING, None)
    assert item.gaps == ["the span that it is about is not in the store"]


def test_pages_hold_every_finding_once(store: Store, put: Put) -> None:
    spans = [guessed() for _ in range(7)]
    for span in spans:
        span.start_ns = spans[0].start_ns
    put(*spans)
    put(*spans[:4])
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(store, limit=2, cursor=cursor, rule=[WRONG])
        found += [item.span_id for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(found) == sorted(span.span_id.hex() for span in spans)


@pytest.mark.parametrize("wrong", [{"trace": "abc"}, {"span": "x" * 16}, {"rule": ["nothing"]}])
def test_what_is_no_id_and_no_rule(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FindingsParameters.model_validate(wrong)


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    put(guessed())
    asked = FindingsParameters.model_validate({"group_by": "control"})
    answer = QUESTION.ask(store.reader("another"), asked)
    assert (answer.items, answer.counts) == ([], [])
