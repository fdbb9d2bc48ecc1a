"""Signing in with a real browser: the cookie that it keeps, the hop from elsewhere, the policy it obeys."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.access import revoke, token
from tests.running import Running, service
from whodid.processor.access.viewer import Role

PAGE = "/questions/who?id=action-1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    yield tab
    context.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser") / "data"


@pytest.fixture(scope="module")
def given(data_dir: Path) -> str:
    return token(data_dir, role=Role.INVESTIGATOR, tenant="")


@pytest.fixture(scope="module")
def running(data_dir: Path, given: str) -> Iterator[Running]:
    assert given
    with service(data_dir) as started:
        yield started


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def elsewhere(folder: Path, html: str) -> Generator[str]:
    """Another site, as the browser sees it (localhost is another one than 127.0.0.1); its address."""
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text(html)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sign_in(page: Page, text: str) -> None:
    page.get_by_label("Token").fill(text)
    page.get_by_role("button", name="Sign in").click()


def test_one_comes_back_to_where_one_wanted_to_go(
    page: Page, running: Running, given: str, tmp_path: Path
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(running.api + PAGE)
    assert page.url.startswith(f"{running.api}/sign-in?next=")
    assert page.evaluate("document.activeElement.id") == "token"  # the keyboard is enough
    sign_in(page, "whodid_no_such_token")
    assert "lets nobody in" in page.get_by_role("alert").inner_text()
    assert "/sign-in" in page.url
    sign_in(page, given)
    page.wait_for_url(running.api + PAGE)
    (cookie,) = page.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    assert [each for each in said if "Content Security Policy" in each] == []
    # A link in a mail or a chat leads to the page, and not to the form.
    with elsewhere(tmp_path / "site", f'<a href="{running.api}{PAGE}">an alert</a>') as address:
        page.goto(address)
        page.get_by_text("an alert").click()
        page.wait_for_url(running.api + PAGE)
        assert page.get_by_label("Token").count() == 0
        assert "alice@acme.example" in page.locator("body").inner_text()


@pytest.mark.parametrize(
    "html",
    [
        '<iframe id="x" src="{api}/"></iframe>',
        '<script src="{api}/api/v1/sql?query=SELECT+1"></script>',
        '<img src="{api}/api/v1/sql?query=SELECT+1">',
        "<script>fetch('{api}/api/v1/sql?query=SELECT+1', {{mode: 'no-cors'}})</script>",
        "<script>fetch('{api}/api/v1/sql', {{method: 'POST', mode: 'no-cors', body: '{{}}'}})</script>",
        '<form id="f" method="post" action="{api}/sign-in"><input name="token" value="{text}"></form>'
        "<script>f.submit()</script>",
    ],
    ids=["frame", "script", "image", "fetch", "post", "sign-in"],
)
def test_another_sites_page_gets_nothing(
    page: Page, running: Running, given: str, tmp_path: Path, html: str
) -> None:
    def _is_told(url: str) -> bool:
        return url.startswith(running.api) and "/static/" not in url

    answers: list[int] = []
    failed: list[str] = []
    page.on("response", lambda answer: answers.append(answer.status) if _is_told(answer.url) else None)
    page.on("requestfailed", lambda request: failed.append(request.url))
    with elsewhere(tmp_path / "site", html.format(api=running.api, text=given)) as address:
        page.goto(address)
        page.wait_for_timeout(1_000)
    # Refused by us, or held back by the browser because we said so; what a frame shows is nothing.
    assert answers or failed
    assert "iframe" in html or not [status for status in answers if status < 400]
    assert page.context.cookies() == []
    frames = [frame for frame in page.frames if frame is not page.main_frame]
    assert not any("whodid" in frame.content() for frame in frames)


def test_the_policy_holds_against_what_a_page_would_run(page: Page, running: Running) -> None:
    page.goto(f"{running.api}/sign-in")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.evaluate(
        "() => { const made = document.createElement('script'); made.textContent = 'window.hit = 1';"
        " document.body.append(made); const image = document.createElement('img');"
        " image.src = 'http://localhost:1/x.png'; document.body.append(image); }"
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.hit") is None
    assert len([each for each in refused if "Content Security Policy" in each]) == 2


def test_who_is_revoked_is_sent_to_the_form_at_the_next_click(
    page: Page, running: Running, data_dir: Path
) -> None:
    other = token(data_dir, "bob@acme.example", tenant="")
    page.goto(f"{running.api}/sign-in")
    sign_in(page, other)
    page.wait_for_url(f"{running.api}/")
    revoke(data_dir, other)
    page.goto(running.api + PAGE)
    assert "/sign-in" in page.url
