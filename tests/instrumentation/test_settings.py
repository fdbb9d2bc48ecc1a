"""The agent's variables: documented, typed, and on the safe side when they cannot be read."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path

import pytest

from whodid.instrumentation import settings

GUIDE = Path(__file__).parents[2] / "docs" / "instrumentation.md"


@pytest.mark.parametrize("setting", settings.TABLE, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_guide_as_it_is_in_the_table(setting: settings.Setting) -> None:
    default = f"`{setting.default}`" if setting.default else ""
    assert f"| `{setting.name}` | {setting.type} | {default} | {setting.doc} |" in GUIDE.read_text()


def test_the_guide_names_no_variable_that_does_not_exist() -> None:
    words = {word.strip("`|,.:;()=") for word in GUIDE.read_text().replace("=", " ").split()}
    found = {word for word in words if word.startswith("WHODID_")}
    assert found == {setting.name for setting in settings.TABLE}


def test_the_table_and_the_settings_are_the_same() -> None:
    assert {field.name for field in fields(settings.Settings)} == {
        *(setting.field for setting in settings.TABLE),
        "problems",
    }


def test_defaults() -> None:
    read = settings.read({})
    assert read.problems == ()
    assert (read.capture_content, read.guard_mode, read.policy, read.frameworks) == (
        False,
        "enforce",
        None,
        (),
    )
    assert read.approval_timeout_s == 3600.0


def test_values() -> None:
    read = settings.read(
        {
            "WHODID_CAPTURE_CONTENT": "TRUE",
            "WHODID_GUARD_MODE": "Monitor",
            "WHODID_FRAMEWORKS": "mcp, langchain,",
            "WHODID_APPROVAL_TIMEOUT_S": "1.5",
            "WHODID_AGENT_IDENTITY_TYPE": "spiffe",
        }
    )
    assert read.problems == ()
    assert (read.capture_content, read.guard_mode, read.frameworks) == (True, "monitor", ("mcp", "langchain"))
    assert (read.approval_timeout_s, read.agent_identity_type) == (1.5, "spiffe")


@pytest.mark.parametrize(
    ("name", "value", "field", "counts_as"),
    [
        ("WHODID_CAPTURE_CONTENT", "maybe", "capture_content", False),
        ("WHODID_GUARD_MODE", "off", "guard_mode", "enforce"),
        ("WHODID_APPROVAL_TIMEOUT_S", "-1", "approval_timeout_s", 3600.0),
        ("WHODID_APPROVAL_TIMEOUT_S", "soon", "approval_timeout_s", 3600.0),
        ("WHODID_AGENT_IDENTITY_TYPE", "passport", "agent_identity_type", None),
    ],
)
def test_what_cannot_be_read_is_said_and_safe(name: str, value: str, field: str, counts_as: object) -> None:
    read = settings.read({name: value})
    assert getattr(read, field) == counts_as
    [problem] = read.problems
    assert name in problem
    assert "takes" in problem


def test_the_environment_is_read_once_and_complains_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WHODID_GUARD_MODE", "off")
    with caplog.at_level(logging.WARNING):
        assert settings.current() is settings.current()
    assert caplog.text.count("WHODID_GUARD_MODE") == 1


def test_overrides() -> None:
    assert settings.override(capture_content=True, policy=None).capture_content
    with pytest.raises(TypeError, match="no such setting: colour"):
        settings.override(colour="red")
