"""A proxy in front: JWTs that are verified, headers that are believed of configured peers alone."""

from __future__ import annotations

import base64
import datetime
import hmac
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from tests.access import HTML, Front, bearer, fill, token
from whodid.processor import settings
from whodid.processor.access import keys as keys_module
from whodid.processor.errors import WhodidError
from whodid.store import Store

WHO = "/api/v1/who?id=action-1"
SQL = "/api/v1/sql?query=SELECT+1"
HEADER = "X-Id-Token"
ISSUER, AUDIENCE = "https://login.acme.example", "whodid"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})
ROLES = {"soc": "investigator", "platform": "admin", "staff": "viewer"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"chdb://{tmp_path_factory.mktemp('proxy') / 'store'}", tenant="acme")
    fill(opened)
    yield opened
    opened.close()


def jwks(*keys: Any) -> str:
    return json.dumps(KeySet(list(keys)).as_dict(private=False))


def by_jwt(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """The settings of a proxy whose JWTs are verified."""
    path = tmp_path / "jwks.json"
    if not path.exists():
        path.write_text(jwks(RSA, EC, ED))
    return {
        "proxy": {
            "kind": "jwt",
            "header": HEADER,
            "jwks": str(path),
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "roles": ROLES,
            **more,
        }
    }


def claims(**changes: Any) -> dict[str, Any]:
    now_s = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "u-1",
        "email": "alice@acme.example",
        "groups": ["soc"],
        "iat": now_s,
        "exp": now_s + 300,
    } | changes
    return {name: value for name, value in said.items() if value is not None}


def signed(
    key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any
) -> str:
    head = {"alg": algorithm, "kid": key.kid, **(header or {})}
    return jwt.encode(head, claims(**changes), key, algorithms=[algorithm])


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "Ed25519")]
)
def test_a_verified_jwt_is_believed(store: Store, tmp_path: Path, key: Any, algorithm: str) -> None:
    front = Front(store, tmp_path, by_jwt(tmp_path))
    client = front.client()
    assert client.get(WHO).status_code == 401
    assert client.get(WHO, headers={HEADER: signed(key, algorithm)}).status_code == 200
    assert client.get(WHO, headers={HEADER: f"Bearer {signed(key, algorithm)}"}).status_code == 200
    assert client.get(SQL, headers={HEADER: signed(key, algorithm)}).status_code == 200
    assert b"alice@acme.example" in front.recorded[0]
    assert front.said == []


def test_a_jwt_that_is_not_the_issuers_is_not(store: Store, tmp_path: Path) -> None:
    now_s = int(time.time())
    public = json.loads(jwks(RSA))["keys"][0]
    pem = RSA.as_pem(private=False)
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode()

    def unsigned(**head: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode() + f".{body}."

    secret_part = unsigned(alg="HS256", kid="rsa-1").rstrip(".")
    with_secret = base64.urlsafe_b64encode(hmac.digest(pem, secret_part.encode(), "sha256")).decode()
    good = signed()
    wrong = {
        "a stranger's key": signed(STRANGER),
        "alg none": unsigned(alg="none", kid="rsa-1"),
        "alg none, signed": unsigned(alg="none", kid="rsa-1") + good.split(".")[2],
        "the public key as a secret": f"{secret_part}.{with_secret.rstrip('=')}",
        "a key of its own": signed(STRANGER, header={"jwk": STRANGER.as_dict(private=False), "kid": "own"}),
        "a key from elsewhere": signed(STRANGER, header={"jku": "https://evil.example/jwks", "kid": "own"}),
        "another issuer": signed(iss="https://evil.example"),
        "no issuer": signed(iss=None),
        "another audience": signed(aud="grafana"),
        "other audiences": signed(aud=["grafana", "whodid2"]),
        "no audience": signed(aud=None),
        "over": signed(exp=now_s - 60),
        "without an end": signed(exp=None),
        "an end that is a text": signed(exp="2040"),
        "not yet": signed(nbf=now_s + 600),
        "from the future": signed(iat=now_s + 600),
        "nobody": signed(email=None),
        "a name that is none": signed(email=["alice@acme.example"]),
        "an empty name": signed(email=""),
        "a long name": signed(email="a" * 300),
        "a name that turns": signed(email="alice\u202e@acme.example"),
        "a name of two lines": signed(email="alice\nbob"),
        "an address nobody confirmed": signed(email_verified=False),
        "changed": good[:-3] + ("AAA" if not good.endswith("AAA") else "BBB"),
        "cut off": good[:50],
        "two of them": f"{good} {good}",
        "long": "x" * 20_000,
        "nested": base64.urlsafe_b64encode(b"[" * 9_000).decode() + ".e30.x",
        "empty": "",
        "the public key": json.dumps(public),
    }
    front = Front(store, tmp_path, by_jwt(tmp_path))
    client = front.client()
    for what, each in wrong.items():
        answer = client.get(WHO, headers={HEADER: each})
        assert answer.status_code == 401, what
    assert client.get(WHO, headers=[(HEADER, good), (HEADER, good)]).status_code == 401
    assert client.get(WHO, headers={HEADER: good}).status_code == 200
    # What is said of it has neither the JWT nor anything of it.
    assert len(front.said) == 1
    assert "BadSignature" in front.said[0]
    assert not any(part in front.said[0] for part in signed(STRANGER).split(".")[:2])


def test_several_audiences_may_have_ours_among_them(store: Store, tmp_path: Path) -> None:
    client = Front(store, tmp_path, by_jwt(tmp_path)).client()
    assert client.get(WHO, headers={HEADER: signed(aud=["grafana", AUDIENCE])}).status_code == 200


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        (["soc"], 200),
        ("soc", 200),
        (["staff", "soc"], 200),
        (["staff"], 403),
        (["staff", "SOC", "soc "], 403),
        (["admin", "investigator"], 403),
        ([], 403),
        (None, 403),
        ({"soc": True}, 403),
        ([["soc"]], 403),
        (7, 403),
    ],
)
def test_the_highest_of_the_groups_roles_counts(
    store: Store, tmp_path: Path, groups: object, status: int
) -> None:
    client = Front(store, tmp_path, by_jwt(tmp_path)).client()
    assert client.get(SQL, headers={HEADER: signed(groups=groups)}).status_code == status


def test_who_is_in_no_group_does_not_look_unless_there_is_a_default(store: Store, tmp_path: Path) -> None:
    client = Front(store, tmp_path, by_jwt(tmp_path)).client()
    nobody = {HEADER: signed(groups=["guests"])}
    answer = client.get(WHO, headers=nobody)
    assert answer.status_code == 403
    assert "access.proxy.roles" in answer.json()["hint"]
    page = client.get("/", headers={**HTML, **nobody})
    assert page.status_code == 403
    assert "text/html" in page.headers["content-type"]
    default = Front(store, tmp_path, by_jwt(tmp_path, default_role="viewer")).client()
    assert default.get(WHO, headers=nobody).status_code == 200
    assert default.get(SQL, headers=nobody).status_code == 403


def test_groups_have_tenants(store: Store, tmp_path: Path) -> None:
    tenants = {"platform": "*", "umbrella-soc": "umbrella"}
    roles = {**ROLES, "umbrella-soc": "investigator"}
    client = Front(store, tmp_path, by_jwt(tmp_path, tenants=tenants, roles=roles)).client()

    def seen(groups: list[str], more: str = "") -> object:
        answer = client.get(WHO + more, headers={HEADER: signed(groups=groups)})
        return answer.json()["principal"]["id"]["value"] if answer.status_code == 200 else answer.status_code

    assert seen(["soc"]) == seen(["platform"]) == "alice@acme.example"
    assert seen(["umbrella-soc"]) == seen(["platform"], "&tenant=umbrella") == "alice@umbrella.example"
    assert seen(["soc"], "&tenant=umbrella") == seen(["umbrella-soc"], "&tenant=acme") == 403
    # All tenants are for admins: a group that has them and not the role is a mistake, and opens nothing.
    mistaken = Front(store, tmp_path, by_jwt(tmp_path, tenants={"soc": "*"})).client()
    assert mistaken.get(WHO, headers={HEADER: signed()}).status_code == 403


@pytest.mark.parametrize("tenant", [None, "", "*", "a b", "x" * 200, 7, ["acme"]])
def test_a_claimed_tenant_has_to_be_one(store: Store, tmp_path: Path, tenant: object) -> None:
    client = Front(store, tmp_path, by_jwt(tmp_path, tenant_claim="org")).client()
    assert client.get(WHO, headers={HEADER: signed(org=tenant)}).status_code == 403
    other = client.get(WHO, headers={HEADER: signed(org="umbrella")})
    assert other.json()["principal"]["id"]["value"] == "alice@umbrella.example"


def test_a_jwt_may_come_as_a_bearer_token_beside_our_own(store: Store, tmp_path: Path) -> None:
    ours = token(tmp_path, "bob@acme.example")
    client = Front(store, tmp_path, by_jwt(tmp_path, header="Authorization")).client()
    assert client.get(WHO, headers=bearer(signed())).status_code == 200
    assert client.get(WHO, headers=bearer(ours)).status_code == 200
    assert client.get(WHO, headers=bearer(signed(STRANGER))).status_code == 401


def test_new_keys_in_the_file_count_at_once(store: Store, tmp_path: Path) -> None:
    client = Front(store, tmp_path, by_jwt(tmp_path)).client()
    new = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 401
    path = tmp_path / "jwks.json"
    path.write_text(jwks(new))
    assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 200
    assert client.get(WHO, headers={HEADER: signed()}).status_code == 401
    shared = OctKey.generate_key(256, {"kid": "s"})
    for content in (
        "",
        "{}",
        '{"keys": 7}',
        '{"keys": []}',
        json.dumps({"keys": [shared.as_dict()]}),
        "[" * 9999,
    ):
        path.write_text(content)
        answer = client.get(WHO, headers={HEADER: signed(new)})
        assert answer.status_code == 503, content[:20]
        assert answer.json()["type"] == "urn:whodid:problem:keys"
    path.unlink()
    assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 503


def by_name(*peers: str, **more: Any) -> dict[str, Any]:
    proxy = {"kind": "header", "header": "X-Forwarded-User", "peers": list(peers), "roles": ROLES, **more}
    return {"proxy": proxy}


def test_a_name_is_believed_of_the_proxy_alone(store: Store, tmp_path: Path) -> None:
    front = Front(store, tmp_path, by_name("192.0.2.0/24", "2001:db8::7"))
    said = {"X-Forwarded-User": "alice@acme.example", "X-Forwarded-Groups": "staff, soc"}
    for peer in ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::7"):
        assert front.client(peer).get(SQL, headers=said).status_code == 200, peer
    assert front.said == []
    for peer in ("127.0.0.1", "::1", "192.0.3.9", "2001:db8::8", "testclient", ""):
        assert front.client(peer).get(WHO, headers=said).status_code == 401, peer
        # Nor by what anyone can write of an address.
        forged = {
            **said,
            "X-Forwarded-For": "192.0.2.9",
            "Forwarded": "for=192.0.2.9",
            "X-Real-IP": "192.0.2.9",
        }
        assert front.client(peer).get(WHO, headers=forged).status_code == 401, peer
    assert "X-Forwarded-User came from 127.0.0.1" in front.said[0]
    assert "alice" not in front.said[0]


def test_a_name_from_the_proxy_has_to_be_one(store: Store, tmp_path: Path) -> None:
    client = Front(store, tmp_path, by_name("127.0.0.1", default_role="viewer")).client()
    header = "X-Forwarded-User"
    for name in (b"", b" ", b"a" * 300, b"al\x07ice", "al\xadice".encode("latin-1")):
        assert client.get(WHO, headers=[(header.encode(), name)]).status_code == 401, name
    twice = [(header, "alice"), (header, "root")]
    assert client.get(WHO, headers=twice).status_code == 401
    assert client.get(WHO, headers={header: "alice"}).status_code == 200
    assert client.get(SQL, headers={header: "alice", "X-Forwarded-Groups": ""}).status_code == 403
    assert client.get(WHO).status_code == 401


def test_without_a_proxy_its_headers_mean_nothing(store: Store, tmp_path: Path) -> None:
    token(tmp_path)
    client = Front(store, tmp_path).client()
    said = {"X-Forwarded-User": "root", HEADER: signed(), "X-Forwarded-Groups": "platform"}
    assert client.get(WHO, headers=said).status_code == 401


def test_on_loopback_a_proxy_is_no_option(store: Store, tmp_path: Path) -> None:
    assert Front(store, tmp_path, by_jwt(tmp_path)).client().get(WHO).status_code == 401
    assert Front(store, tmp_path, by_name("127.0.0.1")).client().get(WHO).status_code == 401


@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        ({"kind": "header", "header": "X-User"}, "peers is empty"),
        ({"kind": "header", "peers": ["127.0.0.1"]}, "header is empty"),
        ({"kind": "header", "header": "X-User", "peers": ["here"]}, "peers"),
        ({"kind": "jwt", "header": "X-Jwt", "issuer": "i", "audience": "a"}, "jwks is empty"),
        ({"kind": "jwt", "header": "X-Jwt", "jwks": "f", "audience": "a"}, "issuer is empty"),
        ({"kind": "jwt", "header": "X-Jwt", "jwks": "f", "issuer": "i"}, "audience is empty"),
        ({"kind": "jwt", "header": "X-Jwt", "jwks": "http://x/", "issuer": "i", "audience": "a"}, "https"),
        ({"kind": "basic"}, "kind"),
        ({"roles": {"soc": "root"}}, "roles"),
        ({"tenants": {"soc": "a b"}}, "tenants"),
    ],
)
def test_settings_that_would_let_anyone_in_are_refused(proxy: dict[str, Any], cause: str) -> None:
    with pytest.raises(WhodidError, match=cause):
        settings.load({"access": {"proxy": proxy}})


class _Issuer(HTTPServer):
    answer: tuple[int, bytes] = (200, b"{}")
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Issuer)
        server.asked += 1
        status, body = server.answer
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def issuer(folder: Path) -> Generator[_Issuer]:
    """An HTTPS server with a certificate of its own for localhost: `folder / "cert.pem"`."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(
        [*command, *files, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True
    )
    server = _Issuer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_keys_are_fetched_kept_and_fetched_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with issuer(tmp_path) as server:
        url = f"https://localhost:{server.server_port}/jwks"
        server.answer = (200, jwks(RSA).encode())
        # A certificate that nobody vouches for brings no keys.
        unknown = Front(store, tmp_path, by_jwt(tmp_path, jwks=url)).client()
        assert unknown.get(WHO, headers={HEADER: signed()}).status_code == 503
        assert server.asked == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        client = Front(store, tmp_path, by_jwt(tmp_path, jwks=url)).client()
        for _ in range(3):
            assert client.get(WHO, headers={HEADER: signed()}).status_code == 200
        assert server.asked == 1
        # An unknown key is looked for, but nobody makes us ask all the time.
        new = RSAKey.generate_key(2048, {"kid": "rsa-2"})
        for _ in range(3):
            assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 401
        assert server.asked == 1
        monkeypatch.setattr(keys_module, "RETRY_S", 0.0)
        server.answer = (200, jwks(new).encode())
        assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 200
        assert server.asked == 2
        # What an issuer in trouble says takes no key away, for a while.
        for answer in (
            (500, b""),
            (302, b""),
            (200, b"<html>"),
            (200, b'{"keys": []}'),
            (200, b" " * 300_000),
        ):
            server.answer = answer
            monkeypatch.setattr(keys_module, "FRESH_S", 0.0)
            assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 200
        assert server.asked == 7
        monkeypatch.setattr(keys_module, "STALE_S", 0.0)
        assert client.get(WHO, headers={HEADER: signed(new)}).status_code == 503


def test_times_are_those_of_the_jwt(store: Store, tmp_path: Path) -> None:
    # Clocks differ a little: half a minute is let through, no more.
    client = Front(store, tmp_path, by_jwt(tmp_path)).client()
    now_s = int(datetime.datetime.now(datetime.UTC).timestamp())
    assert client.get(WHO, headers={HEADER: signed(exp=now_s - 10)}).status_code == 200
    assert client.get(WHO, headers={HEADER: signed(exp=now_s - 40)}).status_code == 401
