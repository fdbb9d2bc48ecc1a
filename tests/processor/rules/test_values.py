"""Types, enums and formats: what is right is left alone, and what is wrong is told within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.processor.rules.broken_values import BAD_FORMATS
from tests.processor.rules.records import Records, digest, valid, why
from tests.spans import Value, any_value
from whodid.processor import pipeline
from whodid.processor.arrow import pa
from whodid.processor.batch import Severity
from whodid.processor.rules import telling
from whodid.processor.rules.instants import read
from whodid.semconv import attributes as attr
from whodid.semconv import formats
from whodid.semconv.definitions import Format
from whodid.semconv.values import FindingRule as Id

BY_FORMAT = {
    Format.DIGEST: attr.ATTRIBUTION_TASK_OBJECTIVE_HASH,
    Format.RFC3339: attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER,
    Format.TRACE_ID: attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID,
    Format.SPAN_ID: attr.ATTRIBUTION_RESULT_ORIGIN_SPAN_ID,
}


def plans(attribute: str, values: list[Value]) -> Records:
    """A span for each value."""
    records = Records()
    for position, value in enumerate(values):
        said = why() | {attr.GEN_AI_OPERATION_NAME: "plan", attribute: value}
        records.add(str(position), said)
    return records


class TestTypes:
    @pytest.mark.parametrize(
        ("attribute", "value"),
        [
            (attr.USER_ROLES, ["admin", "user"]),
            (attr.USER_ROLES, []),
            (attr.GEN_AI_USAGE_INPUT_TOKENS, 2**62),
            (attr.GEN_AI_TOOL_CALL_ARGUMENTS, {"a": [1, {"b": None}]}),
            (attr.GEN_AI_TOOL_CALL_RESULT, "text"),
            (attr.ATTRIBUTION_CORRELATION_ID, None),
        ],
    )
    def test_what_is_right_is_left_alone(self, attribute: str, value: Value) -> None:
        assert plans(attribute, [value]).find(Severity.VIOLATION) == set()

    def test_a_list_that_comes_twice_is_two_lists(self) -> None:
        plan = valid()["plan"]
        span = plan.message()
        chain = plan.attributes[attr.ATTRIBUTION_DELEGATION_CHAIN]
        span.attributes.add(key=attr.ATTRIBUTION_DELEGATION_CHAIN, value=any_value(chain))
        request = ExportTraceServiceRequest()
        request.resource_spans.add().scope_spans.add().spans.append(span)
        assert pipeline.run([request.SerializeToString()]).findings.num_rows == 0

    def test_the_message_names_both_types(self) -> None:
        records = plans(attr.ATTRIBUTION_TASK_ID, [5, True, {"a": 1}])
        messages = {found.message for found in records.find(Severity.VIOLATION)}
        assert messages == {
            f"{attr.ATTRIBUTION_TASK_ID} is of type {word}; expected string"
            for word in ("int", "boolean", "map")
        }


class TestEnums:
    def test_the_message_quotes_what_was_found(self) -> None:
        records = plans(attr.ATTRIBUTION_PRINCIPAL_TYPE, ["robot"])
        (found,) = records.find(Severity.VIOLATION)
        assert found.message == (
            "attribution.principal.type is 'robot'; expected one of human, service, agent, organization"
        )

    def test_a_long_value_is_cut_and_a_secret_is_not_quoted(self) -> None:
        secret = "sk-proj-abcdefghijklmnopqrstuv"
        records = plans(attr.ATTRIBUTION_PRINCIPAL_TYPE, ["x" * 10_000, f"{'y' * 70}{secret}", "a\x1b[2Jb"])
        told = [each.message for each in records.find(Severity.VIOLATION) if each.rule is Id.UNDEFINED_VALUE]
        assert len(told) == 3
        assert all(len(text) < 250 for text in told)
        assert not [text for text in told if "sk-proj" in text or "\x1b" in text]

    def test_many_values_are_all_found_and_not_all_quoted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(telling, "MAX_MESSAGES", 3)
        records = plans(attr.ATTRIBUTION_PRINCIPAL_TYPE, [f"robot-{number}" for number in range(9)])
        found = records.find(Severity.VIOLATION)
        assert {each.record for each in found} == {str(number) for number in range(9)}
        assert len({each.message for each in found}) == 4

    def test_an_open_enum_takes_any_value(self) -> None:
        records = plans(attr.ATTRIBUTION_AGENT_IDENTITY_TYPE, ["mainframe_user"])
        assert records.find(Severity.VIOLATION) == set()
        assert Id.OPEN_VALUE in {each.rule for each in records.find()}


class TestFormats:
    @pytest.mark.parametrize(
        ("attribute", "value"),
        [
            (attr.ATTRIBUTION_TASK_OBJECTIVE_HASH, f"sha256:{'0' * 64}"),
            (attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID, f"{'0' * 31}1"),
            (attr.ATTRIBUTION_RESULT_ORIGIN_SPAN_ID, f"{'0' * 15}a"),
            (attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER, "9999-12-31T23:59:59Z"),
            (attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER, "2999-01-01T00:00:00.123456789Z"),
            (attr.ATTRIBUTION_AGENT_IDENTITY_ID, "spiffe://acme.example"),
            (attr.ATTRIBUTION_AGENT_IDENTITY_ID, "spiffe://acme_2.example/a/...b/c"),
        ],
    )
    def test_what_is_right_is_left_alone(self, attribute: str, value: str) -> None:
        assert plans(attribute, [value]).find(Severity.VIOLATION) == set()

    @pytest.mark.parametrize("format_", list(BY_FORMAT))
    def test_right_and_wrong_ones_together(self, format_: Format) -> None:
        right = {
            Format.DIGEST: digest("x"),
            Format.RFC3339: "2999-01-01T00:00:00Z",
            Format.TRACE_ID: "4bf92f3577b34da6a3ce929d0e0e4736",
            Format.SPAN_ID: "00f067aa0ba902b7",
        }[format_]
        wrong = BAD_FORMATS[format_]
        values: list[Value] = []
        for value in wrong:
            values += [right, value, None]
        found = plans(BY_FORMAT[format_], values).find(Severity.VIOLATION)
        assert {each.record for each in found} == {str(3 * position + 1) for position in range(len(wrong))}
        assert {each.rule for each in found} == {Id.INVALID_FORMAT}
        assert {value for value in wrong if any(repr(value) in each.message for each in found)} == set(wrong)

    def test_an_identity_of_another_kind_is_no_spiffe_id(self) -> None:
        records = plans(attr.ATTRIBUTION_AGENT_IDENTITY_ID, ["client-17"])
        records.say("0", ATTRIBUTION_AGENT_IDENTITY_TYPE="oauth_client")
        assert records.find(Severity.VIOLATION) == set()

    @settings(deadline=None, max_examples=60)  # each runs the whole pipeline
    @given(
        st.lists(
            st.one_of(
                st.from_regex(formats.PATTERNS[Format.DIGEST], fullmatch=True),
                st.text("sha256:0f", min_size=60, max_size=80),
                st.text(max_size=5),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_columns_are_judged_as_single_values_are(self, values: list[str]) -> None:
        records = plans(attr.ATTRIBUTION_TASK_OBJECTIVE_HASH, list(values))
        wrong = {
            str(position)
            for position, value in enumerate(values)
            if value and not formats.matches(Format.DIGEST, value)
        }
        assert {each.record for each in records.find(Severity.VIOLATION)} == wrong

    def test_times_are_read_with_and_without_a_fraction(self) -> None:
        texts = ["1970-01-01T00:00:01Z", "1970-01-01T00:00:01.5Z", "1970-01-01T00:00:01.123456789Z"]
        assert read(pa.array(texts)).to_pylist() == [1_000_000, 1_500_000, 1_123_456]
        assert read(pa.array(["1970-01-01T00:00:01Z", "1970-02-30T00:00:01Z"])).to_pylist() == [
            1_000_000,
            None,
        ]


def test_no_content_is_ever_quoted() -> None:
    content = "the customer's address is 1 High Street"
    records = Records()
    said = why() | {attr.GEN_AI_OPERATION_NAME: "plan"}
    wrong: dict[str, Value] = {
        attr.ATTRIBUTION_TASK_OBJECTIVE_TEXT: [content, 1],
        attr.GEN_AI_TOOL_CALL_ARGUMENTS: content,
        attr.ATTRIBUTION_POLICY_CONTEXT_VALUE: {"a": content},
        "attribution.task.objective.texts": content,
    }
    records.add("plan", said | wrong)
    found = records.find()
    assert Id.TYPE_MISMATCH in {each.rule for each in found}
    assert not [each for each in found if "High Street" in each.message]
