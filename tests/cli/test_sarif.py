"""`whodid check --sarif`: SARIF 2.1.0, as the OASIS schema has it and as code hosts need it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.checked import BARE, MISTYPED, OLDER, SOUND, Write, found, run
from tests.trace_files import as_json, encoded, frames, lines
from whodid.semconv.registry import RULES


class TestSarif:
    def test_the_log(self, written: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        name = "a file #1%é.jsonl"
        Path(name).write_bytes(lines(encoded(SOUND), encoded(BARE, MISTYPED)))
        done = run(name, "--sarif")
        assert done.exit_code == 3
        log = json.loads(done.stdout)
        check_sarif(log)
        (one,) = log["runs"]
        report = found(name)
        assert len(one["results"]) == len(report["findings"])
        result = next(
            each for each in one["results"] if "attribution.principal.id" in each["message"]["text"]
        )
        finding = next(each for each in report["findings"] if each["attribute"] == "attribution.principal.id")
        assert (result["ruleId"], result["level"]) == ("missing_required", "error")
        (location,) = result["locations"]
        assert location["physicalLocation"] == {
            "artifactLocation": {"uri": "a%20file%20%231%25%C3%A9.jsonl", "index": 0},
            "region": {"startLine": 2},
        }
        assert location["logicalLocations"] == [
            {
                "name": BARE[0],
                "fullyQualifiedName": f"{finding['trace_id']}/{finding['span_id']}",
                "kind": "span",
            }
        ]
        rule = one["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert rule["id"] == "missing_required"
        assert rule["properties"]["tags"] == list(RULES["missing_required"].controls)
        assert one["invocations"][0]["executionSuccessful"] is True

    def test_levels(self, written: Write) -> None:
        path = written(encoded(BARE, OLDER))
        levels = {"violation": "error", "improvement": "warning", "information": "note"}
        (one,) = json.loads(run(path, "--sarif", "--level", "information").stdout)["runs"]
        counts = found(path, "--level", "information")["counts"]
        assert counts["violation"] > 0 < counts["improvement"]
        for severity, level in levels.items():
            assert sum(each["level"] == level for each in one["results"]) == counts[severity]
        for rule in one["tool"]["driver"]["rules"]:
            assert rule["defaultConfiguration"]["level"] == levels[RULES[rule["id"]].severity]

    def test_errors_are_notifications(self, written: Write) -> None:
        for content in (b"", b"{\n{\n" + lines(encoded(BARE)), frames(b"\xff" * 9, encoded(BARE))):
            log = json.loads(run(written(content), "--sarif").stdout)
            check_sarif(log)
            (invocation,) = log["runs"][0]["invocations"]
            assert invocation["executionSuccessful"] is False
            assert invocation["toolExecutionNotifications"]

    def test_a_document_is_shown_at_its_first_line(self, written: Write) -> None:
        for content, region in (
            (as_json(encoded(MISTYPED)), {"startLine": 1}),
            (frames(encoded(MISTYPED)), {"byteOffset": 0}),
            (encoded(MISTYPED), None),
        ):
            (one,) = json.loads(run(written(content), "--sarif").stdout)["runs"]
            assert one["results"][0]["locations"][0]["physicalLocation"].get("region") == region

    def test_standard_input(self) -> None:
        log = json.loads(run("-", "--sarif", stdin=encoded(BARE)).stdout)
        check_sarif(log)
        assert log["runs"][0]["artifacts"] == [{"location": {"uri": "stdin"}}]

    def test_the_same_fault_in_another_recording_has_the_same_fingerprint(self, written: Write) -> None:
        def fingerprints(path: Path) -> list[str]:
            (one,) = json.loads(run(path, "--sarif").stdout)["runs"]
            return [each["partialFingerprints"]["primaryLocationLineHash"] for each in one["results"]]

        path = written(encoded(BARE, BARE))
        first = fingerprints(path)
        path.write_bytes(encoded(BARE, BARE))
        assert fingerprints(path) == first
        assert len(set(first)) == len(first)


# Property names by object, those that it must have first: from the OASIS schema, as far as we use it. It
# allows no others.
_OBJECTS: dict[str, tuple[set[str], set[str]]] = {
    "log": ({"version", "runs"}, {"$schema"}),
    "run": ({"tool"}, {"artifacts", "invocations", "results"}),
    "driver": ({"name"}, {"version", "rules"}),
    "rule": ({"id"}, {"name", "shortDescription", "help", "defaultConfiguration", "properties"}),
    "invocation": ({"executionSuccessful"}, {"exitCode", "toolExecutionNotifications"}),
    "notification": ({"message"}, {"level", "locations"}),
    "result": ({"message"}, {"ruleId", "ruleIndex", "level", "locations", "partialFingerprints"}),
    "location": (set(), {"physicalLocation", "logicalLocations"}),
    "physical": (set(), {"artifactLocation", "region"}),
    "logical": (set(), {"name", "fullyQualifiedName", "kind"}),
}
_LEVELS = {"none", "note", "warning", "error"}


def check_sarif(log: dict[str, Any]) -> None:
    """The essential structure of SARIF 2.1.0, and what GitHub's code scanning needs of it."""
    _is("log", log)
    assert log["version"] == "2.1.0"
    assert log["$schema"].startswith("https://")
    for run_ in log["runs"]:
        _is("run", run_)
        driver = run_["tool"]["driver"]
        _is("driver", driver)
        assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
        for rule in driver["rules"]:
            _is("rule", rule)
            assert rule["shortDescription"]["text"]
            assert rule["help"]["text"]
            assert rule["defaultConfiguration"]["level"] in _LEVELS
            assert len(set(rule["properties"]["tags"])) == len(rule["properties"]["tags"]) <= 20
        for result in run_["results"]:
            _is("result", result)
            assert result["level"] in _LEVELS
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["message"]["text"]
            assert all(isinstance(each, str) for each in result["partialFingerprints"].values())
            _check_locations(result["locations"], run_)
        for invocation in run_["invocations"]:
            _is("invocation", invocation)
            assert isinstance(invocation["executionSuccessful"], bool)
            assert isinstance(invocation["exitCode"], int)
            for notification in invocation["toolExecutionNotifications"]:
                _is("notification", notification)
                assert notification["message"]["text"]
                assert notification["level"] in _LEVELS
                _check_locations(notification.get("locations", []), run_)


def _check_locations(locations: list[dict[str, Any]], run_: dict[str, Any]) -> None:
    for location in locations:
        _is("location", location)
        physical = location["physicalLocation"]
        _is("physical", physical)
        artifact = physical["artifactLocation"]
        assert run_["artifacts"][artifact["index"]]["location"]["uri"] == artifact["uri"]
        assert re.fullmatch(r"[A-Za-z0-9._~:/%-]+", artifact["uri"])
        region = physical.get("region", {"startLine": 1})
        assert region.get("startLine", 1) >= 1
        assert region.get("byteOffset", 0) >= 0
        for logical in location.get("logicalLocations", []):
            _is("logical", logical)


def _is(kind: str, node: dict[str, Any]) -> None:
    required, optional = _OBJECTS[kind]
    assert required <= set(node) <= required | optional, kind
