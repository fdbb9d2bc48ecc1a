"""The stages between decoding and the store: normalise, enrich, validate, redact, seal."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest

from tests.spans import Sent, Value, attribution, request
from whodid.processor import pipeline
from whodid.processor.batch import Batch
from whodid.processor.stages.decode import decode
from whodid.processor.stages.normalise import normalise
from whodid.semconv import attributes as attr
from whodid.store import schema


def stored(*spans: Sent) -> list[dict[str, Any]]:
    return pipeline.run([request(*spans)]).spans.to_pylist()


def findings(*spans: Sent) -> list[tuple[str, str]]:
    found = pipeline.run([request(*spans)]).findings.to_pylist()
    return [(finding["rule"], finding["attribute"]) for finding in found]


def column(batch: Batch, name: str) -> list[Any]:
    return batch.columns[name].to_pylist()


class TestNormalise:
    def test_openinference_gets_canonical_names_and_keeps_its_own(self) -> None:
        tool: dict[str, Value] = {
            "openinference.span.kind": "TOOL",
            "tool.name": "search",
            "input.value": "{}",
        }
        row = stored(Sent(attributes=tool))[0]
        assert row["gen_ai_operation_name"] == "execute_tool"
        assert row["gen_ai_tool_name"] == "search"
        assert row["dialect"] == "openinference"
        assert dict(row["attributes"]) == {**tool, attr.GEN_AI_TOOL_CALL_ARGUMENTS: "{}"}

    def test_what_is_said_canonically_is_never_replaced(self) -> None:
        said: dict[str, Value] = {
            "openinference.span.kind": "TOOL",
            "tool.name": "theirs",
            attr.GEN_AI_TOOL_NAME: "ours",
            "input.value": "theirs",
            attr.GEN_AI_TOOL_CALL_ARGUMENTS: "ours",
        }
        row = stored(Sent(attributes=said))[0]
        assert row["gen_ai_tool_name"] == "ours"
        assert dict(row["attributes"])[attr.GEN_AI_TOOL_CALL_ARGUMENTS] == "ours"

    def test_a_dialect_speaks_for_its_own_spans_only(self) -> None:
        foreign: dict[str, Value] = {"tool.name": "search", "input.value": "x"}
        kind: dict[str, Value] = {"openinference.span.kind": "CHAIN"}
        chain, other = stored(Sent(attributes=foreign | kind), Sent(attributes=foreign))
        assert (chain["gen_ai_tool_name"], other["gen_ai_tool_name"]) == ("search", "")
        assert attr.GEN_AI_TOOL_CALL_ARGUMENTS not in dict(chain["attributes"])

    def test_an_unknown_kind_gets_no_operation(self) -> None:
        row = stored(Sent(attributes={"openinference.span.kind": "RERANKER"}))[0]
        assert (row["gen_ai_operation_name"], row["dialect"]) == ("", "openinference")

    def test_openllmetry(self) -> None:
        said: dict[str, Value] = {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "search",
            "traceloop.entity.input": "in",
            "traceloop.association.properties.user_id": "u1",
        }
        row = stored(Sent(attributes=said))[0]
        assert row["gen_ai_operation_name"] == "execute_tool"
        assert row["gen_ai_tool_name"] == "search"
        assert row["user_id"] == "u1"
        assert row["attribution_principal_id"] == ""  # a user id in metadata is no principal

    def test_metadata_that_is_no_json_is_left_alone(self) -> None:
        said: dict[str, Value] = {"openinference.span.kind": "AGENT", "metadata": "{oops"}
        assert stored(Sent(attributes=said))[0]["gen_ai_agent_name"] == ""

    def test_integers_and_arrays_get_columns_of_their_type(self) -> None:
        said: dict[str, Value] = {
            "gen_ai.usage.prompt_tokens": 7,
            attr.ATTRIBUTION_DELEGATION_CHAIN: ["a", "b"],
        }
        batch = normalise(decode([request(Sent(attributes=said), Sent())]))
        assert column(batch, attr.GEN_AI_USAGE_INPUT_TOKENS) == [7, None]
        assert column(batch, attr.ATTRIBUTION_DELEGATION_CHAIN) == [["a", "b"], None]


class TestEnrich:
    def test_a_span_that_says_nothing_has_no_evidence(self) -> None:
        silent, speaking = stored(Sent(), Sent(attributes={attr.ATTRIBUTION_TASK_ID: "t"}))
        assert silent["attribution_evidence_level"] == "missing"
        assert speaking["attribution_evidence_level"] == "self_asserted"

    def test_a_claimed_level_is_set_aside(self) -> None:
        span = Sent(attributes={attr.ATTRIBUTION_EVIDENCE_LEVEL: "verified"})
        row = stored(span)[0]
        assert row["attribution_evidence_level"] == "missing"
        assert dict(row["attributes"]) == {attr.ATTRIBUTION_EVIDENCE_LEVEL: "verified"}
        assert findings(span) == [("evidence_claimed", attr.ATTRIBUTION_EVIDENCE_LEVEL)]

    def test_a_row_does_not_depend_on_its_neighbours(self) -> None:
        child = Sent(attributes=attribution("execute_tool"))
        parent = Sent(attributes=attribution("invoke_agent"), trace_id=child.trace_id, span_id=b"12345678")
        child.parent_id = parent.span_id
        assert stored(parent, child)[1] == stored(child)[0]


class TestValidate:
    @pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "evaluate_policy"])
    def test_a_whole_record_has_no_finding(self, operation: str) -> None:
        assert findings(Sent(attributes=attribution(operation))) == []

    @pytest.mark.parametrize("name", list(attribution("execute_tool")))
    def test_a_missing_attribute_is_found(self, name: str) -> None:
        said = attribution("execute_tool")
        del said[name]
        required = name not in (attr.GEN_AI_OPERATION_NAME, attr.GEN_AI_TOOL_CALL_ID)
        assert findings(Sent(attributes=said)) == ([("missing_required", name)] if required else [])

    def test_an_empty_value_is_missing(self) -> None:
        said = attribution("execute_tool", ATTRIBUTION_PRINCIPAL_ID="")
        assert findings(Sent(attributes=said)) == [("missing_required", attr.ATTRIBUTION_PRINCIPAL_ID)]

    def test_a_wrong_type_is_found_and_the_value_kept(self) -> None:
        said = attribution("execute_tool", ATTRIBUTION_TASK_ID=5, ATTRIBUTION_DELEGATION_CHAIN=["a", 1])
        assert set(findings(Sent(attributes=said))) == {
            ("type_mismatch", attr.ATTRIBUTION_TASK_ID),
            ("type_mismatch", attr.ATTRIBUTION_DELEGATION_CHAIN),
        }
        kept = dict(stored(Sent(attributes=said))[0]["attributes_other"])
        assert kept == {attr.ATTRIBUTION_TASK_ID: "5", attr.ATTRIBUTION_DELEGATION_CHAIN: '["a",1]'}

    def test_a_value_that_nobody_defined_is_found_and_kept(self) -> None:
        span = Sent(attributes=attribution("execute_tool", ATTRIBUTION_ACTION_MODE="guessed"))
        assert findings(span) == [("undefined_value", attr.ATTRIBUTION_ACTION_MODE)]
        assert stored(span)[0]["attribution_action_mode"] == "guessed"

    def test_spans_of_other_kinds_are_left_alone(self) -> None:
        assert findings(Sent(attributes={"http.request.method": "GET"})) == []


class TestRedact:
    SECRETS = (
        "sk-proj-abcdefghijklmnopqrstuv",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "xoxb-1234567890-abc",
        "AIza" + "b" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0abc.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    )

    @pytest.mark.parametrize("secret", SECRETS)
    def test_a_secret_is_nowhere_in_the_row(self, secret: str) -> None:
        said = attribution(
            "execute_tool", ATTRIBUTION_CREDENTIAL_ID=secret, ATTRIBUTION_CREDENTIAL_SCOPES=[secret]
        )
        said |= {"app.header": f"Bearer {secret}!", "app.nested": {"k": [secret]}}
        span = Sent(name=f"call {secret}", attributes=said, events={"e": {"k": secret, "l": [secret]}})
        sealed = pipeline.run([request(span)])
        text = str(sealed.spans.to_pylist()) + str(sealed.findings.to_pylist())
        assert secret.split("\n")[0] not in text
        assert "Bearer [redacted]!" in text
        reported = {name for rule, name in findings(span) if rule == "secret_redacted"}
        assert reported == {
            "app.header",
            "app.nested",
            "name",
            attr.ATTRIBUTION_CREDENTIAL_ID,
            attr.ATTRIBUTION_CREDENTIAL_SCOPES,
        }

    def test_what_is_no_secret_is_left_alone(self) -> None:
        said: dict[str, Value] = {"a": "sk-short", "b": "AKIA", "c": "sha256:9f86d081884c7d65"}
        assert dict(stored(Sent(attributes=said))[0]["attributes"]) == said

    @pytest.mark.parametrize("secret", SECRETS)
    def test_the_rows_around_a_secret_stay_as_they_are(self, secret: str) -> None:
        ids = ["github-token", secret, "sky", "gitlab-key"]
        rows = stored(
            *(Sent(attributes=attribution("execute_tool", ATTRIBUTION_CREDENTIAL_ID=each)) for each in ids)
        )
        found = [row["attribution_credential_id"] for row in rows]
        assert found == ["github-token", "[redacted]", "sky", "gitlab-key"]


class TestSeal:
    def test_the_tables_have_the_store_s_columns(self) -> None:
        sealed = pipeline.run([request(Sent())])
        assert tuple(sealed.spans.column_names) == schema.span_columns()
        assert tuple(sealed.findings.column_names) == schema.finding_columns()

    @pytest.mark.parametrize("days_off", [-4000, -30, 3, 20_000])
    def test_an_implausible_time_is_kept_under_today(self, days_off: int) -> None:
        start_ns = time.time_ns() + days_off * 86_400 * 1_000_000_000
        span = Sent(start_ns=start_ns)
        row = stored(span)[0]
        assert row["day"] == datetime.datetime.now(datetime.UTC).date()
        assert row["start_time"].value == start_ns
        assert findings(span) == [("time_outside_window", "start_time")]

    def test_a_time_beyond_the_last_nanosecond_is_cut(self) -> None:
        span = Sent()
        span.start_ns = 2**64 - 2_000_000
        assert stored(span)[0]["start_time"].value == 2**63 - 1

    def test_the_same_request_gives_the_same_bytes(self) -> None:
        body = request(*(Sent(attributes=attribution("execute_tool")) for _ in range(50)))
        assert pipeline.run([body]).spans.equals(pipeline.run([body]).spans)
