"""The wheel, installed bare: what runs in an agent's process brings none of the service's packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import separate
from tests.running import environment
from whodid.cli.main import VERBS

ROOT = Path(__file__).parents[1]
# Modules that only the service needs; grpc is installed with the OTLP exporter, but need not be loaded.
DATA_PACKAGES = ["pyarrow", "numpy", "numba", "clickhouse_connect", "chdb"]
WEB_PACKAGES = ["starlette", "uvicorn", "jinja2", "pydantic", "rich"]
VERB_MODULES = ["main", *VERBS]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment that has the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    built, environment_ = folder / "dist", folder / "venv"
    separate.uv("build", "--wheel", "--out-dir", str(built), str(ROOT))
    separate.uv("venv", "--python", sys.executable, str(environment_))
    (wheel,) = built.glob("*.whl")
    separate.uv("pip", "install", "--python", str(environment_ / "bin" / "python"), str(wheel))
    return environment_ / "bin"


def _run(
    command: list[str], folder: Path, exit_code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        env=environment(**{"PYTHONPATH": ""} | variables),
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done


def test_the_instrumentation_loads_none_of_the_services_packages(bare: Path, tmp_path: Path) -> None:
    names = {"grpc", *DATA_PACKAGES, *WEB_PACKAGES}
    code = (
        "import sys, whodid.instrumentation; "
        f"print(sorted({names!r} & set(sys.modules)), whodid.instrumentation.__file__)"
    )
    loaded, _, where = _run([str(bare / "python"), "-c", code], tmp_path).stdout.partition(" ")
    assert loaded == "[]"
    assert str(bare.parent) in where


def test_the_services_packages_are_not_even_installed(bare: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.util import find_spec; "
        f"print([name for name in {DATA_PACKAGES + WEB_PACKAGES!r} if find_spec(name)])"
    )
    assert _run([str(bare / "python"), "-c", code], tmp_path).stdout.strip() == "[]"


@pytest.mark.parametrize("verb", VERB_MODULES)
def test_every_verb_can_be_imported(bare: Path, tmp_path: Path, verb: str) -> None:
    _run([str(bare / "python"), "-c", f"import whodid.cli.{verb}"], tmp_path)


def test_help_works(bare: Path, tmp_path: Path) -> None:
    assert "Run the service" in _run([str(bare / "whodid"), "--help"], tmp_path).stdout


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("up",), "local"),
        (("who", "x"), "local"),
        (("trace", "x"), "local"),
        (("check", "-"), "processor"),
        (("demo", "--once"), "demo"),
        (("dashboards", "grafana"), "dashboards"),
    ],
)
def test_a_missing_extra_names_its_install_line(
    bare: Path, tmp_path: Path, command: tuple[str, ...], extra: str
) -> None:
    done = _run([str(bare / "whodid"), *command], tmp_path, exit_code=1)
    assert done.stdout == ""
    assert done.stderr.endswith(f"which is not installed\n\nhint: pip install 'whodid[{extra}]'\n")
    assert done.stderr.startswith(f"error: `whodid {command[0]}` needs ")


def test_a_program_runs_with_attribution(bare: Path, tmp_path: Path) -> None:
    """The bare install is all that an agent's process needs, even where no service runs."""
    (tmp_path / "agent.py").write_text(
        "from whodid.instrumentation import attribution, current\n"
        "with attribution(principal='alice@acme.example', principal_type='human'):\n"
        "    print(current().principal_id)\n"
    )
    done = _run([str(bare / "whodid"), "run", "python", "agent.py"], tmp_path, PATH=str(bare))
    assert done.stdout == "alice@acme.example\n"
