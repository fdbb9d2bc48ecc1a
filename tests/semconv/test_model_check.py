"""`check`: each rule broken once, and what is said about it, with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.semconv.broken import SEMCONV, copy, told, told_of
from whodid.semconv import check, generate, model

HEAD = "file_format: definition/2\n"
REST = "brief: A test.\n    stability: development\n    examples: [x]\n"


def test_our_own_model_is_in_order() -> None:
    assert check.run(SEMCONV) == []


def attribute(key: str, type_: str = "string", examples: str = "[x]", more: str = "") -> str:
    """A file with one attribute, its key in line 3."""
    return (
        f"{HEAD}attributes:\n  - key: {key}\n    type: {type_}\n    brief: A test.\n"
        f"    stability: development\n    examples: {examples}\n{more}"
    )


NAME_HINT = "lower-case words, joined by `.` and `_`, with a namespace in front: attribution.NAME"

NAMES = {
    "upper case": (
        attribute("attribution.Test"),
        f"3: attribution.Test is no name for an attribute -> {NAME_HINT}",
    ),
    "hyphen": (
        attribute("attribution.a-test"),
        f"3: attribution.a-test is no name for an attribute -> {NAME_HINT}",
    ),
    "no namespace": (attribute("test"), f"3: test is no name for an attribute -> {NAME_HINT}"),
    "two points": (
        attribute("attribution..test"),
        f"3: attribution..test is no name for an attribute -> {NAME_HINT}",
    ),
    "a namespace": (
        attribute("attribution.policy.decision"),
        "3: attribution.policy.decision is also the namespace of attribution.policy.decision.id"
        " -> attribution.policy.decision.id, attribution.policy.decision.name or the like",
    ),
    "the same as a column": (
        attribute("attribution.action_id"),
        "3: attribution.action_id and attribution.action.id are the same after `.` becomes `_`,"
        " as in columns and constants -> give one of them another word",
    ),
    "a singular array": (
        attribute("attribution.test.address", "string[]", "[[x]]"),
        "3: attribution.test.address is an array and its name is singular"
        " -> attribution.test.addresses, or a word that means many"
        " (chain, history, list, path, sequence, set, stack)",
    ),
    "an event": (
        HEAD + "events:\n  - {name: happened, brief: It., stability: alpha, attributes: []}\n",
        f"3: happened is no name for an event -> {NAME_HINT}",
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path: Path, case: str) -> None:
    text, expected = NAMES[case]
    found = told_of(tmp_path, text)
    assert f"model/zz.yaml:{expected}" in found
    # The other side of a collision is told as well, and nothing else is.
    assert all("zz.yaml" in each or "are the same after" in each for each in found)


def test_the_members_of_an_enum(tmp_path: Path) -> None:
    text = (
        f"{HEAD}attributes:\n  - key: attribution.test.kind\n    brief: A test.\n    stability: alpha\n"
        "    type:\n      members:\n"
        "        - {id: a, value: A, stability: alpha, brief: A.}\n"
        "        - {id: a, value: b, stability: alpha, brief: A.}\n"
    )
    assert told_of(tmp_path, text) == [
        "model/zz.yaml:8: attribution.test.kind: 'A' is no name for a member"
        " -> lower-case words, joined by `_`",
        "model/zz.yaml:9: attribution.test.kind: there are two members with the id a -> take one of them out",
    ]


@pytest.mark.parametrize(
    ("type_", "examples", "cause"),
    [
        ("string", "[1]", 'the example 1 is no string -> write it like "text"'),
        ("int", "[1, x]", "the example 'x' is no int -> write it like 1"),
        ("int", "[true]", "the example True is no int -> write it like 1"),
        ("double", "[x]", "the example 'x' is no double -> write it like 1.5"),
        ("boolean", "[1]", "the example 1 is no boolean -> write it like true"),
        ("string[]", "[x]", 'the example \'x\' is no string[] -> write it like ["a", "b"]'),
    ],
)
def test_an_example_of_another_type(tmp_path: Path, type_: str, examples: str, cause: str) -> None:
    found = told_of(tmp_path, attribute("attribution.test.things", type_, examples))
    assert found == [f"model/zz.yaml:7: attribution.test.things: {cause}"]


@pytest.mark.parametrize(
    ("format_", "right", "wrong"),
    [
        ("spiffe_id", "spiffe://acme.example/a", "spiffe://acme.example/"),
        ("spiffe_id", "spiffe://acme.example", "spiffe://Acme.example"),
        ("spiffe_id", "spiffe://acme.example/a/.b", "spiffe://acme.example/../a"),
        ("digest", f"sha256:{'a' * 64}", f"sha256:{'A' * 64}"),
        ("rfc3339", "2026-11-24T14:00:00.5Z", "2026-11-24 14:00:00Z"),
        ("rfc3339", "2024-02-29T14:00:00Z", "2026-02-29T14:00:00Z"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        ("span_id", "00f067aa0ba902b7", "0" * 16),
    ],
)
def test_an_example_of_another_format(tmp_path: Path, format_: str, right: str, wrong: str) -> None:
    more = f"    annotations: {{whodid: {{format: {format_}, source: A standard}}}}\n"
    text = attribute("attribution.test.thing", examples=f'["{right}", "{wrong}"]', more=more)
    (found,) = told_of(tmp_path, text)
    assert found.startswith(
        f"model/zz.yaml:7: attribution.test.thing: the example '{wrong}' has not the format {format_} -> "
    )


def test_no_examples(tmp_path: Path) -> None:
    text = attribute("attribution.test.thing").replace("    examples: [x]\n", "")
    assert told_of(tmp_path, text) == [
        'model/zz.yaml:3: attribution.test.thing has no examples -> add `examples: ["text"]`'
    ]


def test_a_standard_that_the_source_does_not_name(tmp_path: Path) -> None:
    text = attribute("attribution.test.thing").replace("A test.", "As RFC 8693 has it.")
    assert told_of(tmp_path, text) == [
        "model/zz.yaml:5: attribution.test.thing: the brief appeals to RFC 8693 and the source does not"
        " name it -> add `source: …` to `annotations: {whodid: {…}}`"
    ]


def test_a_format_without_a_source(tmp_path: Path) -> None:
    more = "    annotations: {whodid: {format: rfc3339}}\n"
    text = attribute("attribution.test.time", examples='["2026-11-24T14:00:00Z"]', more=more)
    assert told_of(tmp_path, text) == [
        "model/zz.yaml:3: attribution.test.time has a format and does not say which standard it follows"
        " -> add `source: …` to `annotations: {whodid: {…}}`"
    ]


# What is wrong with the form: the text of a file, and all that is said about it.
FORM: dict[str, tuple[str, list[str]]] = {
    "no brief": (
        HEAD + "attributes:\n  - {key: a.b, type: string, stability: alpha}\n",
        ["3: a.b: brief is missing -> add `brief: …`"],
    ),
    "a key that is misspelt": (
        HEAD
        + "attributes:\n  - key: a.b\n    type: string\n    brief: A.\n    breif: A.\n    stability: alpha\n",
        ["6: a.b: breif is not known here -> did you mean brief?"],
    ),
    "a stability that is none": (
        HEAD + "attributes:\n  - key: a.b\n    type: string\n    brief: A.\n    stability: experimental\n",
        [
            "6: a.b: stability: 'experimental' cannot stand here"
            " -> write one of development, alpha, beta, release_candidate, stable"
        ],
    ),
    "a type that is none": (
        HEAD + "attributes:\n  - {key: a.b, type: strng, brief: A., stability: alpha}\n",
        ["3: a.b: type: 'strng' cannot stand here -> did you mean string or string[]?"],
    ),
    "a member without a brief": (
        HEAD + "attributes:\n  - key: a.b\n    brief: A.\n    stability: alpha\n    type:\n      members:\n"
        "        - {id: x, value: x, stability: alpha}\n",
        ["8: a.b: type: members: x: brief is missing -> add `brief: …`"],
    ),
    "a text that YAML takes for a time": (
        HEAD + "attributes:\n  - {key: a.b, type: string, brief: 2026-11-24, stability: alpha}\n",
        ["3: a.b: brief: datetime.date(2026, 11, 24) is no text -> quote it"],
    ),
    "a time that is none": (
        HEAD + "attributes:\n  - {key: a.b, type: string, brief: 2026-99-99, stability: alpha}\n",
        ["3: '2026-99-99' cannot be read: month must be in 1..12 -> quote it"],
    ),
    "an empty text": (
        HEAD + "attributes:\n  - {key: a.b, type: string, brief: ' ', stability: alpha}\n",
        ["3: a.b: brief: it is empty -> write something, or take it out"],
    ),
    "an empty list": (
        HEAD + "attributes:\n  - {key: a.b, type: string, brief: A., stability: alpha, examples: []}\n",
        ["3: a.b: examples: the list is empty -> write at least one, or take it out"],
    ),
    "an example that YAML takes for a time": (
        HEAD
        + "attributes:\n  - {key: a.b, type: string, brief: A., stability: alpha, examples: [2026-11-24]}\n",
        [
            "3: a.b: examples: datetime.date(2026, 11, 24) is no text, number, true or false, list"
            " -> quote it",
        ],
    ),
    "an example in an example": (
        HEAD
        + "attributes:\n  - {key: a.b, type: 'string[]', brief: A., stability: alpha, examples: [[1]]}\n",
        ["3: a.b: examples: 1 is no text -> quote it"],
    ),
    "renamed to nothing": (
        HEAD + "attributes:\n  - key: a.b\n    type: string\n    brief: A.\n    stability: alpha\n"
        "    deprecated: {reason: renamed}\n",
        ["7: a.b: deprecated: renamed_to is missing -> add `renamed_to: …`"],
    ),
    "a reference with a type": (
        HEAD + "events:\n  - name: a.b\n    brief: A.\n    stability: alpha\n    attributes:\n"
        "      - {ref: session.id, type: string}\n",
        [
            "7: a.b: session.id: type is not known here"
            " -> what can stand here: ref, brief, note, requirement_level, annotations"
        ],
    ),
    "an annotation that we do not know": (
        HEAD + "attributes:\n  - key: a.b\n    type: string\n    brief: A.\n    stability: alpha\n"
        "    annotations: {whodid: {colum: string}}\n",
        ["7: a.b: annotations: whodid: colum is not known here -> did you mean column?"],
    ),
    "a section that we do not use": (
        HEAD + "metrics: []\n",
        [
            "2: metrics is not known here -> what can stand here: file_format, attributes, attribute_groups,"
            " spans, span_refinements, events, event_refinements, imports"
        ],
    ),
    "another format of file": (
        "file_format: definition/1\n",
        ["1: file_format: 'definition/1' cannot stand here -> write definition/2"],
    ),
    "no format of file": ("attributes: []\n", ["1: file_format is missing -> add `file_format: …`"]),
    "a list": ("- a\n", ["1: the file is no mapping -> begin it with `file_format: definition/2`"]),
    "nothing": ("", []),
    "a key twice": (HEAD + HEAD, ["2: `file_format` is there twice -> keep one; the other is in line 1"]),
    "a key that is no text": (HEAD + "1: a\n", ["2: the key 1 is no text -> quote it"]),
    "an alias to itself": (
        HEAD + "attributes: &all\n  - *all\n",
        [
            "2: None is no mapping -> write a mapping",
            "2: an alias refers to itself -> write the value out",
        ],
    ),
}


@pytest.mark.parametrize("case", FORM)
def test_the_form_of_a_file(tmp_path: Path, case: str) -> None:
    text, expected = FORM[case]
    assert told_of(tmp_path, text) == [f"model/zz.yaml:{each}" for each in expected]


@pytest.mark.parametrize("text", [HEAD + "attributes: [\n", HEAD + "a: b: c\n", "a: @\n", "a: \x01\n"])
def test_what_is_no_yaml(tmp_path: Path, text: str) -> None:
    (found,) = told_of(tmp_path, text)
    assert re.match(r"model/zz\.yaml:\d+: this is no YAML: ", found)


def test_what_is_no_text(tmp_path: Path) -> None:
    semconv = copy(tmp_path)
    (semconv / "model" / "zz.yaml").write_bytes(b"\xff")
    assert told(semconv) == ["model/zz.yaml:1: the file cannot be read: it is not UTF-8 -> "]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "0.1.0",
            "latest",
            "schema_url: 'https://whodid.dev/schemas/latest' is no schema URL -> write https://",
        ),
        ("../upstream", "../gone", "there is no folder "),
        ("stability: development\n", "", "stability is missing -> add `stability: …`"),
    ],
)
def test_the_manifest(tmp_path: Path, old: str, new: str, expected: str) -> None:
    semconv = copy(tmp_path)
    manifest = semconv / "model" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace(old, new))
    assert any(re.match(rf"model/manifest\.yaml:\d+: {re.escape(expected)}", each) for each in told(semconv))


def test_no_manifest(tmp_path: Path) -> None:
    semconv = copy(tmp_path)
    (semconv / "model" / "manifest.yaml").unlink()
    assert told(semconv) == ["model/manifest.yaml:1: the file cannot be read: No such file or directory -> "]


CONDITION = "annotations: {whodid: {when: 'WHEN'}}"


def use(level: str, more: str = "") -> str:
    """A file with an event that uses one attribute, in line 7."""
    return (
        HEAD + "events:\n  - name: attribution.test\n    brief: A.\n    stability: alpha\n    attributes:\n"
        f"      - {{ref: attribution.action.mode, requirement_level: {level}, {more}}}\n"
    )


CONDITIONAL = "{conditionally_required: If.}"
TWICE = "attribution.action.mode has its condition for people or for the validator only"

CONDITIONS = {
    "for people only": (use(CONDITIONAL), TWICE),
    "for the validator only": (use("required", CONDITION.replace("WHEN", "present(user.id)")), TWICE),
    "no condition": (use(CONDITIONAL, CONDITION.replace("WHEN", "user.id")), "'user.id' is no condition"),
    "no expression": (
        use(CONDITIONAL, CONDITION.replace("WHEN", "a b")),
        "'a b' is no condition: invalid syntax",
    ),
    "an unknown attribute": (
        use(CONDITIONAL, CONDITION.replace("WHEN", "present(session.idd)")),
        "the condition names session.idd, which is no attribute -> did you mean session.id",
    ),
    "an unknown value": (
        use(CONDITIONAL, CONDITION.replace("WHEN", 'not attribution.action.mode == "autonomos"')),
        "the condition compares attribution.action.mode with 'autonomos', which is none of its values"
        " -> did you mean autonomous",
    ),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_conditions(tmp_path: Path, case: str) -> None:
    text, expected = CONDITIONS[case]
    (found,) = told_of(tmp_path, text)
    assert found.startswith(f"model/zz.yaml:7: {expected}")


def test_a_rule_has_a_severity_and_controls(tmp_path: Path) -> None:
    semconv = copy(tmp_path)
    findings = semconv / "model" / "findings.yaml"
    text = findings.read_text()
    findings.write_text(
        re.sub(r"(id: chain_broken\n(?:.*\n){3}.*)severity: violation, controls: .*\]", r"\1", text)
    )
    line = text[: text.index("id: chain_broken")].count("\n") + 1
    assert told(semconv) == [
        f"model/findings.yaml:{line}: the rule chain_broken has no controls"
        " -> add `controls: …`: a list of ids",
        f"model/findings.yaml:{line}: the rule chain_broken has no severity"
        " -> add `severity: …`: violation, improvement or information",
    ]


def test_each_minimum_field_of_aims_is_answered(tmp_path: Path) -> None:
    semconv = copy(tmp_path)
    task = semconv / "model" / "task.yaml"
    task.write_text(task.read_text().replace(", aims: time_and_correlation", ""))
    (found,) = told(semconv)
    assert "no attribute answers to AIMS' minimum field 'Time and correlation id'" in found


class TestReleased:
    """What was released stays, and stays what it was."""

    @pytest.fixture
    def semconv(self, tmp_path: Path) -> Path:
        semconv = copy(tmp_path)
        generate.release(model.load(semconv / "model"), semconv, "0.1.0")
        assert told(semconv) == []
        return semconv

    @staticmethod
    def edit(semconv: Path, name: str, old: str, new: str) -> int:
        """Replaces text in a file of the model; returns its line."""
        text = (semconv / "model" / name).read_text()
        assert old in text
        (semconv / "model" / name).write_text(text.replace(old, new))
        return text[: text.index(old)].count("\n") + 1

    def test_an_attribute_that_is_gone(self, semconv: Path) -> None:
        self.edit(
            semconv,
            "task.yaml",
            "key: attribution.task.objective.text",
            "key: attribution.task.objective.words",
        )
        self.edit(
            semconv, "spans.yaml", "attribution.task.objective.text", "attribution.task.objective.words"
        )
        released = (semconv / "released" / "0.1.0.json").read_text()
        line = released[: released.index('"attribution.task.objective.text": {')].count("\n") + 1
        assert told(semconv) == [
            f"released/0.1.0.json:{line}: attribution.task.objective.text was released with 0.1.0 and is gone"
            " -> put it back and deprecate it:"
            " `{reason: renamed, renamed_to: …}`, `{reason: obsoleted, note: …}`"
        ]

    def test_a_rule_that_is_gone(self, semconv: Path) -> None:
        self.edit(semconv, "findings.yaml", "chain_broken", "broken_chain")
        value, rule = told(semconv)
        assert (
            "attribution.finding.rule is not what was released with 0.1.0: the value chain_broken is gone"
            in value
        )
        assert "chain_broken was released with 0.1.0 and is gone" in rule

    def test_a_type_that_changed(self, semconv: Path) -> None:
        line = self.edit(
            semconv,
            "task.yaml",
            "key: attribution.task.parent.id\n    type: string\n",
            "key: attribution.task.parent.id\n    type: any\n",
        )
        assert told(semconv) == [
            f"model/task.yaml:{line}: attribution.task.parent.id is not what was released with 0.1.0:"
            " type was string and is any -> give what is new a name of its own"
        ]

    def test_a_name_that_was_given_up_is_not_used_again(self, semconv: Path) -> None:
        deprecated = "stability: development\n    deprecated: {reason: obsoleted, note: Gone.}\n"
        key = "key: attribution.task.objective.text\n    type: string\n    "
        self.edit(
            semconv, "task.yaml", key, f"{key}{deprecated}    ".replace("stability: development\n    ", "")
        )
        self.edit(semconv, "manifest.yaml", "schemas/0.1.0", "schemas/0.2.0")
        generate.release(model.load(semconv / "model"), semconv, "0.2.0")
        assert told(semconv) == []
        self.edit(semconv, "task.yaml", "    deprecated: {reason: obsoleted, note: Gone.}\n", "")
        (found,) = told(semconv)
        assert "is not what was released with 0.2.0: it was obsoleted, and is in use again" in found

    def test_what_is_new_is_welcome(self, semconv: Path) -> None:
        (semconv / "model" / "zz.yaml").write_text(attribute("attribution.test.thing"))
        assert told(semconv) == []

    def test_a_release_that_was_tampered_with(self, semconv: Path) -> None:
        (semconv / "released" / "0.1.0.json").write_text("{}")
        (found,) = told(semconv)
        assert found.endswith("-> restore it as it was released")
        assert "it is no snapshot of a version" in found
