"""Settings: who wins, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from whodid.processor import settings
from whodid.processor.errors import WhodidError


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for row in settings.table():
        monkeypatch.delenv(row.env, raising=False)


def test_flag_before_variable_before_file_before_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().api.port == 8600
    Path("whodid.toml").write_text("[api]\nport = 1\n[spool]\nflush_after_s = 9\n")
    assert settings.load().api.port == 1
    monkeypatch.setenv("WHODID_API__PORT", "2")
    assert settings.load().api.port == 2
    loaded = settings.load({"api": {"port": 3}})
    assert loaded.api.port == 3
    # One place's section does not hide another's.
    assert loaded.spool.flush_after_s == 9
    assert loaded.api.host == "127.0.0.1"


def test_everything_can_be_set_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in settings.table():
        monkeypatch.setenv(row.env, row.default)
    assert settings.load().model_dump() == settings.Settings.model_validate({}).model_dump()
    assert list(settings.unknown_variables(set())) == []


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.load().api.port = 1


@pytest.mark.parametrize(
    ("toml", "cause", "hint"),
    [
        ("[spool]\nmax_byte = 1", "unknown setting spool.max_byte", "did you mean spool.max_bytes?"),
        ("[spol]\nmax_bytes = 1", "unknown setting spol", ""),
        ("[api]\nport = 70000", "setting api.port: Input should be less than or equal to 65535", ""),
        ("[api]\nport = 'x'", "setting api.port: Input should be a valid integer", ""),
        ("[spool]\nmax_bytes = 100000", "receiver.max_request_bytes must not exceed spool.max_bytes", ""),
        ("api = 3", "setting api", ""),
        ("[api", "cannot read the configuration file whodid.toml", "TOML"),
    ],
)
def test_a_mistake_names_the_key_and_the_condition(toml: str, cause: str, hint: str) -> None:
    Path("whodid.toml").write_text(toml)
    with pytest.raises(WhodidError) as caught:
        settings.load()
    assert cause in caught.value.cause
    assert caught.value.hint
    assert hint in caught.value.hint


def test_a_named_file_has_to_exist() -> None:
    with pytest.raises(WhodidError, match=r"no configuration file other\.toml"):
        settings.load(config=Path("other.toml"))


def test_a_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODID_STORE__URL", "clickhouse://me:s3cret@host/db")
    loaded = settings.load()
    assert loaded.store_url == "clickhouse://me:s3cret@host/db"
    assert "s3cret" not in repr(loaded)
    with pytest.raises(WhodidError) as caught:
        settings.load({"store": {"url": ["s3cret"], "retention_days": "s3cret"}})
    assert "s3cret" not in caught.value.cause


def test_the_embedded_store_is_in_the_data_folder(tmp_path: Path) -> None:
    loaded = settings.load({"data_dir": tmp_path / "a b"})
    assert loaded.store_url == f"chdb://{tmp_path}/a%20b/store"


def test_a_variable_that_nobody_reads_is_noticed() -> None:
    environ = {
        "WHODID_STOREURL": "x",
        "WHODID_POLICY": "x",
        "WHODID_SPOOL__MAX_BYTES": "1",
        "PATH": "x",
        "WHODID_X": "x",
    }
    assert list(settings.unknown_variables({"WHODID_POLICY"}, environ)) == [
        ("WHODID_STOREURL", "did you mean WHODID_STORE__URL?"),
        ("WHODID_X", "docs/configuration.md lists every setting"),
    ]
