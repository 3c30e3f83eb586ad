"""What changed between two versions of a registration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from config.explain import dotted
from config.keys import KeyPath
from config.literals import by_name, by_shape
from config.vocabulary import Secret

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that was added, removed or changed; before and after are None where there was none, secrets are masked."""

    key: str
    kind: str
    before: Any = None
    after: Any = None


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return what changed from one configuration to another, by key; lists are compared as wholes."""
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    return [_difference(path, old, new) for path in sorted({**old, **new}, key=dotted) if _changed(path, old, new)]


def _changed(path: KeyPath, old: Mapping[KeyPath, Any], new: Mapping[KeyPath, Any]) -> bool:
    one, other = old.get(path, _NOTHING), new.get(path, _NOTHING)
    return type(one) is not type(other) or one != other


def _difference(path: KeyPath, old: Mapping[KeyPath, Any], new: Mapping[KeyPath, Any]) -> Difference:
    kind = "changed" if path in old and path in new else "added" if path in new else "removed"
    return Difference(dotted(path), kind, _shown(path, old.get(path)), _shown(path, new.get(path)))


def _shown(path: KeyPath, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shown((*path, name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shown((*path, index), inner) for index, inner in enumerate(value)]
    secret = isinstance(value, str) and "${" not in value and by_name(path, value)
    return Secret.MASK if secret or (isinstance(value, str) and by_shape(value)) else value


def _leaves(value: Mapping[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


def masked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration fit to be shown: secrets that stand in it as they are (validation was skipped) are masked."""
    return {name: _shown((name,), value) for name, value in config.items()}
