"""The API with tokens: nobody without one, no other tenant, no content for a viewer, none from elsewhere."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access import HTML, Front, bearer, fill, id_of, revoke, token
from whodid.processor.access.headers import HEADERS
from whodid.processor.access.viewer import Role, Viewer
from whodid.store import Store

WHO = "/api/v1/who?id=action-1"
SQL = "/api/v1/sql?query=SELECT+1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('access') / 'store'}", tenant="acme")
    fill(opened)
    yield opened
    opened.close()


def test_on_loopback_anyone_may_look_until_there_is_a_token(store: Store, tmp_path: Path) -> None:
    client = Front(store, tmp_path).client()
    assert client.get(WHO).status_code == 200
    assert client.get(f"{WHO}&tenant=umbrella").json()["principal"]["id"]["value"] == "alice@umbrella.example"
    text = token(tmp_path)
    assert client.get(WHO).status_code == 401
    assert client.get(WHO, headers=bearer(text)).status_code == 200


def test_a_file_that_is_gone_or_has_only_what_is_over_opens_nothing(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    front = Front(store, tmp_path)
    client = front.client()
    assert client.get(WHO).status_code == 401
    (tmp_path / "tokens.json").unlink()
    assert client.get(WHO).status_code == 401
    assert client.get(WHO, headers=bearer(text)).status_code == 401
    other = token(tmp_path)
    revoke(tmp_path, other)
    assert client.get(WHO).status_code == 401
    assert Front(store, tmp_path).client().get(WHO).status_code == 401


@pytest.mark.parametrize("content", [b"", b"{", b"[]x", b'[{"id": "x"}]', b"\xff\xfe"])
def test_a_file_that_cannot_be_read_lets_nobody_in(store: Store, tmp_path: Path, content: bytes) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    (tmp_path / "tokens.json").write_bytes(content)
    answer = client.get(WHO, headers=bearer(text))
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:whodid:problem:tokens"
    assert client.get(WHO).status_code == 503
    assert client.get("/", headers=HTML).status_code == 503
    assert client.get("/sign-in", headers=HTML).status_code == 503
    assert client.get("/healthz").status_code == 200


def test_a_file_that_others_may_write_lets_nobody_in(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    (tmp_path / "tokens.json").chmod(0o666)
    # A change of mode alone is seen as well.
    assert client.get(WHO, headers=bearer(text)).status_code == 503


def test_without_a_token_the_api_says_how_to_send_one(store: Store, tmp_path: Path) -> None:
    token(tmp_path)
    client = Front(store, tmp_path).client()
    for path in (WHO, SQL, "/api/v1", "/api/v1/openapi.json", "/api/v1/nothing", "/nothing", "/events", "/"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == 'Bearer realm="whodid"'
        assert answer.json()["type"] == "urn:whodid:problem:unknown-viewer"
    for path in ("/healthz", "/readyz"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["//healthz", "/healthz/", "/static/../api/v1", "/static/%2e%2e/api/v1", "/HEALTHZ"]
)
def test_what_looks_like_an_open_path_leads_nowhere(store: Store, tmp_path: Path, path: str) -> None:
    token(tmp_path)
    answer = Front(store, tmp_path).client().get(path)
    assert answer.status_code in (401, 404)
    assert "openapi" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_an_open_path_is_open_for_what_it_is_for(store: Store, tmp_path: Path, method: str) -> None:
    token(tmp_path)
    assert Front(store, tmp_path).client().request(method, "/healthz", headers=HTML).status_code in (303, 401)


def test_what_is_no_token_lets_nobody_in(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path, role=Role.ADMIN, tenant="*")
    client = Front(store, tmp_path).client()
    head, id_, secret = text.split("_", 2)
    flipped = secret[:-2] + ("A" if secret[-2] != "A" else "B") + secret[-1]
    wrong = {
        "another secret": f"{head}_{id_}_{flipped}",
        "another id": f"{head}_{'0' * 16}_{secret}",
        "cut off": text[:-1],
        "longer": f"{text}A",
        "the id": id_,
        "empty": "",
        "the digest": (tmp_path / "tokens.json").read_text().split('"digest": "')[1][:64],
        "upper case": text.upper(),
        "null": f"{text}\0",
    }
    for what, each in wrong.items():
        answer = client.get(WHO, headers=[(b"authorization", b"Bearer " + each.encode())])
        assert answer.status_code == 401, what
        assert "invalid_token" in answer.headers["www-authenticate"]
    for scheme in ("Basic", "Token", ""):
        assert client.get(WHO, headers={"authorization": f"{scheme} {text}"}).status_code == 401
    assert client.get(WHO, headers={"authorization": f"bearer {text}"}).status_code == 200


def test_revoked_and_expired_tokens_let_nobody_in(store: Store, tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    live, revoked = token(tmp_path), token(tmp_path)
    expired = token(tmp_path, made=now - day, lives=day - datetime.timedelta(seconds=5))
    short = token(tmp_path, made=now, lives=datetime.timedelta(seconds=30))
    client = Front(store, tmp_path).client()
    assert client.get(WHO, headers=bearer(revoked)).status_code == 200
    revoke(tmp_path, revoked)
    assert client.get(WHO, headers=bearer(revoked)).status_code == 401
    assert client.get(WHO, headers=bearer(expired)).status_code == 401
    assert client.get(WHO, headers=bearer(short)).status_code == 200
    assert client.get(WHO, headers=bearer(live)).status_code == 200


def test_a_token_in_the_address_is_refused_even_if_it_is_good(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    for name in ("token", "access_token", "id"):
        answer = client.get(f"/api/v1/who?id=action-1&{name}={text}", headers=bearer(text))
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:whodid:problem:token-in-address"
        assert text not in answer.text
    assert client.get(f"/sign-in?next=/%3ftoken={text}").status_code == 400


def test_a_viewer_sees_its_own_tenant_alone(store: Store, tmp_path: Path) -> None:
    acme = bearer(token(tmp_path, role=Role.ADMIN))
    umbrella = bearer(token(tmp_path, tenant="umbrella", role=Role.INVESTIGATOR))
    everybody = bearer(token(tmp_path, tenant="*", role=Role.ADMIN))
    client = Front(store, tmp_path).client()

    def seen(headers: dict[str, str], more: str = "") -> object:
        answer = client.get(WHO + more, headers=headers)
        return answer.json()["principal"]["id"]["value"] if answer.status_code == 200 else answer.status_code

    assert seen(acme) == seen(everybody) == seen(acme, "&tenant=acme") == "alice@acme.example"
    assert seen(umbrella) == seen(everybody, "&tenant=umbrella") == "alice@umbrella.example"
    assert seen(acme, "&tenant=umbrella") == seen(umbrella, "&tenant=acme") == 403
    # Not the tenant that has no name, not one in other letters, and not one that comes twice.
    assert seen(umbrella, "&tenant=") == seen(acme, "&tenant=ACME") == 403
    assert seen(acme, "&tenant=*") == 400
    assert seen(acme, "&tenant=acme&tenant=umbrella") == 400
    statement = "SELECT+DISTINCT+tenant_id+FROM+spans"
    rows = client.get(f"/api/v1/sql?query={statement}", headers=umbrella).json()["rows"]
    assert rows == [["umbrella"]]
    posted = {"query": "SELECT DISTINCT tenant_id FROM spans"}
    assert client.post("/api/v1/sql?tenant=acme", headers=umbrella, json=posted).status_code == 403
    assert client.post("/api/v1/sql", headers=umbrella, json=posted).json()["rows"] == [["umbrella"]]
    assert client.post("/api/v1/sql", headers=umbrella, json={**posted, "tenant": "acme"}).status_code == 400


def test_sql_needs_an_investigator(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path)
    client = front.client()
    viewer = bearer(token(tmp_path))
    answers = [
        client.get(SQL, headers=viewer),
        client.get(f"{SQL}&sql=true", headers=viewer),
        client.post("/api/v1/sql", headers=viewer, json={"query": "SELECT 1"}),
    ]
    for answer in answers:
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:whodid:problem:forbidden"
        assert "investigator" in answer.json()["title"]
    assert front.recorded == []
    for role in (Role.INVESTIGATOR, Role.ADMIN):
        assert client.get(SQL, headers=bearer(token(tmp_path, role=role))).status_code == 200
    assert len(front.recorded) == 2


def test_roles_stand_in_their_order_and_not_in_that_of_the_alphabet() -> None:
    assert Role.VIEWER < Role.INVESTIGATOR < Role.ADMIN
    assert max(Role.VIEWER, Role.ADMIN, Role.INVESTIGATOR) is Role.ADMIN
    assert Role.ADMIN >= Role.ADMIN > Role.VIEWER
    assert not Role.VIEWER >= Role.INVESTIGATOR
    assert Role.VIEWER <= Role.VIEWER
    with pytest.raises(ValueError, match="root"):
        _ = Role.VIEWER < "root"


def test_a_viewer_that_is_none_is_a_bug_and_no_admin(store: Store, tmp_path: Path) -> None:
    # What a caller sends cannot become the request's state.
    client = Front(store, tmp_path).client()
    token(tmp_path)
    forged = {"x-viewer": "admin", "x-forwarded-user": "root", "x-remote-user": "root", "state": "admin"}
    assert client.get(WHO, headers=forged).status_code == 401
    assert Viewer(name="x", tenant="acme", role=Role.VIEWER).all_tenants is False


def test_every_answer_has_the_headers(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    answers = [
        client.get(WHO, headers=bearer(text)),
        client.get(WHO),
        client.get("/", headers=HTML),
        client.get("/sign-in"),
        client.get("/", headers={**HTML, **bearer(text)}),
        client.get("/nothing", headers=bearer(text)),
        client.get("/healthz"),
        client.get(WHO, headers={"host": "evil.example"}),
        client.post("/sign-in", content=b"x"),
    ]
    assert {answer.status_code for answer in answers} == {200, 303, 400, 401, 404}
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"] == "no-store"
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    style = client.get("/static/whodid.css")
    assert style.status_code == 200
    assert "no-store" not in style.headers.get("cache-control", "")
    assert style.headers["x-content-type-options"] == "nosniff"


def test_a_bug_has_them_too(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front(store, tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(store, "reader", broken)
    answer = front.client().get(WHO)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_gets_nothing_from_the_api(store: Store, tmp_path: Path, site: str) -> None:
    client = Front(store, tmp_path).client()  # open: the browser's user needs no token here
    load = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert client.get(WHO, headers=load).status_code == 403
    assert client.get(WHO, headers={**load, "sec-fetch-mode": "cors"}).status_code == 403
    # A link to it may be followed: nobody else reads what is shown then.
    assert client.get(WHO, headers={**load, "sec-fetch-mode": "navigate"}).status_code == 200
    posted = {"query": "SELECT 1"}
    assert (
        client.post("/api/v1/sql", json=posted, headers={**load, "sec-fetch-mode": "navigate"}).status_code
        == 403
    )
    assert (
        client.post("/api/v1/sql", json=posted, headers={"origin": "https://evil.example"}).status_code == 403
    )
    assert client.post("/api/v1/sql", json=posted, headers={"origin": "null"}).status_code == 403
    assert client.post("/api/v1/sql", json=posted, headers={"origin": "http://[localhost"}).status_code == 403
    assert client.post("/api/v1/sql", json=posted, headers={"origin": "http://localhost"}).status_code == 200
    assert client.post("/api/v1/sql", json=posted).status_code == 200


def test_a_name_that_is_pointed_at_this_machine_is_refused(store: Store, tmp_path: Path) -> None:
    text = token(tmp_path)
    client = Front(store, tmp_path).client()
    assert client.get(WHO, headers={**bearer(text), "host": "evil.example"}).status_code == 400
    behind = Front(store, tmp_path, {"origin": "https://whodid.acme.example"}).client()
    assert behind.get(WHO, headers={**bearer(text), "host": "whodid.acme.example"}).status_code == 200


def test_the_description_says_how_to_be_known(store: Store, tmp_path: Path) -> None:
    described = Front(store, tmp_path).client().get("/api/v1/openapi.json").json()
    schemes = described["components"]["securitySchemes"]
    assert schemes["token"] == {**schemes["token"], "type": "http", "scheme": "bearer"}
    assert {"token": []} in described["security"]
    for operations in described["paths"].values():
        for operation in operations.values():
            assert {"401", "403"} <= set(operation["responses"])


def test_ids_are_not_secrets(tmp_path: Path) -> None:
    text = token(tmp_path)
    content = (tmp_path / "tokens.json").read_text()
    assert id_of(text) in content
    assert text not in content
    assert text.split("_", 2)[2] not in content
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
