"""Finds plugins by name: in a folder of this package, else in an installed package's entry point.

A plugin registers itself by a decorator when its module is imported; the module of the name
`openai` is `<folder>.openai<suffix>`, so that looking for one name imports one file.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Generic, TypeVar

from agent_lab.errors import ConfigurationError, UnknownPluginError

Plugin = TypeVar("Plugin")
NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class Registry(Generic[Plugin]):
    """Plugins of one kind.

    Args:
        kind: What they are, in messages: `provider`, `node`.
        packages: Packages whose modules hold them, one module each.
        suffix: What a module's name adds to the plugin's name: `_provider`.
        group: The entry point group of other people's packages.
    """

    def __init__(self, kind: str, packages: tuple[str, ...], suffix: str, group: str) -> None:
        self._kind = kind
        self._packages = packages
        self._suffix = suffix
        self._group = group
        self._plugins: dict[str, Plugin] = {}

    def register(self, name: str) -> Callable[[Plugin], Plugin]:
        """Decorator: registers what it decorates under `name`.

        Raises:
            ConfigurationError: The name is malformed or taken.
        """
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"`{name}` is no {self._kind} name: use `{NAME.pattern}`.")

        def decorate(plugin: Plugin) -> Plugin:
            if self._plugins.setdefault(name, plugin) is not plugin:
                raise ConfigurationError(f"There are two plugins for {self._kind} `{name}`.")
            return plugin

        return decorate

    def get(self, name: str) -> Plugin:
        """Return the plugin called `name`, importing its module at first use.

        Raises:
            UnknownPluginError: Neither this package nor an installed one has it.
        """
        if name not in self._plugins:
            self._import(name)
        if name not in self._plugins:
            raise UnknownPluginError(name, sorted(self.names()))
        return self._plugins[name]

    def names(self) -> set[str]:
        """Every name that `get` answers, without importing anything."""
        return set(self._plugins) | set(self._shipped()) | {e.name for e in self._entry_points()}

    def _import(self, name: str) -> None:
        shipped = self._shipped()
        if name in shipped:
            importlib.import_module(shipped[name])
            return
        for entry_point in self._entry_points():
            if entry_point.name == name:
                self._plugins.setdefault(name, entry_point.load())

    def _shipped(self) -> dict[str, str]:
        return {
            module.name.removesuffix(self._suffix): f"{package}.{module.name}"
            for package in self._packages
            for module in iter_modules(importlib.import_module(package).__path__)
            if module.name.endswith(self._suffix)
        }

    def _entry_points(self) -> Iterator[importlib.metadata.EntryPoint]:
        yield from entry_points(group=self._group)
