"""ClickHouse with the users and the configuration of deploy/clickhouse."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from tests.clickhouse import ClickHouse, free_port, running

DEPLOY = Path(__file__).parents[2] / "deploy" / "clickhouse"
PASSWORDS = {
    "CLICKHOUSE_WHODID_PASSWORD": "of-whodid",
    "CLICKHOUSE_COLLECTOR_PASSWORD": "of-collector",
    "CLICKHOUSE_GRAFANA_PASSWORD": "of-grafana",
}
# The engine is one of its users, and does what none of ours may.
_ENGINE = """<default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
<quota>default</quota></default>"""


@dataclass(frozen=True)
class Server:
    """A server with the configuration of deploy/."""

    clickhouse: ClickHouse

    def client(self, user: str, password: str | None = None) -> Any:
        library: Any = clickhouse_connect  # its keyword arguments have no types
        return library.get_client(
            host="127.0.0.1",
            port=self.clickhouse.port,
            username=user,
            password=f"of-{user}" if password is None else password,
            autogenerate_session_id=False,
        )

    @property
    def url(self) -> str:
        """As compose.yaml has it, but for host and port."""
        return f"clickhouse://whodid:of-whodid@127.0.0.1:{self.clickhouse.port}/whodid"


@contextmanager
def deployed(folder: Path) -> Generator[Server]:
    """A running server with its data in `folder`."""
    users = ET.parse(DEPLOY / "users.xml").getroot()
    everybody = users.find("users")
    assert everybody is not None
    everybody.append(ET.fromstring(_ENGINE))
    configuration = "".join(
        ET.tostring(element, encoding="unicode")
        for element in ET.parse(DEPLOY / "config.xml").getroot()
        # The test's own places: the image's logger is on its console, and what is removed is not there.
        if element.tag != "logger" and "remove" not in element.attrib
    )
    described = ClickHouse(
        folder,
        free_port(),
        users=ET.tostring(users, encoding="unicode"),
        configuration=configuration,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, password in PASSWORDS.items():
            patch.setenv(name, password)
        with running(described):
            yield Server(described)
