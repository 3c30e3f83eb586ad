"""Layers of values, the stronger over the weaker, each value's place remembered.

    built-in defaults < fleet.toml [defaults] < environments/<name>.toml [defaults] < bots/<bot_id>.toml

Tables are merged key by key at every depth; everything else, lists included, is replaced as a whole. Places are
not carried along: a layer knows its file, so that the place of any value is found when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from config.files import Source
from config.snapshot import LayerName

Values = Mapping[str, Any]
TablePath = tuple[str | int, ...]


class Place(NamedTuple):
    """Where a value stands: its layer, its file, and its path of keys within that file."""

    layer: LayerName
    source: Source
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """The values of one file (or one table of it), resources taken in.

    values are what counts; plain is the same without anything a resource gave; grafts says which table took
    which resource. prefix is where the values start within the file.
    """

    name: LayerName
    source: Source
    prefix: tuple[str, ...]
    values: Values
    plain: Values
    grafts: Mapping[TablePath, Layer] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()

    def place(self, path: tuple[str | int, ...]) -> Place:
        """Return where the value at path stands; path must be held by `values`."""
        for table, graft in self.grafts.items():
            rest = path[len(table) :]
            if rest and path[: len(table)] == table and holds(graft.values, rest) and not _is_table(self.plain, path):
                return graft.place(rest)
        return Place(self.name, self.source, (*self.prefix, *path))

    def without(self, tables: Iterable[TablePath]) -> Layer:
        """Return this layer with what resources gave to these tables taken out again.

        A table that names a resource of its own takes nothing from the resource named for it further
        down: half of one provider under half of another would send one's key to the other's address.
        """
        layer = self
        for table in tables:
            # A list of tables is replaced as a whole, with whatever its tables took.
            if all(isinstance(name, str) for name in table) and any(
                graft[: len(table)] == table for graft in layer.grafts
            ):
                kept = {path: graft for path, graft in layer.grafts.items() if path[: len(table)] != table}
                values = put(layer.values, table, find(layer.plain, table))
                layer = replace(layer, values=values, grafts=kept)
        return layer


def merge(lower: Values, upper: Values) -> dict[str, Any]:
    """Return lower with upper over it; neither is changed, sub-tables may be shared with them."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def stack(layers: Sequence[Layer], top: Layer) -> tuple[Layer, ...]:
    """Return layers, weakest first, as they lie under top and with it."""
    return (*(layer.without(top.grafts) for layer in layers), top)


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the values of all layers, weakest first."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = merge(values, layer.values)
    return values


def place_in(layers: Sequence[Layer], path: tuple[str | int, ...]) -> Place | None:
    """Return where the effective value at path stands, or the nearest table around it; None when nothing does."""
    for size in range(len(path), 0, -1):
        for layer in reversed(layers):
            if holds(layer.values, path[:size]):
                return layer.place(path[:size])
    return None


_NOTHING: Any = object()


def find(values: Any, path: tuple[str | int, ...], default: Any = None) -> Any:
    """Return the value at path, or default."""
    for name in path:
        try:
            values = values[name] if isinstance(values, dict | list) else _NOTHING  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return default
        if values is _NOTHING:
            return default
    return values


def holds(values: Any, path: tuple[str | int, ...]) -> bool:
    """Tell whether there is a value at path."""
    return find(values, path, _NOTHING) is not _NOTHING


def put(values: Values, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return values with another value at path, tables made on the way; None takes the key out."""
    if not path:
        return dict(value or {})
    changed = dict(values)
    if len(path) > 1:
        below = values.get(path[0])
        changed[path[0]] = put(below if isinstance(below, dict) else {}, path[1:], value)
    elif value is None:
        changed.pop(path[0], None)
    else:
        changed[path[0]] = value
    return changed


def without(values: Values, path: tuple[str | int, ...]) -> dict[str, Any]:
    """Return values without the key at path, which may lie in a list of tables; as they are when there is none."""
    return dict(_without(values, path) if holds(values, path) else values)


def _without(values: Any, path: tuple[str | int, ...]) -> Any:
    name, rest = path[0], path[1:]
    changed: Any = dict(values) if isinstance(values, dict) else list(values)
    if rest:
        changed[name] = _without(values[name], rest)
    else:
        del changed[name]
    return changed


def _is_table(values: Any, path: tuple[str | int, ...]) -> bool:
    return isinstance(find(values, path), dict)
