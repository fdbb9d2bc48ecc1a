"""The same commands where a service owns the store: they ask it over HTTP, and say the same."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tests.asked import in_folder
from tests.running import service
from whodid.cli.main import main


def test_a_service_and_its_store_say_the_same(tmp_path: Path) -> None:
    folder = in_folder(tmp_path / "data")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--data-dir", str(folder)])

    asked = [
        ("who", "action-1"),
        ("who", "req-1"),
        ("who", "nobody", "--json"),
        ("ask", "credential", "--id", "key-1", "--since", "7d", "--limit", "1", "--all", "--csv"),
        ("ask", "credential", "--id", "key-1", "--cursor", "x"),
        ("ask", "who", "--id", "action-1", "--sql"),
        ("ask", "who", "--id", "action-1", "--tenant", "other"),
        ("sql", "SELECT gen_ai_tool_name, count() FROM spans GROUP BY 1 ORDER BY 1", "--json"),
        ("sql", "SELECT * FROM system.users"),
    ]
    alone = [run(*arguments) for arguments in asked]
    with service(folder):
        served = [run(*arguments) for arguments in asked]
    for arguments, one, other in zip(asked, alone, served, strict=True):
        assert (one.exit_code, one.stdout, one.stderr) == (other.exit_code, other.stdout, other.stderr), (
            arguments
        )
    assert json.loads(alone[7].stdout)["rows"]
