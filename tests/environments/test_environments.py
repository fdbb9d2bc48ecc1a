"""The adapters of frameworks that cannot be installed here: each test in their environments is one here."""

from __future__ import annotations

import pytest

from tests.environments import separate

pytestmark = pytest.mark.timeout(900)  # the packages may have to be downloaded first


@pytest.fixture(scope="module")
def outcomes(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, list[str]]:
    """What came of each test in one environment."""
    name: str = request.param
    return separate.run(pytestconfig, name, separate.INSIDE[name], tmp_path_factory.mktemp(name))


@pytest.mark.parametrize(
    ("outcomes", "test"),
    [(name, test) for name, file in separate.INSIDE.items() for test in separate.tests_in(file)],
    indirect=["outcomes"],
)
def test_inside(outcomes: dict[str, list[str]], test: str) -> None:
    assert outcomes[test] == []
