"""The adapters of frameworks that cannot be installed here: each test in their environments is one here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.environments import separate

pytestmark = pytest.mark.timeout(900)  # the packages may have to be downloaded first


Outcomes = dict[str, list[str]]


@pytest.fixture(scope="module")
def outcomes_of(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Outcomes]:
    """What came of each test in an environment, which is entered once."""
    known: dict[str, Outcomes | BaseException] = {}

    def of(name: str) -> Outcomes:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            try:
                known[name] = separate.run(pytestconfig, name, folder)
            except BaseException as error:  # noqa: BLE001 a skip as well: it holds for all of them
                known[name] = error
        found = known[name]
        if isinstance(found, BaseException):
            raise found
        return found

    return of


@pytest.mark.parametrize(
    ("name", "test"),
    [(name, test) for name in separate.INSIDE for test in separate.tests_in(name)],
)
def test_inside(outcomes_of: Callable[[str], Outcomes], name: str, test: str) -> None:
    assert outcomes_of(name)[test] == []
