"""The adapters' base: it waits for imports, puts everything back, and breaks no host."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from tests.environments import separate
from whodid.instrumentation import frameworks

MODULE = "a_framework_of_the_tests"
SOURCE = """
def answer(): return 42
class Base:
    def run(self): return "run"
class Tool(Base):
    pass
"""


def twice(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*args, **kwargs) * 2


@pytest.fixture
def framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    yield lambda: importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def adapter(*paths: str) -> frameworks.Instrumentor:
    class Instrumentor(frameworks.Instrumentor):
        name: ClassVar[str] = "test"
        distribution: ClassVar[str] = "no-such-distribution"
        modules: ClassVar[tuple[str, ...]] = (MODULE,)

        def hook(self, module: ModuleType) -> None:
            for path in paths:
                self.wrap(module, path, twice)

    return Instrumentor()


def test_it_waits_for_the_hosts_import(framework: Callable[[], Any]) -> None:
    mine = adapter("answer", "Tool.run")
    mine.install()
    assert MODULE not in sys.modules, "nothing is imported that the host does not import"
    module = framework()
    assert (module.answer(), module.Tool().run(), module.Base().run()) == (84, "runrun", "run")
    mine.uninstrument()
    assert (module.answer(), module.Tool().run()) == (42, "run")
    assert "run" not in vars(module.Tool)
    mine.install()
    mine.install()
    assert module.answer() == 84
    mine.uninstrument()
    assert mine.problems == []


def test_it_hooks_what_is_imported_already(framework: Callable[[], Any]) -> None:
    module = framework()
    mine = adapter("answer")
    mine.instrument(skip_dep_check=True)
    assert module.answer() == 84
    mine.uninstrument()


def test_it_is_one_object_a_class() -> None:
    mine = adapter()
    assert type(mine)() is mine
    assert adapter() is not mine
    assert mine.installed_version() is None


def test_an_import_after_uninstrument_is_left_alone(framework: Callable[[], Any]) -> None:
    mine = adapter("answer")
    mine.install()
    mine.uninstrument()
    assert framework().answer() == 42


def test_a_version_without_that_function_is_noted_and_harmless(framework: Callable[[], Any]) -> None:
    mine = adapter("no_such_function", "answer")
    mine.install()
    assert framework().answer() == 84
    [problem] = mine.problems
    assert problem.startswith("test: no_such_function cannot be wrapped")
    mine.uninstrument()


def test_a_hook_that_raises_does_not_break_the_import(framework: Callable[[], Any]) -> None:
    class Broken(frameworks.Instrumentor):
        name = "broken"
        distribution = "x"
        modules = (MODULE,)

        def hook(self, module: ModuleType) -> None:
            raise ZeroDivisionError

    Broken().install()
    assert framework().answer() == 42
    assert Broken().problems == [f"broken: {MODULE} cannot be hooked (ZeroDivisionError)"]


def test_the_list_the_entry_points_and_the_files_agree() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["opentelemetry_instrumentor"]
    assert points == {
        f"whodid_{name}": f"whodid.instrumentation.frameworks.{name}:Instrumentor"
        for name in frameworks.ADAPTERS
    }
    for name in frameworks.ADAPTERS:
        loaded = frameworks.load(name)
        assert loaded.name == name
        assert loaded.installed_version() is not None or name in separate.INSIDE


@pytest.mark.parametrize(
    ("version", "of_age"),
    [
        ("1.1.9", "older"),
        ("1.2", None),
        ("1.2.0", None),
        ("1.9.99.post1", None),
        ("1.10.0rc1", "newer"),
        ("2.0", "newer"),
        ("unknown", "older"),
    ],
)
def test_a_release_that_is_not_tested_is_said(
    monkeypatch: pytest.MonkeyPatch, version: str, of_age: str | None
) -> None:
    known = adapter()
    monkeypatch.setattr(known, "tested", ("1.2.0", "1.9.3"), raising=False)
    expected = f"no-such-distribution {version} is {of_age} than what whodid is tested with (1.2.0 to 1.9.3)"
    assert known.untested(version) == (None if of_age is None else expected)


def test_the_oldest_releases_are_those_that_are_tested() -> None:
    folder = Path(__file__).parents[1] / "environments"
    pinned = {line for file in folder.glob("oldest*.txt") for line in file.read_text().splitlines()}
    for loaded in map(frameworks.load, frameworks.ADAPTERS):
        assert f"{loaded.distribution}=={loaded.tested[0]}" in pinned
