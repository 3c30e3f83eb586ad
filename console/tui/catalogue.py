"""Every binding of the console, wherever it is declared: what the operator's own keys and the documents may name."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode

import console.tui
from console.tui.actions import BINDINGS


def bindings() -> list[Binding]:
    """Return every binding that has an id, once, with all its keys. Loads every module of the console: not for the way to the first screen."""
    found: dict[str, Binding] = {}
    for binding in [*BINDINGS, *_declared()]:
        if binding.id:
            keys = [*found[binding.id].key.split(","), binding.key] if binding.id in found else [binding.key]
            found[binding.id] = binding.with_key(",".join(dict.fromkeys(keys)))
    return list(found.values())


def _declared() -> Iterator[Binding]:
    for module in pkgutil.walk_packages(console.tui.__path__, "console.tui."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, DOMNode) and value.__module__ == module.name:
                yield from (binding for _, binding in BindingsMap(value.__dict__.get("BINDINGS", [])))
