"""`whodid tokens`: made once, shown once, listed without the secret, revoked for good."""

from __future__ import annotations

import datetime
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.access import revoke, token
from whodid.cli.main import main
from whodid.processor.access import tokens
from whodid.processor.access.viewer import Authentication, Role


def run(folder: Path, *arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(
        main, ["tokens", arguments[0], "--data-dir", str(folder), *arguments[1:]], env=variables
    )


def made(folder: Path, *arguments: str, **variables: str) -> str:
    done = run(folder, "create", "--name", "alice@acme.example", *arguments, **variables)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def kept(folder: Path) -> list[tokens.Token]:
    return tokens.read(folder / tokens.FILE)


def test_a_token_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    text = made(tmp_path)
    assert re.fullmatch(r"whodid_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", text)
    (token_,) = kept(tmp_path)
    assert (token_.role, token_.tenant, token_.kind) == ("viewer", "", "human")
    assert token_.expires_at - token_.created_at == datetime.timedelta(days=90)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    secret = text.split("_", 2)[2].encode()
    assert secret not in everything
    listed = run(tmp_path, "list")
    assert token_.id in listed.stdout
    assert "live\tviewer\t" in listed.stdout
    assert secret.decode() not in listed.output
    assert token_.digest not in listed.output
    assert tokens.LiveTokens(tmp_path / tokens.FILE).find(text) == token_


def test_two_tokens_are_never_the_same(tmp_path: Path) -> None:
    assert made(tmp_path) != made(tmp_path)
    assert len(kept(tmp_path)) == 2


def test_role_tenant_kind_and_life(tmp_path: Path) -> None:
    made(tmp_path, "--role", "investigator", "--tenant", "umbrella", "--service", "--expires", "12h")
    made(tmp_path, WHODID_TENANT="acme")
    made(tmp_path, "--role", "admin", "--tenant", "*")
    first, second, third = kept(tmp_path)
    assert (first.role, first.tenant, first.kind) == ("investigator", "umbrella", "service")
    assert first.expires_at - first.created_at == datetime.timedelta(hours=12)
    assert second.tenant == "acme"
    viewer = third.viewer("acme", Authentication.TOKEN)
    assert (viewer.tenant, viewer.all_tenants, viewer.role) == ("acme", True, Role.ADMIN)
    assert not second.viewer("acme", Authentication.TOKEN).all_tenants


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tenant", "*"), "all tenants are for the role admin alone"),
        (("--tenant", "*", "--role", "investigator"), "all tenants are for the role admin alone"),
        (("--role", "root"), "'root'"),
        (("--expires", "never"), "a life is"),
        (("--expires", "0d"), "up to 366 days"),
        (("--expires", "367d"), "up to 366 days"),
        (("--tenant", "a b"), "tenant"),
        (("--name", "a\nb"), "name"),
        (("--name", "al\u202eice"), "name"),
        (("--name", ""), "name"),
        (("--name", "x" * 129), "name"),
    ],
)
def test_a_token_that_should_not_be_is_not(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(tmp_path, "create", "--name", "alice", *arguments)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert done.stdout == ""
    assert kept(tmp_path) == []


def test_revoking(tmp_path: Path) -> None:
    text, other = made(tmp_path), made(tmp_path)
    id_ = text.split("_")[1]
    live = tokens.LiveTokens(tmp_path / tokens.FILE)
    assert live.find(text) is not None
    assert run(tmp_path, "revoke", id_).exit_code == 0
    assert live.find(text) is None
    assert live.by_id(id_) is None
    assert live.find(other) is not None
    at = next(each.revoked_at for each in kept(tmp_path) if each.id == id_)
    assert run(tmp_path, "revoke", id_).exit_code == 0
    assert next(each.revoked_at for each in kept(tmp_path) if each.id == id_) == at
    assert "revoked" in run(tmp_path, "list").stdout
    for wrong in ("", "0" * 16, text, id_[:8]):
        done = run(tmp_path, "revoke", wrong)
        assert done.exit_code == 1
        assert "no token" in done.stderr
    assert run(tmp_path / "elsewhere", "revoke", id_).exit_code == 1


def test_a_file_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "mounted" / "tokens.json"
    text = made(tmp_path / "data", WHODID_ACCESS__TOKENS_FILE=str(path))
    assert tokens.LiveTokens(path).find(text) is not None
    assert not (tmp_path / "data" / tokens.FILE).exists()


def test_many_at_once_lose_none(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(token, [tmp_path] * 40))
    live = tokens.LiveTokens(tmp_path / tokens.FILE)
    assert all(live.find(text) for text in texts)


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    text = token(tmp_path)
    path = tmp_path / tokens.FILE
    before = path.read_bytes()
    change = tokens.changing(path)
    change.__enter__().clear()
    change.__exit__(None, None, None)
    assert tokens.read(path) == []
    path.write_bytes(before)
    change = tokens.changing(path)
    change.__enter__().clear()
    change.__exit__(RuntimeError, RuntimeError(), None)
    assert path.read_bytes() == before
    path.write_text("{")
    with pytest.raises(tokens.TokensError, match="no file of tokens"), tokens.changing(path):
        pass
    assert path.read_text() == "{"
    path.write_bytes(before)
    assert tokens.LiveTokens(path).find(text) is not None


def test_what_ended_long_ago_is_dropped_and_the_rest_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    old = token(tmp_path, made=now - 92 * day, lives=day)
    assert len(kept(tmp_path)) == 0  # over for ninety days and more: written, and dropped
    recent = token(tmp_path, made=now - 80 * day, lives=day)
    revoked = token(tmp_path)
    revoke(tmp_path, revoked)
    assert {each.id for each in kept(tmp_path)} == {recent.split("_")[1], revoked.split("_")[1]}
    assert old.split("_")[1] not in {each.id for each in kept(tmp_path)}
    monkeypatch.setattr(tokens, "MAX_TOKENS", 3)
    token(tmp_path)
    with pytest.raises(tokens.TokensError, match="there are 3 tokens"):
        token(tmp_path)
    assert len(kept(tmp_path)) == 3


def test_what_others_may_write_is_not_read(tmp_path: Path) -> None:
    token(tmp_path)
    (tmp_path / tokens.FILE).chmod(0o620)
    done = run(tmp_path, "list")
    assert done.exit_code == 1
    assert "chmod go-w" in done.stderr


def test_a_forged_line_has_no_more_than_the_schema(tmp_path: Path) -> None:
    token(tmp_path)
    path = tmp_path / tokens.FILE
    good = json.loads(path.read_text())
    for change in ({"role": "root"}, {"tenant": "*; DROP"}, {"name": "a\tb"}, {"digest": ""}, {"more": 1}):
        path.write_text(json.dumps([good[0] | change]))
        with pytest.raises(tokens.TokensError):
            tokens.read(path)


def test_the_look_up_is_by_digest_and_compares_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known id or not, right or wrong: one comparison of whole digests, by `hmac.compare_digest`."""
    text = token(tmp_path)
    live = tokens.LiveTokens(tmp_path / tokens.FILE)
    compared: list[tuple[str, str]] = []
    real = tokens.hmac.compare_digest

    def watched(first: str, second: str) -> bool:
        compared.append((first, second))
        return real(first, second)

    monkeypatch.setattr(tokens.hmac, "compare_digest", watched)
    wrong = text[:-4] + "AAAA"
    unknown = f"whodid_{os.urandom(8).hex()}_{text.split('_', 2)[2]}"
    assert [bool(live.find(each)) for each in (text, wrong, unknown, "")] == [True, False, False, False]
    assert len(compared) == 4
    assert all(len(first) == len(second) == 64 for first, second in compared)
