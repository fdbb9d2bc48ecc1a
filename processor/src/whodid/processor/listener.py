"""The listener: the embedded store, readable by other tools on loopback. A development switch.

The engine is then in a process of its own (`engine`), which alone has the store open. The service is one of
its clients, with a password that is made anew at each start; `reader` is the user for everybody else, who may
read the service's tenant and nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from pydantic import SecretStr

from whodid.processor import engine, ports
from whodid.processor.errors import WhodidError
from whodid.store.connection import Location
from whodid.store.retention import TABLES

if TYPE_CHECKING:
    from whodid.processor.settings import Settings

READER = "reader"
FOLDER = "listener"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
AGAIN_AFTER_S = 1.0
MIN_PASSWORD_CHARACTERS = 8

_SERVICE = "whodid"

_CONFIG = """<clickhouse>
<http_port>{port}</http_port>
<listen_host>{host}</listen_host>
<max_connections>256</max_connections>
<users_config>{users}</users_config>
<access_control_improvements>
<select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
<select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
<users_without_row_policies_can_read_rows>true</users_without_row_policies_can_read_rows>
</access_control_improvements>
</clickhouse>
"""

# `default` is whom the engine itself is, and cannot have a password: its one session is the engine's own.
# What keeps a page in a browser out is the reader's password: ClickHouse lets every origin read its answers.
_USERS = """<clickhouse>
<quotas><default/></quotas>
<profiles>
<default/>
<engine><max_sessions_for_user>1</max_sessions_for_user></engine>
<reader>
<readonly>2</readonly>
<allow_ddl>0</allow_ddl>
<max_execution_time>60</max_execution_time>
<max_memory_usage>2147483648</max_memory_usage>
<max_concurrent_queries_for_user>16</max_concurrent_queries_for_user>
<constraints>
<max_execution_time><min>1</min><max>60</max></max_execution_time>
<max_memory_usage><min>1</min><max>2147483648</max></max_memory_usage>
<max_concurrent_queries_for_user><const/></max_concurrent_queries_for_user>
</constraints>
</reader>
</profiles>
<users>
<default>
<no_password/>
<networks><ip>127.0.0.1</ip></networks>
<profile>engine</profile>
<quota>default</quota>
<grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>
</default>
<{service}>
<password_sha256_hex>{service_hash}</password_sha256_hex>
<networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
<profile>default</profile>
<quota>default</quota>
</{service}>
<{reader}>
<password_sha256_hex>{reader_hash}</password_sha256_hex>
<networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
<profile>reader</profile>
<quota>default</quota>
<grants><query>GRANT SELECT ON {database}.*</query></grants>
<databases><{database}>{filters}</{database}></databases>
</{reader}>
</users>
</clickhouse>
"""

Say = Callable[[str], None]


def address(settings: Settings) -> tuple[str, int]:
    """Host and port of `store.listen`.

    Raises WhodidError where the setting cannot be followed, or should not.
    """
    host, _, port = settings.store.listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise WhodidError(
            f"store.listen is {settings.store.listen}, which is no address", "write 127.0.0.1:8123"
        )
    if not ports.is_loopback(host):
        raise WhodidError(
            f"store.listen is {settings.store.listen}: the embedded store is shown on loopback alone",
            "write 127.0.0.1:8123; for other machines run a ClickHouse server (store.url)",
        )
    if not settings.store_url.startswith("chdb:"):
        raise WhodidError(
            "store.listen is for the embedded store, and store.url names another",
            "leave store.listen empty; a server has users of its own (docs/store.md)",
        )
    if len(settings.store.listen_password.get_secret_value()) < MIN_PASSWORD_CHARACTERS:
        raise WhodidError(
            f"store.listen needs store.listen_password, of at least {MIN_PASSWORD_CHARACTERS} characters: "
            "a page in a browser reaches loopback too",
            "set WHODID_STORE__LISTEN_PASSWORD; the user is reader",
        )
    return host, int(port)


@contextlib.asynccontextmanager
async def listening(settings: Settings, say: Say) -> AsyncGenerator[Settings]:
    """The settings with which the store is opened while the block runs; the same where nothing listens.

    Raises WhodidError when the engine cannot listen.
    """
    if not settings.store.listen:
        yield settings
        return
    host, port = address(settings)
    with ports.bind(host, port, "store.listen") as bound:
        port = ports.port_of(bound)
    password = secrets.token_hex(32)
    home = _configure(settings, host, port, password)
    store = Path(Location.parse(settings.store_url).path)
    running = await asyncio.to_thread(_Engine, store, home, f"http://{ports.at(host, port)}", say)
    try:
        url = SecretStr(
            f"clickhouse://{_SERVICE}:{password}@{ports.at(host, port)}/{settings.store.database}"
        )
        changed = {"url": url, "listen": ports.at(host, port)}
        yield settings.model_copy(update={"store": settings.store.model_copy(update=changed)})
    finally:
        await asyncio.to_thread(running.stop)


def _configure(settings: Settings, host: str, port: int, password: str) -> Path:
    """Writes what the engine reads at its start, with passwords as digests; its HOME."""
    home = settings.data_dir.resolve() / FOLDER
    users = home / "users.xml"
    # Neither a tenant's name nor a table's can hold a quote.
    filters = "".join(
        f"<{table}><filter>tenant_id = '{escape(settings.tenant)}'</filter></{table}>" for table in TABLES
    )
    said = _USERS.format(
        service=_SERVICE,
        service_hash=_digest(password),
        reader=READER,
        reader_hash=_digest(settings.store.listen_password.get_secret_value()),
        database=settings.store.database,
        filters=filters,
    )
    try:
        inner = home / ".clickhouse-local"
        inner.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        _write(users, said)
        _write(inner / "config.xml", _CONFIG.format(host=host, port=port, users=escape(str(users))))
    except OSError as error:
        raise WhodidError(f"{home} cannot be written: {error}", "check WHODID_DATA_DIR") from error
    return home


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


class _Engine:
    """The engine's process, and the next one where it ends by itself.

    Raises WhodidError when it does not answer in time.
    """

    def __init__(self, store: Path, home: Path, url: str, say: Say) -> None:
        self._store = store
        self._home = home
        self._say = say
        self._stopping = threading.Event()
        self._process = self._start()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not _answers(url):
            # One that an earlier service left behind ends within moments of it, and has the folder till then.
            if self._process.poll() is not None and time.monotonic() < deadline_s - START_TIMEOUT_S / 2:
                time.sleep(AGAIN_AFTER_S)
                self._process = self._start()
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                raise WhodidError(
                    f"the embedded store in {store} cannot listen on {url}",
                    f"check that no other process has the folder open; {home / 'log'} may say more",
                )
            time.sleep(0.05)
        threading.Thread(target=self._keep_up, name="whodid-listener", daemon=True).start()

    def stop(self) -> None:
        """Ends it. What was inserted is on disk."""
        self._stopping.set()
        process = self._process
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep_up(self) -> None:
        while True:
            code = self._process.wait()
            if self._stopping.wait(AGAIN_AFTER_S):
                return
            self._say(f"warning: the store's engine ended with {code}; it is started again")
            self._process = self._start()
            if self._stopping.is_set():
                self.stop()

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WHODID_")}
        with (self._home / "log").open("wb") as log:
            # A session of its own: Ctrl-C goes to the whole group, and the service still has to drain.
            return subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", engine.__name__, str(self._store)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**kept, "HOME": str(self._home)},
                cwd=self._home,
                start_new_session=True,
            )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=1) as answer:  # noqa: S310 - http, on loopback
            return answer.read() == b"Ok.\n"
    except OSError:
        return False
