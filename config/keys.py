"""The keys of the models in config/schema.py, flattened: what explaining, masking and the reference read.

A key is named by its path of tables, `("llm", "temperature")`; its dotted form is what people read.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.schema import BotConfig, FleetConfig
from config.vocabulary import Effect, Secret

Path_ = tuple[str, ...]
"""A key's path of tables from the top of its file."""

KeyPath = tuple[str | int, ...]
"""The same, where indexes of lists may occur."""

NUMBERS: Mapping[type, str] = {int: "a whole number", float: "a number"}
WORDS: Mapping[type, str] = {bool: "true or false", str: "text", dict: "a table", Secret: "text", tuple: "a list"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key a file may hold, as config/schema.py declares it.

    kind is the Python type of its value (Secret for secrets, str for a choice, tuple for a list); allowed says in
    words what it takes; choices is empty unless only certain words are allowed. item is the table a list of tables is
    made of; each is what any value of another list, or of a free table, is, where that is known.
    """

    path: Path_
    kind: type
    help: str
    unit: str
    effect: Effect
    default: Any
    allowed: str
    choices: tuple[str, ...] = ()
    example: str = ""
    free: bool = False
    """Whether the key is a table that takes any names."""
    item: type[BaseModel] | None = None
    each: Key | None = None

    @property
    def dotted(self) -> str:
        """The name people read."""
        return ".".join(self.path)

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.kind is Secret


@cache
def keys_of(model: type[BaseModel]) -> Mapping[KeyPath, Key]:
    """Return every key of a file described by model, in the order of the schema."""
    return {key.path: key for key in _walk(model, ())}


@cache
def tables_of(model: type[BaseModel]) -> Mapping[KeyPath, type[BaseModel]]:
    """Return every table of a file described by model; () is the top of the file."""
    found: dict[KeyPath, type[BaseModel]] = {(): model}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found.update({(name, *path): table for path, table in tables_of(inner).items()})
    return found


def bot_keys() -> Mapping[KeyPath, Key]:
    """Return the keys of a bot file."""
    return keys_of(BotConfig)


def fleet_keys() -> Mapping[KeyPath, Key]:
    """Return the keys of fleet.toml."""
    return keys_of(FleetConfig)


def key_at(keys: Mapping[KeyPath, Key], path: KeyPath) -> Key | None:
    """Return the key at path, looking into lists and free tables too; None where nothing is declared."""
    for size in range(len(path), 0, -1):
        key = keys.get(path[:size])
        if key is not None:
            return _within(key, path[size:])
    return None


def table_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Return the table at path, an item of a list of tables too; None when there is no such table."""
    for size in range(len(path)):
        key = keys_of(model).get(path[:size])
        if key is not None and key.item is not None and isinstance(path[size], int):
            return table_at(key.item, path[size + 1 :])
    return tables_of(model).get(path)


def names_in(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """Return the names the table at path may hold; empty when there is no such table."""
    table = table_at(model, path)
    return tuple(table.model_fields) if table else ()


def headed_tables(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    """Return heading → table in the order of the schema: `[llm]`, `[[llm.fallbacks]]`; "" is the top of the file."""
    return dict(_headed(model, (), "{}"))


def _headed(table: type[BaseModel], path: Path_, brackets: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield brackets.format(".".join(path)), table
    for name, field in table.model_fields.items():
        inner, item = field.annotation, _item(field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _headed(inner, (*path, name), "[{}]")
        elif item is not None:
            yield from _headed(item, (*path, name), "[[{}]]")


def _within(key: Key, rest: KeyPath) -> Key | None:
    """Return the key of what lies at rest within a key's value."""
    if not rest:
        return key
    if key.item is not None:
        return key_at(keys_of(key.item), rest[1:])
    return _within(key.each, rest[1:]) if key.each is not None else None


def _walk(model: type[BaseModel], above: Path_) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _walk(inner, path)
        else:
            yield _key(path, field)


def _key(path: Path_, field: FieldInfo) -> Key:
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, choices = _kind(field.annotation)
    default = field.get_default(call_default_factory=True)
    key = Key(
        path=path,
        kind=kind,
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        effect=Effect(str(extra["effect"])),
        default=None if default is PydanticUndefined else default,
        allowed=str(extra.get("allowed") or "") or _allowed(kind, choices, field.metadata),
        choices=choices,
        example=str(extra.get("example") or ""),
        free=kind is dict,
    )
    item = _item(field.annotation)
    if item is not None:
        return replace(key, item=item, allowed=f"tables, [[{key.dotted}]]")
    return replace(key, each=_each(key, field.annotation, str(extra.get("each") or "")))


def _each(key: Key, annotation: Any, allowed: str) -> Key | None:
    """Return what every value within key is; None when anything may be, or nothing is within."""
    inner = _inner(annotation)
    if inner is None or inner is Any:
        return None
    plain, metadata = (get_args(inner)[0], get_args(inner)[1:]) if get_origin(inner) is Annotated else (inner, ())
    rules = [rule for part in metadata for rule in (part.metadata if isinstance(part, FieldInfo) else [part])]
    kind, choices = _kind(plain)
    words = allowed or _allowed(kind, choices, rules)
    each = replace(key, kind=kind, choices=choices, allowed=words, free=kind is dict)
    return replace(each, each=_each(each, plain, allowed))


def _inner(annotation: Any) -> Any:
    """Return the annotation of a list's items or a table's values; None for single values."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _inner(next(part for part in parts if part is not type(None)))
    if origin is tuple:
        return parts[0]
    return parts[1] if origin is dict else None


def _item(annotation: Any) -> type[BaseModel] | None:
    """Return the table a list of tables is made of; None when the annotation is something else."""
    inner = get_args(annotation)[0] if get_origin(annotation) is tuple else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _kind(annotation: Any) -> tuple[type, tuple[str, ...]]:
    """Return the plain type behind an annotation, and its words when it is a choice."""
    origin = get_origin(annotation)
    if origin is Literal:
        return str, tuple(word for word in get_args(annotation) if word)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    return origin or annotation, ()


def _allowed(kind: type, choices: tuple[str, ...], rules: Sequence[Any]) -> str:
    if choices:
        return " or ".join(f'"{word}"' for word in choices)
    if kind in NUMBERS:
        return " ".join(filter(None, (NUMBERS[kind], _limits(rules))))
    not_empty = any(isinstance(rule, MinLen) and rule.min_length for rule in rules)
    return WORDS[kind] + (", not empty" if not_empty else "")


def _limits(rules: Sequence[Any]) -> str:
    low = next((f"from {rule.ge}" for rule in rules if isinstance(rule, Ge)), "")
    above = next((f"above {rule.gt}" for rule in rules if isinstance(rule, Gt)), "")
    high = next((f"to {rule.le}" for rule in rules if isinstance(rule, Le)), "")
    below = next((f"below {rule.lt}" for rule in rules if isinstance(rule, Lt)), "")
    start = low or above
    if start and not (high or below):
        return start.replace("from ", "") + " or more" if low else start
    if start is above and start:
        return f"{above} {high or below}".replace(" to ", ", at most ")
    return " ".join(filter(None, (start, high or below)))
