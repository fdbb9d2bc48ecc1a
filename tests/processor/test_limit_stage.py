"""What is beyond a limit inside a request: cut with a finding, or refused whole; attribution never is."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.spans import Sent, Value, attribution, request
from whodid.processor import pipeline
from whodid.processor.forwarding import encode
from whodid.processor.settings import DEFAULT_LIMITS, LimitSettings
from whodid.processor.stages.decode import MalformedRequestError, TooManySpansError, check
from whodid.semconv import attributes as attr

FEW = LimitSettings(max_attributes=10)  # pyright: ignore[reportCallIssue]
SHORT = LimitSettings(max_value_bytes=256)  # pyright: ignore[reportCallIssue]


def sealed(limits: LimitSettings, *spans: Sent, **around: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """The rows, and the findings of the limits: the row's number and the attribute."""
    tables = pipeline.run([request(*spans, **around)], limits=limits)
    rows = tables.spans.to_pylist()
    numbers = {row["span_id"]: number for number, row in enumerate(rows)}
    found = [each for each in tables.findings.to_pylist() if each["rule"] == "beyond_limit"]
    return rows, sorted((numbers[each["span_id"]], each["attribute"]) for each in found)


class TestAttributes:
    def test_the_last_by_name_are_cut_and_counted(self) -> None:
        many: dict[str, Value] = {f"app.{number:02}": number for number in range(12)}
        few: dict[str, Value] = {f"app.{number:02}": "x" for number in range(10)}
        rows, found = sealed(FEW, Sent(attributes=few), Sent(attributes=many), Sent())
        assert found == [(1, "attributes")]
        assert dict(rows[0]["attributes"]) == few
        assert [name for name, _ in rows[1]["attributes_other"]] == [
            f"app.{number:02}" for number in range(10)
        ]
        assert [row["dropped_attributes_count"] for row in rows] == [0, 2, 0]

    def test_what_the_conventions_know_stays(self) -> None:
        known = attribution("execute_tool") | {
            attr.GEN_AI_TOOL_CALL_ARGUMENTS: "{}",
            attr.ATTRIBUTION_ACTION_MODE: "autonomous",
        }
        assert len(known) > FEW.max_attributes / 2
        many: dict[str, Value] = {f"a.{number:03}": "x" for number in range(500)}
        plain, _ = sealed(DEFAULT_LIMITS, Sent(attributes=known))
        rows, found = sealed(FEW, Sent(attributes=many | known))
        assert found == [(0, "attributes")]
        said = {name: plain[0][name] for name in plain[0] if name.startswith(("attribution_", "gen_ai_"))}
        assert {name: rows[0][name] for name in said} == said
        assert dict(rows[0]["attributes"]).items() >= dict(plain[0]["attributes"]).items()
        assert rows[0]["dropped_attributes_count"] == 500 - max(FEW.max_attributes - len(known), 0)

    def test_a_known_name_over_and_over_is_no_way_round(self) -> None:
        message = ExportTraceServiceRequest.FromString(request(Sent()))
        span = message.resource_spans[0].scope_spans[0].spans[0]
        for number in range(50):
            span.attributes.add(key="gen_ai.prompt.name").value.string_value = str(number)
            span.attributes.add(key=attr.GEN_AI_TOOL_NAME).value.string_value = str(number)
        row = pipeline.run([message.SerializeToString()], limits=FEW).spans.to_pylist()[0]
        assert row["gen_ai_tool_name"] == "49"
        assert len(row["attributes"]) + len(row["attributes_other"]) <= FEW.max_attributes + 1
        assert row["dropped_attributes_count"] >= 100 - FEW.max_attributes - 1


class TestValues:
    def test_a_text_is_cut_between_characters(self) -> None:
        text = "ab" + "ä" * 200
        rows, found = sealed(SHORT, Sent(), Sent(attributes={"app.text": text, "app.fits": "x" * 256}))
        assert found == [(1, "app.text")]
        assert dict(rows[1]["attributes"]) == {"app.text": text[: 2 + 127], "app.fits": "x" * 256}

    @pytest.mark.parametrize("value", [["x" * 300], {"k": "x" * 300}, b"x" * 300])
    def test_what_is_json_stays_json(self, value: Value) -> None:
        whole, _ = sealed(DEFAULT_LIMITS, Sent(attributes={"app": value}))
        rows, found = sealed(SHORT, Sent(attributes={"app": value}))
        assert found == [(0, "app")]
        beginning = dict(whole[0]["attributes_other"])["app"][:256]
        assert json.loads(dict(rows[0]["attributes_other"])["app"]) == {"$cut": beginning}

    def test_what_attributes_an_action_stays_whole(self) -> None:
        chain: list[Value] = [f"agent-{number:04}" for number in range(100)]
        said: dict[str, Value] = attribution("execute_tool")
        said |= {
            attr.ATTRIBUTION_DELEGATION_CHAIN: chain,
            attr.ATTRIBUTION_PRINCIPAL_ID: "p" * 1000,
            attr.ATTRIBUTION_POLICY_DECISION_REASON: "r" * 1000,
        }
        whole, _ = sealed(DEFAULT_LIMITS, Sent(attributes=said))
        rows, found = sealed(SHORT, Sent(attributes=said))
        assert found == []
        assert rows[0]["attribution_principal_id"] == "p" * 1000
        for name in ("attributes", "attributes_other", "attribution_delegation_chain"):
            assert rows[0][name] == whole[0][name]

    def test_everything_around_the_attributes(self) -> None:
        long = Sent(
            name="n" * 300, events={"first": {}, "e": {"a": "x" * 300, "l": ["y" * 300], "s": "short"}}
        )
        rows, found = sealed(SHORT, Sent(events={"e": {"a": "b"}}), long, resource={"r": "z" * 300})
        assert found == [
            (0, "resource_attributes"),
            (1, "events.attributes"),
            (1, "events.attributes_other"),
            (1, "name"),
            (1, "resource_attributes"),
        ]
        assert rows[1]["name"] == "n" * 256
        assert [dict(each) for each in rows[0]["events.attributes"]] == [{"a": "b"}]
        assert [dict(each) for each in rows[1]["events.attributes"]] == [{}, {"a": "x" * 256, "s": "short"}]
        cut = '["' + "y" * 254
        assert json.loads(dict(rows[1]["events.attributes_other"][1])["l"]) == {"$cut": cut}
        assert json.loads(rows[1]["resource"])["r"] == "z" * 256

    def test_no_half_of_a_secret_is_left_at_the_end(self) -> None:
        secret = "ghp_" + "a" * 60
        rows, _ = sealed(SHORT, Sent(attributes={"app.text": "x" * 240 + secret}))
        assert dict(rows[0]["attributes"])["app.text"] == "x" * 240 + "[redacted]"

    def test_what_is_cut_is_forwarded_so(self) -> None:
        body = request(Sent(attributes={"app": ["x" * 300], "text": "y" * 300}))
        forwarded = next(encode.requests(pipeline.enriched([body], limits=SHORT)))
        message = ExportTraceServiceRequest.FromString(forwarded)
        span = message.resource_spans[0].scope_spans[0].spans[0]
        sent = {each.key: each.value for each in span.attributes}
        assert sent["text"].string_value == "y" * 256
        assert sent["app"].kvlist_value.values[0].key == "$cut"


class TestSpans:
    def test_one_more_is_refused(self) -> None:
        check(request(*(Sent() for _ in range(5))), max_spans=5)
        with pytest.raises(TooManySpansError, match="more than 5 spans"):
            check(request(*(Sent() for _ in range(6))), max_spans=5)

    def test_events_and_links_too(self) -> None:
        events = Sent(events={f"e{number}": {} for number in range(6)})
        links = Sent(links=[(b"t" * 16, b"s" * 8)] * 6)
        for span in (events, links):
            check(request(span), max_spans=6)
            with pytest.raises(TooManySpansError):
                check(request(span), max_spans=5)

    def test_what_only_protobuf_reads_is_counted_too(self) -> None:
        group = b"\xfb\x07\x08\x01\xfc\x07"  # an unknown group, which the compiled walk declines
        body = group + request(*(Sent() for _ in range(6)))
        check(body, max_spans=6)
        with pytest.raises(TooManySpansError):
            check(body, max_spans=5)

    def test_it_is_refused_as_what_must_not_be_sent_again(self) -> None:
        assert issubclass(TooManySpansError, MalformedRequestError)
        assert DEFAULT_LIMITS.max_spans == 100_000


class TestWindow:
    @pytest.mark.parametrize(("days_off", "kept"), [(-20, True), (-22, False), (3, True), (5, False)])
    def test_days_back_and_ahead_are_settings(self, days_off: int, kept: bool) -> None:
        limits = LimitSettings(days_back=21, days_ahead=4)  # pyright: ignore[reportCallIssue]
        start_ns = time.time_ns() + days_off * 86_400 * 1_000_000_000
        tables = pipeline.run([request(Sent(start_ns=start_ns))], limits=limits)
        today = datetime.datetime.now(datetime.UTC).date()
        day = today + datetime.timedelta(days=days_off) if kept else today
        assert tables.spans.column("day").to_pylist() == [day]
        messages = [each["message"] for each in tables.findings.to_pylist()]
        assert [("more than 21 days before" in each, "more than 4 after" in each) for each in messages] == (
            [] if kept else [(True, True)]
        )


class TestCopies:
    """A resource is stored with each of its spans."""

    def body(self, span_count: int, resource_bytes: int) -> bytes:
        return request(*(Sent() for _ in range(span_count)), resource={"long": "x" * resource_bytes})

    def test_what_all_copies_take_together_is_told(self) -> None:
        one, ten = (check(self.body(count, 5_000)) for count in (1, 10))
        assert 5_000 < one < 5_200
        assert ten == 10 * one

    def test_each_resource_counts_for_its_own_spans(self) -> None:
        both = self.body(3, 1_000) + self.body(7, 20)
        assert check(both) == check(self.body(3, 1_000)) + check(self.body(7, 20))

    def test_more_than_the_limit_is_refused(self) -> None:
        body = self.body(100, 10_000)
        assert check(body, max_copied_bytes=2_000_000) > 1_000_000
        with pytest.raises(TooManySpansError, match="1000000 are allowed") as caught:
            check(body, max_copied_bytes=1_000_000)
        assert "limits.max_copied_bytes" in caught.value.hint

    def test_what_only_protobuf_s_parser_reads_counts_as_well(self) -> None:
        unusual = self.body(50, 10_000) + b"\x0b\x0c"  # an empty group, which no encoder writes
        with pytest.raises(TooManySpansError):
            check(unusual, max_copied_bytes=100_000)

    def test_nothing_is_nothing(self) -> None:
        assert check(b"", max_copied_bytes=1) == 0
