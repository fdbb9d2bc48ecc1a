"""The sign-in page and its sessions: cookies, where one is sent afterwards, forged requests, limits."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.testclient import TestClient

from tests.access import HTML, Front, bearer, fill, revoke, token
from whodid.processor.access import attempts, csrf, forms, sessions, targets
from whodid.processor.access.viewer import Role
from whodid.store import Store

WHO = "/api/v1/who?id=action-1"
CLICKED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
"""How a browser follows a link from somewhere else."""
FORM = {"content-type": "application/x-www-form-urlencoded", **HTML}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('sign-in') / 'store'}", tenant="acme")
    fill(opened)
    yield opened
    opened.close()


def sign_in(client: TestClient, text: str, target: str = "/", **headers: str) -> Any:
    return client.post("/sign-in", data={"token": text, "next": target}, headers={**HTML, **headers})


def test_a_page_sends_to_the_sign_in_page_and_that_back(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    sent = client.get("/questions/who?id=action-1&x=%26", headers=HTML)
    assert sent.status_code == 303
    page = client.get(sent.headers["location"], headers=HTML)
    assert page.status_code == 200
    found = re.search(r'name="next" value="([^"]*)"', page.text)
    assert found
    assert found[1] == "/questions/who?id=action-1&amp;x=%26"
    answer = sign_in(client, text, "/questions/who?id=action-1&x=%26")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/questions/who?id=action-1&x=%26"
    assert client.get(WHO).status_code == 200
    assert client.get("/", headers=HTML).status_code == 200


def test_the_cookie_is_for_this_service_alone_and_no_script(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    cookie = sign_in(Front(store, tmp_path).client(), text).headers["set-cookie"]
    parts = [part.strip().lower() for part in cookie.split(";")]
    assert {"httponly", "samesite=strict", "path=/", "max-age=28800"} <= set(parts)
    assert not any(part.startswith("domain") for part in parts)
    assert "secure" not in parts
    assert text not in cookie


@pytest.mark.parametrize(
    ("access", "host"), [({"origin": "https://whodid.acme.example"}, "127.0.0.1"), ({}, "0.0.0.0")]
)
def test_off_loopback_it_travels_over_tls_alone(
    store: Store, tmp_path: Path, access: dict[str, Any], host: str
) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path, access, host=host).client(base_url="https://localhost")
    cookie = sign_in(client, text).headers["set-cookie"]
    assert cookie.startswith("__Host-whodid=")
    assert "; secure" in cookie.lower()
    assert client.get(WHO).status_code == 200


def test_what_is_no_token_gives_no_cookie(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    revoked = token(tmp_path)
    revoke(tmp_path, revoked)
    client = Front(store, tmp_path).client()
    for wrong in ("", "x", text[:-1], revoked, f"{text} {text}", "<script>alert(1)</script>"):
        answer = sign_in(client, wrong)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text
        assert 'role="alert"' in answer.text
    assert client.get(WHO).status_code == 401


def test_a_session_ends_with_its_token(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    sign_in(client, text)
    assert client.get(WHO).status_code == 200
    revoke(tmp_path, text)
    assert client.get(WHO).status_code == 401
    assert client.get("/", headers=HTML).status_code == 303


def test_a_session_is_never_longer_than_its_token(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path, lives=datetime.timedelta(minutes=3))
    cookie = sign_in(Front(store, tmp_path).client(), text).headers["set-cookie"]
    found = re.search(r"Max-Age=(\d+)", cookie)
    assert found
    assert 170 <= int(found[1]) <= 180


def test_a_session_has_its_tokens_role_and_tenant(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path, tenant="umbrella")
    client = Front(store, tmp_path).client()
    sign_in(client, text)
    assert client.get(WHO).json()["principal"]["id"]["value"] == "alice@umbrella.example"
    assert client.get(f"{WHO}&tenant=acme").status_code == 403
    assert client.get("/api/v1/sql?query=SELECT+1").status_code == 403


def test_a_cookie_that_was_not_made_here_is_none(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path, role=Role.ADMIN, tenant="*")
    front = Front(store, tmp_path)
    client = front.client()
    good = sign_in(client, text).cookies["whodid"]
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    key = sessions.key_of(front.settings)

    def signed(with_key: bytes, algorithm: str = "HS256", **changes: Any) -> str:
        return jwt.encode(
            {"alg": algorithm}, claims | changes, OctKey.import_key(with_key), algorithms=[algorithm]
        )

    def encoded(part: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    own = sessions.derived(key, "session")
    wrong = {
        "no signature": f"{head}.{body}.",
        "alg none": f"{encoded({'alg': 'none'})}.{body}.",
        "alg None": f"{encoded({'alg': 'None'})}.{body}.",
        "another's signature": f"{head}.{body}.{signature[::-1]}",
        "another key": signed(b"k" * 32),
        "the key itself": signed(key),
        "the key of forms": signed(sessions.derived(key, "csrf")),
        "another algorithm": signed(own, "HS512"),
        "over": signed(own, exp=1),
        "without an end": signed(own, exp=None),
        "an end that is none": signed(own, exp="never"),
        "for something else": signed(own, aud="api"),
        "by somebody else": signed(own, iss="other"),
        "of a token that is not there": signed(own, sub="0" * 16),
        "of a token that is none": signed(own, sub=["x"]),
        "changed claims": f"{head}.{encoded(claims | {'exp': 2**40})}.{signature}",
        "empty": "",
        "dots": "..",
        "nested": base64.urlsafe_b64encode(b"[" * 500).decode() + "..",
        "long": "x" * 5000,
        "the token": text,
    }
    for what, each in wrong.items():
        fresh = front.client()
        assert fresh.get(WHO, headers={"cookie": f"whodid={each}"}).status_code == 401, what
    assert front.client().get(WHO, headers={"cookie": f"whodid={signed(own)}"}).status_code == 200
    assert front.client().get(WHO, headers={"cookie": f"__Host-whodid={good}"}).status_code == 401


def test_a_bad_token_is_not_mended_by_a_good_cookie(store: Store, tmp_path: Path) -> None:
    text, other = token(tmp_path), token(tmp_path)
    client = Front(store, tmp_path).client()
    sign_in(client, text)
    revoke(tmp_path, other)
    assert client.get(WHO, headers=bearer(other)).status_code == 401


def test_signing_out_ends_the_session_for_who_kept_the_cookie_too(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    front = Front(store, tmp_path)
    client = front.client()
    kept = sign_in(client, text).cookies["whodid"]
    form = {csrf.FIELD: csrf_token(front, kept)}
    assert client.post("/sign-out", data={csrf.FIELD: "0" * 64}, headers=HTML).status_code == 403
    assert client.post("/sign-out", data={"x": "1"}, headers=HTML).status_code == 403
    assert client.get("/sign-out", headers=HTML).status_code == 405
    assert client.get(WHO).status_code == 200
    answer = client.post("/sign-out", data=form, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert client.get(WHO).status_code == 401
    assert front.client().get(WHO, headers={"cookie": f"whodid={kept}"}).status_code == 401
    # The token is still good.
    assert sign_in(client, text).status_code == 303


def csrf_token(front: Front, cookie: str) -> str:
    """As a page of this session would have it."""
    access = front.app.state.access
    session = access.sessions.read(cookie)
    viewer = access.authenticator.tokens.by_id(session.token_id).viewer("acme", "session", session.id)
    return access.csrf_token(viewer)


def test_a_form_of_another_session_is_refused(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    mallory, alice = token(tmp_path, "mallory@acme.example"), token(tmp_path)
    theirs = csrf_token(front, sign_in(front.client(), mallory).cookies["whodid"])
    client = front.client()
    first = csrf_token(front, sign_in(client, alice).cookies["whodid"])
    second = csrf_token(front, sign_in(client, alice).cookies["whodid"])
    assert len({theirs, first, second}) == 3
    for stale in (theirs, first):
        assert client.post("/sign-out", data={csrf.FIELD: stale}, headers=HTML).status_code == 403
    assert client.post("/sign-out", data={csrf.FIELD: second}, headers=HTML).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost:1"},
    ],
)
def test_no_other_site_signs_anybody_in_or_out(store: Store, tmp_path: Path, headers: dict[str, str]) -> None:
    text = token(tmp_path)
    front = Front(store, tmp_path)
    client = front.client()
    answer = sign_in(client, text, **headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    form = {csrf.FIELD: csrf_token(front, sign_in(client, text).cookies["whodid"])}
    assert client.post("/sign-out", data=form, headers={**HTML, **headers}).status_code == 403
    assert (
        client.post("/sign-out", data=form, headers={**HTML, "sec-fetch-site": "same-origin"}).status_code
        == 303
    )


def test_behind_a_proxy_its_origin_is_ours(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path, {"origin": "https://whodid.acme.example"}).client()
    assert sign_in(client, text, origin="https://whodid.acme.example").status_code == 303
    assert sign_in(client, text, origin="http://whodid.acme.example").status_code == 403


AWAY = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " //evil.example",
    "evil.example",
    "/\u2028/evil.example",
    "/\u00a0",
    "//[",
    "",
    "/sign-in",
    "/sign-in?next=/",
    "/sign-out",
    "/" + "x" * 5000,
    "/x\r\nset-cookie: a=b",
]


@pytest.mark.parametrize("target", AWAY, ids=repr)
def test_nobody_is_sent_elsewhere(store: Store, tmp_path: Path, target: str) -> None:
    assert targets.safe(target) == "/"
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    answer = sign_in(client, text, target)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "a=b" not in answer.headers["set-cookie"]
    page = client.get("/sign-in", params={"next": target}, headers=HTML)
    assert 'name="next" value="/"' in page.text


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/%0d%0aset-cookie:%20a=b", "///"])
def test_a_path_that_reads_like_a_host_is_not_gone_on_to(store: Store, tmp_path: Path, path: str) -> None:
    token(tmp_path)
    client = Front(store, tmp_path).client()
    cross = client.get(f"http://localhost{path}", headers={**HTML, **CLICKED})
    plain = client.get(f"http://localhost{path}", headers=HTML)
    assert cross.status_code == 200
    addresses = re.findall(r'(?:url=|href=")([^"]*)"', cross.text)
    assert len(addresses) == 3
    assert all(re.match(r"/([^/\\]|$)", each) for each in addresses)
    assert plain.status_code == 303
    assert plain.headers["location"].startswith("/sign-in")
    assert "set-cookie" not in plain.headers


class _Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


HOSTILE = "/x?a=\"'><script>alert(1)</script><img src=x onerror=alert(1)>&b=';alert(1)//"


def test_what_an_address_holds_stays_text(store: Store, tmp_path: Path) -> None:
    token(tmp_path)
    client = Front(store, tmp_path).client()
    page = client.get("/sign-in", params={"next": HOSTILE}, headers=HTML)
    cross = client.get(HOSTILE, headers={**HTML, **CLICKED})
    assert cross.status_code == 200
    for each in (page, cross):
        elements = _Elements(each.text).found
        assert not {"script", "img", "style", "iframe"} & {tag for tag, _ in elements}
        names = {name for _, attributes in elements for name in attributes}
        assert not any(name.startswith("on") or name == "style" for name in names)
    fields = {attributes.get("name"): attributes.get("value") for _, attributes in _Elements(page.text).found}
    assert fields["next"] == HOSTILE


def test_from_a_mail_one_comes_to_the_page_and_not_to_the_form(store: Store, tmp_path: Path) -> None:
    # SameSite=Strict: after a click elsewhere the browser keeps the cookie back, once.
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    clicked = client.get(
        "/questions/who?id=action-1",
        headers={**HTML, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    )
    assert clicked.status_code == 200
    metas = [attributes for tag, attributes in _Elements(clicked.text).found if tag == "meta"]
    assert {"http-equiv": "refresh", "content": "0;url=/questions/who?id=action-1"} in metas
    assert "alice" not in clicked.text
    sign_in(client, text)
    own = {**HTML, "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
    assert client.get("/questions/who?id=action-1", headers=own).status_code == 200
    client.cookies.clear()
    assert client.get("/questions/who?id=action-1", headers=own).status_code == 303


def test_a_part_of_a_page_is_not_replaced_by_the_form(store: Store, tmp_path: Path) -> None:
    token(tmp_path)
    client = Front(store, tmp_path).client()
    answer = client.get("/?panel=x", headers={**HTML, "hx-request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/sign-in"


def test_where_anyone_may_look_there_is_nothing_to_sign_in_to(store: Store, tmp_path: Path) -> None:
    client = Front(store, tmp_path).client()
    answer = client.get("/sign-in?next=/questions/who", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/questions/who")


def test_who_fails_too_often_has_to_wait(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    front = Front(store, tmp_path, {"max_failed_sign_ins": 3})
    client = front.client()
    assert [sign_in(client, "x").status_code for _ in range(4)] == [403, 403, 403, 429]
    answer = sign_in(client, text)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "set-cookie" not in answer.headers
    # Others do not, and neither does who has a session or a token.
    assert sign_in(front.client("192.0.2.7"), text).status_code == 303
    assert client.get(WHO, headers=bearer(text)).status_code == 200


def test_the_counts_are_bounded_and_end() -> None:
    now_s = 0.0
    counted = attempts.Attempts(2, lambda: now_s)
    for number in range(3):
        counted.failed(f"2001:db8::{number}")
    with pytest.raises(attempts.TooManyAttemptsError):
        counted.check("2001:db8::ffff")  # of the same site
    counted.check("2001:db8:0:1::1")
    for number in range(attempts.MAX_ADDRESSES):
        counted.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    with pytest.raises(attempts.TooManyAttemptsError) as caught:
        counted.check("192.0.2.1")
    assert caught.value.retry_after_s == 60
    now_s = 60.0
    counted.check("192.0.2.1")
    counted.check("2001:db8::1")


def test_a_form_is_small_and_a_form(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path, {"max_failed_sign_ins": 100}).client()

    def sent(content: bytes, kind: str = FORM["content-type"]) -> Any:
        return client.post("/sign-in", content=content, headers={**HTML, "content-type": kind})

    wrong = [
        sent(b"token=" + b"x" * forms.MAX_BYTES),
        sent(f"token={text}&token={text}".encode()),
        sent(b"&".join(b"f%d=1" % number for number in range(100))),
        sent(b"token=%ff"),
        sent(b"token=\xff"),
        sent(f'{{"token": "{text}"}}'.encode(), "application/json"),
        sent(f"token={text}".encode(), "text/plain"),
    ]
    assert [answer.status_code for answer in wrong] == [400] * len(wrong)
    assert not any("set-cookie" in answer.headers for answer in wrong)
    assert (
        sent(f"token={text}".encode(), "application/x-www-form-urlencoded; charset=utf-8").status_code == 303
    )


def test_the_key_is_made_once_and_kept_from_others(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    cookie = sign_in(client, text).cookies["whodid"]
    path = tmp_path / sessions.KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    # After a restart the session goes on; with another key it does not.
    again = {"cookie": f"whodid={cookie}"}
    assert Front(store, tmp_path).client().get(WHO, headers=again).status_code == 200
    path.write_bytes(b"k" * 32)
    assert Front(store, tmp_path).client().get(WHO, headers=again).status_code == 401
    for mode, content, cause in ((0o644, b"k" * 32, "others"), (0o600, b"k", "32 bytes")):
        path.chmod(mode)
        path.write_bytes(content)
        with pytest.raises(Exception, match=cause):
            Front(store, tmp_path)
