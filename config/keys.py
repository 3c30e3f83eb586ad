"""The keys of the models in config/schema.py, flattened: what explaining, masking and the reference read.

A key is named by its path of tables, `("llm", "temperature")`; its dotted form is what people read.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

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
WORDS: Mapping[type, str] = {bool: "true or false", str: "text", dict: "a table", Secret: "text"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key a file may hold, as config/schema.py declares it.

    kind is the Python type of its value (Secret for secrets, str for a choice); allowed says in words what
    it takes; choices is empty unless only certain words are allowed.
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
    """Whether the key is a table that takes anything."""

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


def names_in(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """Return the names the table at path may hold; empty when there is no such table."""
    table = tables_of(model).get(path)
    return tuple(table.model_fields) if table else ()


@cache
def secret_paths() -> frozenset[KeyPath]:
    """Return the paths of a bot file whose values are secrets."""
    return frozenset(path for path, key in bot_keys().items() if key.secret)


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
    default = None if field.default is PydanticUndefined else field.default
    return Key(
        path=path,
        kind=kind,
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        effect=Effect(str(extra["effect"])),
        default={} if kind is dict else default,
        allowed=str(extra.get("allowed") or "") or _allowed(kind, choices, field),
        choices=choices,
        example=str(extra.get("example") or ""),
        free=kind is dict,
    )


def _kind(annotation: Any) -> tuple[type, tuple[str, ...]]:
    """Return the plain type behind an annotation, and its words when it is a choice."""
    origin = get_origin(annotation)
    if origin is Literal:
        return str, get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    return origin or annotation, ()


def _allowed(kind: type, choices: tuple[str, ...], field: FieldInfo) -> str:
    if choices:
        return " or ".join(f'"{word}"' for word in choices)
    if kind in NUMBERS:
        return " ".join(filter(None, (NUMBERS[kind], _limits(field))))
    not_empty = any(isinstance(rule, MinLen) and rule.min_length for rule in field.metadata)
    return WORDS[kind] + (", not empty" if not_empty else "")


def _limits(field: FieldInfo) -> str:
    low = next((f"from {rule.ge}" for rule in field.metadata if isinstance(rule, Ge)), "")
    above = next((f"above {rule.gt}" for rule in field.metadata if isinstance(rule, Gt)), "")
    high = next((f"to {rule.le}" for rule in field.metadata if isinstance(rule, Le)), "")
    below = next((f"below {rule.lt}" for rule in field.metadata if isinstance(rule, Lt)), "")
    start = low or above
    if start and not (high or below):
        return start.replace("from ", "") + " or more" if low else start
    if start is above and start:
        return f"{above} {high or below}".replace(" to ", ", at most ")
    return " ".join(filter(None, (start, high or below)))
