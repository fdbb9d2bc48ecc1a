"""`whodid check`: real files in every format, what is found in them, and files that are no such thing."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import trace_files
from tests.checked import BARE, MISTYPED, OLDER, SOUND, Write, found, run
from tests.running import environment
from tests.trace_files import COMPRESSIONS, as_json, encoded, frames, lines, zstd
from whodid.cli import findings
from whodid.processor.receivers import otlp_json
from whodid.processor.trace_files import MAX_PROBLEMS
from whodid.semconv.registry import RULES

STEERING = "\x1b]0;owned\x07\u202e\x9b2J"


def rules(report: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in report["findings"]}


FORMATS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "protobuf": lambda first, second: first + second,  # protobuf's own way to put two messages into one
    "json": lambda first, second: as_json(first + second),
    "jsonl": lines,
    "length-prefixed": frames,
}


LAYOUTS: list[Callable[[bytes], bytes]] = [
    lambda text: json.dumps(json.loads(text), indent=4).encode(),
    lambda text: json.dumps(json.loads(text), indent=0).encode(),
    lambda text: b"\n\n  " + text,
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text + b"\r\n\r\n",
]


class TestFormats:
    @pytest.mark.parametrize("compression", COMPRESSIONS)
    @pytest.mark.parametrize("name", FORMATS)
    def test_every_format_says_the_same(self, written: Write, name: str, compression: str) -> None:
        first, second = encoded(SOUND, BARE), encoded(MISTYPED)
        expected = found(written(first + second))
        report = found(written(COMPRESSIONS[compression](FORMATS[name](first, second))))
        assert report["files"][0] | {"file": ""} == {"file": "", "format": name, "spans": 3}
        assert {"missing_required", "type_mismatch"} <= rules(report)
        where = ("file", "line", "offset_bytes")
        for one, other in zip(report["findings"], expected["findings"], strict=True):
            assert {key: one[key] for key in one if key not in where} == {
                key: other[key] for key in other if key not in where
            }

    @pytest.mark.parametrize("name", FORMATS)
    def test_the_format_can_be_named(self, written: Write, name: str) -> None:
        path = written(FORMATS[name](encoded(BARE), encoded(SOUND)))
        assert found(path, "--format", name)["spans"] == 2
        other = next(each for each in FORMATS if each != name and {each, name} != {"json", "jsonl"})
        done = run(path, "--format", other)
        assert done.exit_code == 1
        assert "error: " in done.stderr

    def test_the_collectors_own_compression(self, written: Write) -> None:
        """`compression: zstd`: each message is compressed by itself, and has its length before it."""
        body = encoded(BARE)
        for message in (body, as_json(body)):
            report = found(written(frames(zstd(message), zstd(message))))
            assert report["files"][0]["format"] == "length-prefixed"
            assert report["spans"] == 2
            assert "missing_required" in rules(report)

    def test_a_line_of_a_collector(self, written: Write) -> None:
        """As the collector 0.13x writes it: empty ids and objects where the SDK leaves them out."""
        line = (
            '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]},'
            '"scopeSpans":[{"scope":{"name":"tests"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",'
            '"spanId":"eee19b7ec3c1b174","parentSpanId":"","flags":256,"name":"execute_tool","kind":1,'
            '"startTimeUnixNano":"1750000000000000000","endTimeUnixNano":"1750000000000000001","attributes":['
            '{"key":"gen_ai.operation.name","value":{"stringValue":"execute_tool"}},'
            '{"key":"gen_ai.usage.input_tokens","value":{"intValue":"12"}}],"status":{}}]}],'
            '"schemaUrl":"https://opentelemetry.io/schemas/1.37.0"}]}\n'
        )
        report = found(written(line.encode() * 2))
        assert report["spans"] == 2
        finding = report["findings"][0]
        assert finding["trace_id"] == "5b8efff798038103d269b633813fc60c"
        assert finding["span_id"] == "eee19b7ec3c1b174"
        assert finding["line"] == 1
        # The file is from long ago, and that is no fault of it.
        assert "time_outside_window" not in rules(report)

    @pytest.mark.parametrize(
        "change",
        LAYOUTS,
        ids=["indented", "unindented", "blanks before", "byte order mark", "blanks behind"],
    )
    def test_json_however_it_is_laid_out(self, written: Write, change: Callable[[bytes], bytes]) -> None:
        path = written(change(as_json(encoded(BARE))))
        assert found(path)["files"][0] == {"file": str(path), "format": "json", "spans": 1}

    def test_lines_that_end_as_on_windows(self, written: Write) -> None:
        text = lines(encoded(BARE), encoded(BARE)).replace(b"\n", b"\r\n\r\n")
        assert {each["line"] for each in found(written(text))["findings"]} == {1, 3}

    def test_protobuf_that_looks_like_json(self, written: Write) -> None:
        """A request whose first message has 123 bytes begins with a line feed and a brace."""
        message = ExportTraceServiceRequest()
        spans = message.resource_spans.add()
        spans.scope_spans.add().spans.add(name="x", trace_id=b"t" * 16, span_id=b"s" * 8)
        spans.schema_url = "u" * (123 - spans.ByteSize() - 2)
        body = message.SerializeToString()
        assert body.startswith(b"\n{")
        assert found(written(body))["files"][0]["format"] == "protobuf"


class TestSeveralFiles:
    def test_a_finding_names_its_file_and_line(self, written: Write) -> None:
        first = written(lines(encoded(SOUND), encoded(SOUND)))
        second = written(lines(encoded(SOUND), encoded(BARE)))
        third = written(frames(encoded(SOUND), encoded(MISTYPED)))
        report = found(first, second, third)
        assert report["spans"] == 6
        bare = [each for each in report["findings"] if each["span_name"] == BARE[0]]
        assert {(each["file"], each["line"]) for each in bare} == {(str(second), 2)}
        offset = len(frames(third.read_bytes()[4 : 4 + int.from_bytes(third.read_bytes()[:4], "big")]))
        mistyped = [each for each in report["findings"] if each["span_name"] == MISTYPED[0]]
        assert {(each["file"], each["offset_bytes"]) for each in mistyped} == {(str(third), offset)}
        assert f"{second}:2  {BARE[0]}" in run(second).stdout

    def test_one_that_cannot_be_read_does_not_hide_the_others(self, written: Write, tmp_path: Path) -> None:
        done = run(tmp_path / "gone", written(encoded(BARE)), tmp_path)
        assert done.exit_code == 3
        assert BARE[0] in done.stdout
        assert f"error: {tmp_path / 'gone'}: it cannot be read: No such file or directory\n" in done.stderr
        assert f"error: {tmp_path}: it cannot be read: Is a directory\n" in done.stderr
        assert done.stderr.count("\n\nhint: ") == 1

    def test_one_without_spans_is_told(self, written: Write) -> None:
        empty = written(b"{}")
        done = run(empty, written(encoded(SOUND)))
        assert (done.exit_code, done.stdout) == (0, "no violation in 1 span\n")
        assert done.stderr.startswith(f"warning: {empty}: there is no span in it\n\nhint: ")

    def test_a_file_named_twice_is_read_once(self, written: Write) -> None:
        path = written(encoded(BARE))
        assert found(path, path)["spans"] == 1

    def test_a_trace_may_be_spread_over_files(self, written: Write) -> None:
        """Two spans with one id, in two files: a finding about it is told once, in the first file."""
        path, copy = written(lines(encoded(MISTYPED))), written(b"")
        copy.write_bytes(path.read_bytes())
        report = found(path, copy)
        assert report["spans"] == 2
        assert {each["file"] for each in report["findings"]} == {str(path)}


class TestExitCodes:
    @pytest.mark.parametrize(
        ("fail_on", "exit_code"), [("violation", 3), ("improvement", 3), ("information", 3), ("never", 0)]
    )
    def test_a_violation(self, written: Write, fail_on: str, exit_code: int) -> None:
        assert run(written(encoded(BARE)), "--fail-on", fail_on).exit_code == exit_code

    def test_the_default_is_violation(self, written: Write) -> None:
        assert run(written(encoded(BARE))).exit_code == 3

    @pytest.mark.parametrize(
        ("fail_on", "what"),
        [
            ("violation", "violation"),
            ("improvement", "violation or improvement"),
            ("information", "violation or improvement or information"),
            ("never", "violation"),
        ],
    )
    def test_nothing(self, written: Write, fail_on: str, what: str) -> None:
        done = run(written(encoded(SOUND, SOUND)), "--fail-on", fail_on)
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"no {what} in 2 spans\n", "")

    @pytest.mark.parametrize(
        ("arguments", "exit_code"),
        [
            ((), 0),
            (("--level", "improvement"), 0),
            (("--fail-on", "improvement"), 3),
            (("--fail-on", "information"), 3),
            (("--fail-on", "never", "--level", "improvement"), 0),
        ],
    )
    def test_an_improvement(self, written: Write, arguments: tuple[str, ...], exit_code: int) -> None:
        path = written(encoded(OLDER))
        done = run(path, *arguments)
        assert done.exit_code == exit_code
        assert ("deprecated_name" in done.stdout) is bool(arguments)
        assert ("0 violations, 1 improvement" in done.stdout) is bool(arguments)

    def test_what_is_unreadable_fails_whatever_is_asked_for(self, written: Write) -> None:
        path = written(lines(encoded(SOUND)) + b"not JSON\n" + lines(encoded(SOUND)))
        assert run(path, "--fail-on", "never").exit_code == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["-", "--json", "--sarif"],
            ["-", "--fail-on", "information", "--level", "violation"],
            ["-", "--format", "xml"],
            ["-", "--max-bytes", "0"],
            ["-", "--level", "worst"],
        ],
    )
    def test_mistakes(self, arguments: list[str]) -> None:
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (2, "")

    def test_nothing_milder_than_the_level_is_looked_for(self, written: Write) -> None:
        path, severities = written(encoded(BARE, OLDER)), ["violation", "improvement", "information"]
        for count, level in enumerate(severities, start=1):
            report = found(path, "--level", level)
            # What was not looked for is not said to be none.
            assert list(report["counts"]) == severities[:count]
            assert {each["severity"] for each in report["findings"]} <= set(severities[:count])
            assert report["counts"].get("improvement", 1) > 0


class TestForPeople:
    def test_findings_are_grouped_by_span(self, written: Write) -> None:
        path = written(encoded(BARE, MISTYPED, SOUND))
        report = found(path)
        printed = run(path).stdout.splitlines()
        headings = [line for line in printed if " of trace " in line]
        assert len(headings) == 2
        assert SOUND[0] not in "\n".join(printed)
        bare = next(each for each in report["findings"] if each["span_name"] == BARE[0])
        assert f"{path}  {BARE[0]}  span {bare['span_id']} of trace {bare['trace_id']}" in headings
        below = printed[printed.index(next(line for line in headings if BARE[0] in line)) + 1]
        assert re.fullmatch(r"  violation +\w+  .+", below)
        assert printed[-1] == f"{report['counts']['violation']} violations in 2 of 3 spans"

    def test_the_controls_of_a_rule_are_told_once(self, written: Write) -> None:
        printed = " ".join(run(written(encoded(BARE, BARE))).stdout.split())
        for control in RULES["missing_required"].controls:
            assert control in printed
        assert printed.count(RULES["missing_required"].brief) == 1

    def test_no_more_than_people_read(self, written: Write) -> None:
        printed = run(written(encoded(*[MISTYPED] * (findings.MAX_SPANS_SHOWN + 3)))).stdout
        assert printed.count(" of trace ") == findings.MAX_SPANS_SHOWN
        assert "… and 3 more spans: --json has them all" in printed


def test_the_json_object(written: Write) -> None:
    path = written(lines(encoded(SOUND), encoded(BARE)))
    report = found(path)
    assert list(report) == ["spans", "counts", "rules", "findings", "files", "errors", "error_count"]
    assert (report["spans"], report["errors"], report["error_count"]) == (2, [], 0)
    assert sum(report["counts"].values()) == sum(report["rules"].values()) == len(report["findings"])
    finding = next(each for each in report["findings"] if each["attribute"] == "attribution.principal.id")
    assert re.fullmatch("[0-9a-f]{32}", finding.pop("trace_id"))
    assert re.fullmatch("[0-9a-f]{16}", finding.pop("span_id"))
    assert finding.pop("message")
    assert finding == {
        "rule": "missing_required",
        "severity": "violation",
        "attribute": "attribution.principal.id",
        "controls": list(RULES["missing_required"].controls),
        "span_name": BARE[0],
        "file": str(path),
        "line": 2,
    }


class TestWhatIsNoTrace:
    def test_a_bad_line_is_told_and_the_rest_is_checked(self, written: Write) -> None:
        bad = [b"garbage", b'{"resourceSpans": [{', b'{"resourceSpans": 7}', b"[]", b'"\xff"', b"[" * 100_000]
        content = lines(encoded(SOUND)) + b"\n".join(bad) + b"\n" + lines(encoded(BARE))
        path = written(content)
        done = run(path)
        assert done.exit_code == 3
        assert f"{path}:8  {BARE[0]}" in done.stdout
        for number in range(2, 8):
            assert f"error: {path}:{number}: " in done.stderr
        report = found(path)
        assert [error["line"] for error in report["errors"]] == [2, 3, 4, 5, 6, 7]
        assert report["spans"] == 2

    def test_a_bad_first_line(self, written: Write) -> None:
        path = written(b'{"resourceSp\n' + lines(encoded(SOUND), encoded(SOUND)))
        done = run(path)
        assert (done.exit_code, done.stdout) == (1, "no violation in 2 spans\n")
        assert f"error: {path}:1: " in done.stderr

    @pytest.mark.parametrize(
        ("line", "cause"),
        [
            (b'{"resourceMetrics": []}', "it holds metrics, and only traces can be checked"),
            (b'{"resourceLogs": [{}]}', "it holds logs"),
            (b'{"TraceId": "00"}', "the JSON has no resourceSpans"),
        ],
    )
    def test_other_signals_are_no_traces(self, written: Write, line: bytes, cause: str) -> None:
        done = run(written(line))
        assert (done.exit_code, done.stdout) == (1, "")
        assert cause in done.stderr

    def test_no_more_errors_than_people_read(self, written: Write) -> None:
        path = written(b"{\n" * (MAX_PROBLEMS + 5) + lines(encoded(SOUND)))
        done = run(path)
        assert done.stderr.count(f"error: {path}:") == MAX_PROBLEMS + 1
        assert f"error: {path}: and 5 more\n" in done.stderr
        assert found(path)["error_count"] == MAX_PROBLEMS + 5

    @pytest.mark.parametrize(
        "content",
        [b"", b"\n \n", b"{}", b"{}\n{}\n", b'{"resourceSpans":[]}', gzip.compress(b""), bytes(4), zstd(b"")],
        ids=["empty", "blank", "{}", "lines of {}", "no spans", "gzip of nothing", "empty frame", "zstd"],
    )
    def test_no_span_at_all(self, written: Write, content: bytes) -> None:
        path = written(content)
        done = run(path)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {path}: there is no span in it\n\nhint: ")
        assert found(path)["spans"] == 0

    def test_a_directory_and_a_missing_file(self, tmp_path: Path) -> None:
        for path, cause in ((tmp_path, "Is a directory"), (tmp_path / "x", "No such file or directory")):
            done = run(path)
            assert (done.exit_code, done.stdout) == (1, "")
            assert done.stderr == (
                f"error: {path}: it cannot be read: {cause}\n\nhint: name files, or - for standard input\n"
            )

    @pytest.mark.parametrize("compression", ["gzip", "zstd"])
    def test_compressed_and_cut_off(self, written: Write, compression: str) -> None:
        whole = COMPRESSIONS[compression](encoded(*[SOUND] * 20))
        for cut in (whole[:-1], whole[: len(whole) // 2], whole[:5], whole[:20] + b"\xff" * 30):
            done = run(written(cut))
            assert (done.exit_code, done.stdout) == (1, "")
            assert f"the {compression} stream is damaged: " in done.stderr

    def test_a_gzip_of_no_bytes(self, written: Write) -> None:
        """A file that was meant to be a gzip and never written."""
        path = written(b"").rename(written(b"").with_name("traces.json.gz"))
        assert "there is no span in it" in run(path).stderr

    def test_cut_off_frames(self, written: Write) -> None:
        whole = frames(encoded(BARE), encoded(SOUND))
        for cut in (whole[:-1], whole[: len(frames(encoded(BARE))) + 2]):
            done = run(path := written(cut))
            assert done.exit_code == 3
            assert BARE[0] in done.stdout
            assert re.search(rf"error: {path} at byte \d+: no message of \d+ bytes", done.stderr)

    def test_a_bad_frame_between_good_ones(self, written: Write) -> None:
        good = encoded(SOUND)
        for bad in (b"\xff" * 9, zstd(good)[:-4], b"{no JSON", b'{"resourceLogs":[]}', b"\x12\x00"):
            done = run(path := written(frames(good, bad, good)))
            assert (done.exit_code, done.stdout) == (1, "no violation in 2 spans\n")
            assert f"error: {path} at byte {len(good) + 4}: " in done.stderr

    @pytest.mark.parametrize("name", ["protobuf", "json"])
    def test_cut_off(self, written: Write, name: str) -> None:
        whole = encoded(BARE, SOUND)
        whole = as_json(whole, indent=2) if name == "json" else whole
        done = run(written(whole[: len(whole) // 2]))
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.count("error: ") == 1
        assert "\n\nhint: " in done.stderr

    @given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_bytes(self, content: bytes) -> None:
        for each in (content, frames(content), b"{" + content, b"\n" + content, b"\x1f\x8b" + content):
            done = run("-", stdin=each)
            assert done.exit_code in (0, 1, 3), done.exception


class TestBounds:
    def test_a_file_that_is_too_long(self, written: Write) -> None:
        body = encoded(SOUND)
        path = written(body)
        assert run(path, "--max-bytes", str(len(body))).exit_code == 0
        done = run(path, "--max-bytes", str(len(body) - 1))
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: {path}: there is more to read than --max-bytes allows\n\n"
            "hint: check it in parts, or raise --max-bytes\n"
        )

    def test_the_limit_is_for_all_the_files(self, written: Write) -> None:
        body = encoded(SOUND)
        done = run(written(body), written(body), "--max-bytes", str(len(body) + 1))
        assert (done.exit_code, done.stdout) == (1, "no violation in 1 span\n")
        assert "more to read than --max-bytes allows" in done.stderr

    @pytest.mark.parametrize("compression", ["gzip", "zstd"])
    def test_a_bomb(self, written: Write, compression: str) -> None:
        bomb = COMPRESSIONS[compression](bytes(4 << 20))
        assert len(bomb) < 10_000
        for content in (bomb, frames(*[bomb] * 3)):
            if content is not bomb and compression == "gzip":
                continue
            done = run(written(content), "--max-bytes", "1000000")
            assert (done.exit_code, done.stdout) == (1, "")
            assert "more to read than --max-bytes allows" in done.stderr

    def test_an_endless_file(self) -> None:
        done = run("/dev/zero", "--max-bytes", "100000")
        assert done.exit_code == 1
        assert "more to read than --max-bytes allows" in done.stderr


class TestHostileText:
    @pytest.mark.parametrize("how", [[], ["--json"], ["--sarif"]])
    def test_it_can_do_nothing_but_be_read(self, tmp_path: Path, how: list[str]) -> None:
        path = tmp_path / f"traces{STEERING}.jsonl"
        name = f"[red]{STEERING}[/red]:smile:"
        attributes = {f"atribution.{STEERING}": STEERING, "gen_ai.agent.name": 7}
        path.write_bytes(lines(encoded((name, attributes))) + b'{"kind":"' + STEERING.encode() + b'"}\n')
        done = run(path, *how)
        assert done.exit_code == 3
        for char in STEERING:
            if not char.isprintable():
                assert char not in done.stdout + done.stderr
        if not how:
            assert "[red]\\x1b]0;owned\\x07\\u202e" in done.stdout
            assert ":smile:" in done.stdout

    def test_a_secret_is_not_printed(self, written: Write) -> None:
        secret = "sk-" + "a1B2" * 10
        path = written(encoded((f"call {secret}", {"gen_ai.agent.name": 7, "note": secret})))
        for how in ([], ["--json"], ["--sarif"]):
            assert secret not in run(path, *how).output
        assert "secret_redacted" in rules(found(path))


class TestAsAProcess:
    def check(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        # Without chdb, which is not in the extra that this command asks for.
        code = "import sys; sys.modules['chdb'] = None; from whodid.cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, "check", *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            env=environment(),
        )

    def test_a_pipe(self) -> None:
        done = self.check("-", stdin=gzip.compress(lines(encoded(SOUND), encoded(BARE))))
        assert (done.returncode, done.stderr) == (3, b"")
        assert b"standard input:2  execute_tool lookup_order" in done.stdout
        assert b"\x1b" not in done.stdout  # no colours where no terminal is

    def test_nothing_found(self) -> None:
        done = self.check("-", stdin=encoded(SOUND))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"no violation in 1 span\n", b"")

    def test_a_name_that_is_no_text(self, tmp_path: Path) -> None:
        name = str(tmp_path) + "/\udcff"
        for how in ((), ("--json",), ("--sarif",)):
            Path(name).write_bytes(encoded(BARE))
            done = self.check(name, *how)
            assert done.returncode == 3, done.stderr
            assert b"Traceback" not in done.stderr


def test_the_builder_writes_what_the_receiver_reads() -> None:
    """The tests' own JSON is OTLP/JSON: the strict reader gives the encoder's bytes back."""
    body = encoded(BARE, MISTYPED)
    assert otlp_json.to_protobuf(trace_files.as_json(body)) == body
