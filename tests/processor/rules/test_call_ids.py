"""Whose call ids have to differ, and whose need not."""

from __future__ import annotations

from tests.processor.rules.records import valid, violations
from whodid.semconv.values import FindingRule as Id


def test_each_conversation_counts_for_itself() -> None:
    records = valid()
    records.say("cached execution", GEN_AI_TOOL_CALL_ID="call-1", GEN_AI_CONVERSATION_ID="conversation-2")
    assert violations(records) == set()


def test_without_a_conversation_each_trace_counts_for_itself() -> None:
    records = valid()
    for name in records.spans:
        records.say(name, GEN_AI_CONVERSATION_ID=None)
    records.say("cached execution", GEN_AI_TOOL_CALL_ID="call-1")
    records["cached execution"].trace_id = bytes(range(16))
    assert violations(records) == set()
    records["cached execution"].trace_id = records.trace_id
    assert {each.rule for each in violations(records)} == {Id.CALL_ID_REUSED}


def test_a_call_taken_up_again_may_be_told_by_its_mcp_server_by_another_name() -> None:
    records = valid()
    records.say("repeated execution", GEN_AI_TOOL_NAME="server_s_own_name", MCP_METHOD_NAME="tools/call")
    assert violations(records) == set()
