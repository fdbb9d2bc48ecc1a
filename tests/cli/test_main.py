"""The command line's frame: lazy verbs, mistakes, and what a missing package is told."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result

from tests.running import environment
from whodid.cli.main import VERBS, Failure, Verbs, main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_help_names_every_verb() -> None:
    done = run("--help")
    assert done.exit_code == 0
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from whodid.cli.main import main; "
        "CliRunner().invoke(main, ['--help'], catch_exceptions=False); "
        "print(sorted({'pyarrow', 'pydantic', 'starlette', 'grpc', 'chdb', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("upp", "did you mean `whodid up`?"), ("tracee", "`whodid trace`"), ("xyz", "`whodid --help`")],
)
def test_an_unknown_command(typed: str, hint: str) -> None:
    done = run(typed)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"error: there is no command '{typed}'\n\nhint: " in done.stderr
    assert hint in done.stderr


def test_the_version() -> None:
    assert run("--version").stdout.startswith("whodid, version ")


class TestMissingPackages:
    @staticmethod
    def told(verb: str, package: str) -> Failure:
        """What is said when importing `package` fails inside `verb`."""
        group = Verbs("whodid")

        @click.command(verb)
        def broken() -> None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

        group.get_command = lambda ctx, cmd_name: broken  # type: ignore[method-assign]
        with pytest.raises(Failure) as caught:
            group.main([verb], standalone_mode=False)
        return caught.value

    @pytest.mark.parametrize(("verb", "extra"), [("up", "local"), ("who", "local"), ("demo", "demo")])
    def test_the_hint_is_the_install_line(self, verb: str, extra: str) -> None:
        told = self.told(verb, "pyarrow.compute")
        assert told.message == f"`whodid {verb}` needs pyarrow, which is not installed"
        assert told.hint == f"pip install 'whodid[{extra}]'"

    def test_a_module_of_ours_is_a_bug_and_stays_one(self) -> None:
        with pytest.raises(ModuleNotFoundError):
            self.told("up", "whodid.processor.gone")
