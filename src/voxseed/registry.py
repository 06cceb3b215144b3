"""Things that register by name: methods, losses, networks, protocols, presets."""

import importlib
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from typing import Generic, TypeVar

from voxseed.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Name → thing. Adding one is one new module in `package`: its modules are imported on first use.

    Args:
        kind: what is registered, singular, for messages ("method").
        package: dotted name of the package whose modules register.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._things: dict[str, T] = {}
        self._imported = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that registers under `name`.

        Raises:
            ValueError: if the name is taken.
        """

        def add(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"{self.kind} {name!r} is registered twice.")
            self._things[name] = thing
            return thing

        return add

    def get(self, name: str) -> T:
        """The thing of that name.

        Raises:
            UnknownNameError: if there is none; lists the known names.
        """
        self._import_package()
        if name not in self._things:
            close = get_close_matches(name, self._things, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UnknownNameError(f"Unknown {self.kind} {name!r}.{hint} Known: {', '.join(self.names())}.")
        return self._things[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        self._import_package()
        return sorted(self._things)

    def _import_package(self) -> None:
        if self._imported:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._imported = True
