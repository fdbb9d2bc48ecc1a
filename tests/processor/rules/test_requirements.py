"""Required, conditional, recommended: by what a span says, never by its name."""

from __future__ import annotations

import pytest

from tests.processor.rules.records import Found, Records, valid, what, why
from tests.spans import Sent, Value, request
from whodid.processor import pipeline
from whodid.processor.batch import Severity
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule as Id


def rules_of(*spans: Sent, severity: Severity = Severity.VIOLATION) -> set[tuple[str, str]]:
    rows = pipeline.run([request(*spans)], severity=severity).findings.to_pylist()
    return {(row["rule"], row["attribute"]) for row in rows}


def message(records: Records, record: str, attribute: str) -> str:
    found = [each for each in records.find() if (each.record, each.attribute) == (record, attribute)]
    assert len(found) == 1, found
    return found[0].message


def test_a_span_s_name_is_not_looked_at() -> None:
    assert rules_of(Sent(name="execute_tool search", attributes={"http.request.method": "GET"})) == set()


def test_an_operation_that_nobody_knows_has_no_demands() -> None:
    assert rules_of(Sent(attributes={attr.GEN_AI_OPERATION_NAME: "dream"})) == set()


def test_the_span_s_kind_is_part_of_a_condition() -> None:
    call: dict[str, Value] = {attr.MCP_METHOD_NAME: "tools/call"}
    records = Records()
    records.add("inside", call)
    assert records.find(Severity.VIOLATION) == set()
    records["inside"].kind = valid()["mcp client"].kind
    rules = {(found.rule, found.attribute) for found in records.find(Severity.VIOLATION)}
    assert (Id.MISSING_CONDITIONAL, attr.ATTRIBUTION_ACTION_ID) in rules


def test_a_condition_that_does_not_hold_asks_for_nothing() -> None:
    records = valid()
    records.say("mcp client", MCP_METHOD_NAME="ping", ATTRIBUTION_ACTION_ID=None)
    assert not [each for each in records.find(Severity.VIOLATION) if each.record == "mcp client"]


def test_what_a_dialect_says_is_said() -> None:
    said = why() | what(1) | {"openinference.span.kind": "TOOL", "tool.name": "search"}
    del said[attr.GEN_AI_TOOL_NAME]
    assert rules_of(Sent(attributes=said)) == set()


def test_a_value_of_another_type_is_not_missing() -> None:
    records = valid()
    records.say("plan", ATTRIBUTION_PRINCIPAL_ID=7)
    assert {each.rule for each in records.find(Severity.VIOLATION)} == {Id.TYPE_MISMATCH}


@pytest.mark.parametrize(
    ("severity", "found"),
    [(Severity.VIOLATION, False), (Severity.IMPROVEMENT, True), (Severity.INFORMATION, True)],
)
def test_milder_findings_are_for_who_asks(severity: Severity, found: bool) -> None:
    rules = {rule for rule, _ in rules_of(Sent(attributes=valid()["plan"].attributes), severity=severity)}
    assert (Id.MISSING_RECOMMENDED in rules) is found


def test_the_messages_say_what_is_expected_and_when() -> None:
    records = valid()
    records.say("approved execution", ATTRIBUTION_APPROVAL_ID=None)
    records.say("plan", ATTRIBUTION_TASK_ID=None)
    records.say("chat", ATTRIBUTION_CREDENTIAL_ISSUER=None)
    assert message(records, "plan", attr.ATTRIBUTION_TASK_ID) == (
        "attribution.task.id is missing or empty; plan requires it"
    )
    assert message(records, "approved execution", attr.ATTRIBUTION_APPROVAL_ID) == (
        "attribution.approval.id is missing or empty; execute_tool requires it "
        'where attribution.action.mode == "human_approved"'
    )
    assert message(records, "chat", attr.ATTRIBUTION_CREDENTIAL_ISSUER) == (
        "attribution.credential.issuer is missing or empty; chat recommends it"
    )


def test_what_is_opt_in_is_never_missed() -> None:
    assert attr.USER_ID not in {each.attribute for each in valid().find()}


def test_two_operations_in_one_span_are_both_asked_for() -> None:
    records = Records()
    both: dict[str, Value] = {attr.GEN_AI_OPERATION_NAME: "execute_tool", attr.MCP_METHOD_NAME: "tools/call"}
    records.add("both", why() | both, kind=valid()["mcp client"].kind)
    found = records.find(Severity.VIOLATION)
    about = attr.ATTRIBUTION_ACTION_ID
    assert {Found("both", rule, about, "") for rule in (Id.MISSING_REQUIRED, Id.MISSING_CONDITIONAL)} <= found


def test_where_nobody_is_named_that_is_one_finding() -> None:
    said = why() | what(1) | {attr.GEN_AI_OPERATION_NAME: "execute_tool"}
    unnamed = {name: value for name, value in said.items() if not _of_somebody(name)}
    records = Records()
    records.add("nobody", unnamed)
    records.add("somebody", {**unnamed, attr.ATTRIBUTION_INITIATOR_ID: "alice"})
    found = [(each.record, each.attribute) for each in records.find(Severity.VIOLATION)]
    assert [each for each in found if each[0] == "nobody"] == [("nobody", attr.ATTRIBUTION_PRINCIPAL_ID)]
    assert {attribute for record, attribute in found if record == "somebody"} == {
        attr.ATTRIBUTION_PRINCIPAL_ID,
        attr.ATTRIBUTION_PRINCIPAL_TYPE,
        attr.ATTRIBUTION_INITIATOR_TYPE,
        attr.ATTRIBUTION_DELEGATION_CHAIN,
    }
    assert message(records, "nobody", attr.ATTRIBUTION_PRINCIPAL_ID) == (
        "nobody is named: attribution.initiator.type, attribution.initiator.id, attribution.principal.type "
        "and attribution.principal.id are missing or empty; execute_tool requires them"
    )


def _of_somebody(name: str) -> bool:
    return name.startswith(("attribution.initiator.", "attribution.principal.", "attribution.delegation."))
