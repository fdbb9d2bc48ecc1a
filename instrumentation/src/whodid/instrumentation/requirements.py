"""WHODID_REQUIRE: frameworks without whose hooks the program must not start."""

from __future__ import annotations

import importlib
import logging

from whodid.instrumentation import frameworks
from whodid.instrumentation.hooks import Hooks

_log = logging.getLogger(__name__)


class NotInstrumentedError(Exception):
    """A required framework is missing or cannot be hooked. `hint` says what to do."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.hint = "install what is missing, or take it out of WHODID_REQUIRE; `whodid doctor` looks closer"


def check(required: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    """Import every required framework and see that its hooks are in place. Raises NotInstrumentedError.

    `required`: adapters' or distributions' names. `chosen`: the adapters of WHODID_FRAMEWORKS, all if empty.
    """
    reasons = [why for name in required if (why := _unmet(name, chosen)) is not None]
    if reasons:
        raise NotInstrumentedError(reasons)


def hooked(adapter: Hooks) -> list[str]:
    """Import what an installed adapter hooks; gives what is wrong with it, in words."""
    imported = 0
    for module in adapter.modules:
        try:
            importlib.import_module(module)
            imported += 1
        except ModuleNotFoundError as error:
            # A version may lack one of the modules; an adapter lists those of all the versions that it knows.
            _log.info("whodid: %s: there is no %s", adapter.name, error.name)
        except Exception as error:  # noqa: BLE001 a framework that cannot be imported is the answer
            return [f"{adapter.name}: importing {module} raises {type(error).__name__}"]
    if not imported:
        return [f"{adapter.name}: this version has none of the modules that are hooked"]
    return list(adapter.problems)


def _unmet(name: str, chosen: tuple[str, ...]) -> str | None:
    plain = name.lower().replace("-", "_")
    known = {each: frameworks.load(each) for each in frameworks.ADAPTERS}
    adapter = known.get(plain) or next(
        (each for each in known.values() if each.distribution.replace("-", "_") == plain), None
    )
    if adapter is None:
        return f"{name} is required, and there is no adapter for it (there are {', '.join(known)})"
    if chosen and adapter.name not in chosen:
        return f"{name} is required, and WHODID_FRAMEWORKS leaves it out"
    if adapter.installed_version() is None:
        return f"{name} is required, and {adapter.distribution} is not installed"
    problems = hooked(adapter)
    if problems:
        return f"{name} is required and cannot be hooked: " + ", ".join(problems)
    return None
