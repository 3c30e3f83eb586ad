"""Named resources: `"$resource" = "default"`, `type = "llm_providers"` in any table.

The table takes the keys of `[llm_providers.default]` of the chosen environment; keys beside are defaults the
resource overrides; `"$requires"` lists capabilities the resource must offer. A resource may itself take another.
What cannot be resolved is a located problem that says what exists, never an empty table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from config.bounds import MAX_LEVELS, TOO_DEEP_HINT
from config.dotenv import Variables
from config.expand import expand
from config.files import Source
from config.merge import Layer, Place, TablePath, Values, merge
from config.positions import KeyPath
from config.snapshot import LayerName

RESOURCE: Final = "$resource"
REQUIRES: Final = "$requires"
TYPE: Final = "type"
CAPABILITIES: Final = "capabilities"
DEFAULTS: Final = "defaults"
MAX_RESOURCES: Final = 100
"""Resources one file may take, those within resources counted: they could multiply without end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place; value tells whether the value or the key is meant."""

    place: Place
    message: str
    hint: str = ""
    value: bool = True


@dataclass(frozen=True, slots=True)
class Environment:
    """The chosen environment; name "" when none is. broken: there is one, but it cannot be used."""

    name: str = ""
    source: Source | None = None
    others: tuple[str, ...] = ()
    broken: bool = False
    choose: str = "choose one with --env, BOTDECK_ENV or environment in [fleet]"
    """What to do when a resource is asked for and none is chosen."""

    @property
    def types(self) -> dict[str, dict[str, Any]]:
        """Type → name → the resource's table."""
        data = self.source.data if self.source else {}
        return {kind: table for kind, table in data.items() if kind != DEFAULTS and isinstance(table, dict)}

    @property
    def where(self) -> str:
        """Its file for messages, or what else it was made of."""
        path = self.source.path if self.source else Path("environments", f"{self.name}.toml")
        return f"{path.parent.name}/{path.name}".lstrip("/")


@dataclass(slots=True)
class Resolver:
    """Takes resources into one file's tables; collects what is wrong in `faults`."""

    environment: Environment
    variables: Variables
    faults: list[Fault] = field(default_factory=list)
    failed: set[TablePath] = field(default_factory=set)
    """Tables whose resource could not be had; when the environment is broken that is said elsewhere only."""
    _chain: list[tuple[str, str]] = field(default_factory=list)
    _taken: int = 0
    _level: int = 0

    def layer(self, name: LayerName, source: Source, prefix: tuple[str, ...], data: Values) -> Layer:
        """Return the layer of a file's table, resources taken in."""
        if source.text and '"$re' not in source.text and "'$re" not in source.text:
            return Layer(name, source, prefix, data, data)
        grafts: dict[TablePath, Layer] = {}
        values, plain = self._table(data, (), Layer(name, source, prefix, data, data), grafts)
        offered = frozenset().union(*(graft.capabilities for graft in grafts.values()))
        return Layer(name, source, prefix, values, plain, grafts, offered)

    def _table(
        self, data: Values, path: TablePath, layer: Layer, grafts: dict[TablePath, Layer]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values of a table with and without what resources give."""
        values: dict[str, Any] = {}
        plain: dict[str, Any] = {}
        inner: dict[TablePath, Layer] = {}
        for key, value in data.items():
            if key in {RESOURCE, REQUIRES} or (key == TYPE and RESOURCE in data):
                continue
            values[key] = plain[key] = value
            if isinstance(value, dict):
                values[key], plain[key] = self._table(value, (*path, key), layer, inner)
            elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
                values[key], plain[key] = self._tables(value, (*path, key), layer, inner)
        before = len(self.faults)
        graft = self._resource(data, path, layer) if RESOURCE in data or REQUIRES in data else None
        if not self._chain and (len(self.faults) > before or (graft is None and RESOURCE in data)):
            self.failed.add(path)
        if graft is not None:
            # Outer before inner: the resource overrides what stands beside it, and places are looked up in order.
            grafts[path] = graft
            values = merge(values, graft.values)
        grafts.update(inner)
        return values, plain

    def _tables(
        self, items: list[Any], path: TablePath, layer: Layer, grafts: dict[TablePath, Layer]
    ) -> tuple[list[Any], list[Any]]:
        """Return a list of tables with and without what resources give."""
        pairs = [
            self._table(item, (*path, index), layer, grafts) if isinstance(item, dict) else (item, item)
            for index, item in enumerate(items)
        ]
        return [values for values, _ in pairs], [plain for _, plain in pairs]

    def _resource(self, data: Values, path: TablePath, layer: Layer) -> Layer | None:
        at = (*layer.prefix, *path)
        if RESOURCE not in data:
            self._fault(layer, (*at, REQUIRES), f'"{REQUIRES}" stands without "{RESOURCE}"', f'name a "{RESOURCE}"')
            return None
        if self.environment.broken:
            return None
        name = self._word(data, RESOURCE, layer, at)
        kind = self._word(data, TYPE, layer, at)
        if not name or not kind:
            return None
        table = self._lookup(kind, name, layer, at)
        if table is None or not self._may_take(kind, name, layer, at):
            return None
        if self._level + len(path) > MAX_LEVELS:
            self._fault(layer, (*at, RESOURCE), "resources within resources are nested too deeply", TOO_DEEP_HINT)
            return None
        self._level += len(path)
        graft = self._take(kind, name, table)
        self._level -= len(path)
        self._require(data, graft, layer, at)
        return graft

    def _word(self, data: Values, key: str, layer: Layer, at: KeyPath) -> str:
        """Return the text of "$resource" or type, variables put in; "" after a fault."""
        text = data.get(key)
        if text is None:
            hint = f"one of: {_listing(self.environment.types)}" if self.environment.types else ""
            self._fault(layer, (*at, RESOURCE), f'"{RESOURCE}" needs {key} beside it, the sort of resource', hint)
            return ""
        if not isinstance(text, str) or not text:
            self._fault(layer, (*at, key), f"{key} must be a text, not empty", "")
            return ""
        expansion = expand(text, self.variables)
        for message, hint in expansion.failures:
            self._fault(layer, (*at, key), message, hint)
        return "" if expansion.failures else expansion.text

    def _lookup(self, kind: str, name: str, layer: Layer, at: KeyPath) -> dict[str, Any] | None:
        environment = self.environment
        if environment.source is None:
            others = (
                f"there are: {_listing(environment.others)}" if environment.others else "make environments/<name>.toml"
            )
            hint = f"{environment.choose}; {others}"
            self._fault(layer, (*at, RESOURCE), f'"{name}" is looked for in an environment, but none is chosen', hint)
            return None
        names = environment.types.get(kind)
        if names is None:
            exists = _exists(kind, environment.types, "no resources at all")
            self._fault(layer, (*at, TYPE), f'{environment.where} has no resources of type "{kind}"', exists)
            return None
        table = names.get(name)
        if not isinstance(table, dict):
            exists = _exists(name, names, "none")
            self._fault(layer, (*at, RESOURCE), f'{environment.where} has no "{name}" in [{kind}]', exists)
            return None
        return table

    def _may_take(self, kind: str, name: str, layer: Layer, at: KeyPath) -> bool:
        if (kind, name) in self._chain:
            circle = [*self._chain[self._chain.index((kind, name)) :], (kind, name)]
            words = " → ".join(f"{kind}.{name}" for kind, name in circle)
            self._fault(layer, (*at, RESOURCE), f"resources go round in a circle: {words}", "break the circle")
            return False
        self._taken += 1
        if self._taken > MAX_RESOURCES:
            self._fault(layer, (*at, RESOURCE), f"takes more than {MAX_RESOURCES} resources", "take fewer")
            return False
        return True

    def _take(self, kind: str, name: str, table: dict[str, Any]) -> Layer:
        """Return the layer of a resource, those it takes itself included."""
        assert self.environment.source is not None
        own = {key: value for key, value in table.items() if key != CAPABILITIES}
        offered = table.get(CAPABILITIES)
        self._chain.append((kind, name))
        graft = self.layer("resource", self.environment.source, (kind, name), own)
        self._chain.pop()
        words = (
            frozenset(word for word in offered if isinstance(word, str)) if isinstance(offered, list) else frozenset()
        )
        return Layer(
            graft.name,
            graft.source,
            graft.prefix,
            graft.values,
            graft.plain,
            graft.grafts,
            graft.capabilities | words,
        )

    def _require(self, data: Values, graft: Layer, layer: Layer, at: KeyPath) -> None:
        wanted = data.get(REQUIRES, [])
        if not isinstance(wanted, list) or not all(isinstance(word, str) for word in wanted):
            self._fault(layer, (*at, REQUIRES), f'"{REQUIRES}" must be a list of texts', f'"{REQUIRES}" = ["tools"]')
            return
        missing = [word for word in wanted if word not in graft.capabilities]
        if missing:
            offers = f"it offers: {_listing(graft.capabilities)}" if graft.capabilities else "it offers none"
            message = f"{'.'.join(graft.prefix)} of {self.environment.where} does not offer {_listing(missing)}"
            self._fault(layer, (*at, REQUIRES), message, f"{offers} ({CAPABILITIES} = [...] of the resource)")

    def _fault(self, layer: Layer, path: KeyPath, message: str, hint: str) -> None:
        self.faults.append(Fault(Place(layer.name, layer.source, path), message, hint))


def structure_faults(source: Source) -> list[Fault]:
    """Return what is wrong with the shape of an environment's file: it is tables of named tables."""
    faults = []
    for kind, names in source.data.items():
        if kind == DEFAULTS and isinstance(names, dict):
            continue
        if not isinstance(names, dict):
            faults.append(_shape(source, (kind,), f"[{kind}.<name>] tables are allowed here, not a single value"))
            continue
        for name, table in names.items():
            if not isinstance(table, dict):
                faults.append(_shape(source, (kind, name), "a resource is a table"))
            else:
                faults.extend(_capability_faults(source, (kind, name), table.get(CAPABILITIES, [])))
    return faults


def _capability_faults(source: Source, path: tuple[str, ...], words: Any) -> Iterable[Fault]:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        yield _shape(source, (*path, CAPABILITIES), "must be a list of texts")


def _shape(source: Source, path: KeyPath, message: str) -> Fault:
    hint = "an environment holds [type.name] tables, such as [llm_providers.default], and [defaults.<section>]"
    return Fault(Place("resource", source, path), message, hint)


def _exists(word: str, known: Mapping[str, Any], nothing: str) -> str:
    near = get_close_matches(word, list(known), n=1)
    also = f"; did you mean {near[0]}?" if near else ""
    return f"there are: {_listing(known)}{also}" if known else f"there are {nothing}"


def _listing(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
