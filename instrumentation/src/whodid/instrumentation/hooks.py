"""The base of what hooks a library: hooks that wait until the host imports it, and can be put back."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Self

import wrapt

from whodid.instrumentation import inventory

_log = logging.getLogger(__name__)

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""wrapt's: wrapped, instance, args, kwargs."""


class Hooks:
    """What hooks one library: wraps what it has to offer when the host imports it, and can put that back.

    One instance a class. A subclass sets the class variables and writes `hook`, which calls `self.wrap`.
    """

    name: ClassVar[str]
    """As the settings and the tracer's scope have it."""
    distribution: ClassVar[str]
    """The library's distribution, whose version is reported."""
    modules: ClassVar[tuple[str, ...]]
    """The modules whose import, whenever the host makes it, calls `hook`."""

    _active: bool
    _registered: bool
    _wrapped: list[tuple[Any, str, Any, bool]]
    problems: list[str]
    """What could not be hooked, in words; the library then runs unobserved, and the report says so."""

    def __new__(cls) -> Self:
        """The one instance."""
        known = cls.__dict__.get("_instance")
        if known is None:
            known = super().__new__(cls)
            known._active, known._registered = False, False
            known._wrapped, known.problems = [], []
            cls._instance = known
        return known

    def hook(self, module: ModuleType) -> None:
        """Wrap what this module has to offer. Called once for each of `modules`, after its import."""
        raise NotImplementedError

    def install(self) -> None:
        """Install the hooks only. Imports nothing of the library's."""
        if self._active:
            return
        self._active = True
        if self._registered:
            self._hook_loaded()
            return
        self._registered = True
        for module_name in self.modules:
            wrapt.register_post_import_hook(self._hook_safely, module_name)

    def uninstrument(self, **kwargs: Any) -> None:
        """Put back what was wrapped."""
        del kwargs
        self._active = False
        while self._wrapped:
            parent, attribute, original, own = self._wrapped.pop()
            if own:
                setattr(parent, attribute, original)
            else:
                delattr(parent, attribute)

    def wrap(self, target: Any, path: str, wrapper: Wrapper) -> None:
        """Wrap `path` (`function` or `Class.method`) of a module or class; `uninstrument` puts it back.

        A path that the library does not have is noted in `problems`: no version may break its host.
        """
        try:
            parent, attribute, _ = wrapt.resolve_path(target, path)
            own = attribute in vars(parent)
            original = vars(parent).get(attribute)
            wrapt.wrap_function_wrapper(target, path, wrapper)
        except Exception as error:  # noqa: BLE001 see above
            self.problems.append(f"{self.name}: {path} cannot be wrapped ({type(error).__name__})")
            _log.warning("whodid: %s", self.problems[-1])
            return
        self._wrapped.append((parent, attribute, original, own))

    def installed_version(self) -> str | None:
        """The library's version; None if it is not installed."""
        return inventory.installed_version(self.distribution)

    def _hook_loaded(self) -> None:
        for module_name in self.modules:
            if (module := sys.modules.get(module_name)) is not None:
                self._hook_safely(module)

    def _hook_safely(self, module: ModuleType) -> None:
        if not self._active:
            return
        try:
            self.hook(module)
        except Exception as error:  # noqa: BLE001 an import in the host must not fail because of us
            self.problems.append(f"{self.name}: {module.__name__} cannot be hooked ({type(error).__name__})")
            _log.warning("whodid: %s", self.problems[-1], exc_info=True)
