"""The effective configuration for eyes: what counts, where it came from, and no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from config.change import value_at
from config.explain import dotted, leaves, redacted
from config.keys import KeyPath, keys_of
from config.snapshot import BUILT_IN, BotSpec, Origin
from config.vocabulary import Secret


@dataclass(frozen=True, slots=True)
class Shown:
    """One effective value. value is fit to be shown (JSON types, secrets masked); None = not set."""

    path: KeyPath
    value: Any
    origin: Origin


def shown(spec: BotSpec, secrets: Collection[str] = ()) -> list[Shown]:
    """Return every effective value of a bot, in the order of the schema.

    Secrets are masked: keys declared secret, values of secret-looking variables, secret-looking names in free
    tables, tokens, passwords in addresses, and any of the texts given (`Snapshot.secrets`).
    """
    origins = spec.origins()
    hidden = spec.recipe.shown() if spec.recipe else {}
    rows: list[Shown] = []
    for path, value in _values(spec.config, ()):
        name = dotted(path)
        rows.append(Shown(path, _fit(hidden.get(name, value), secrets), origins.get(name, BUILT_IN)))
    return rows


def _values(table: BaseModel, above: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and value of every key of a table, of the tables in its lists too."""
    for key in keys_of(type(table)).values():
        value, path = value_at(table, key.path), (*above, *key.path)
        if key.item is not None and value:
            for index, item in enumerate(value):
                yield from _values(item, (*path, index))
        elif key.free and value is not None:
            yield from leaves(value, path)
        else:
            yield path, value


def as_json(spec: BotSpec, secrets: Collection[str] = (), root: Path | None = None) -> dict[str, Any]:
    """Return {"bot_id", "file", "digest", "config", "origins"}: nested values, and dotted key → where from.

    File names are relative to root where they can be.
    """
    nested: dict[str, Any] = {}
    origins: dict[str, Any] = {}
    for row in shown(spec, secrets):
        _nest(nested, row.path, row.value)
        origins[dotted(row.path)] = _whence_json(row.origin, root)
    return {
        "bot_id": spec.bot_id,
        "file": _name(spec.path, root),
        "digest": spec.digest[:12],
        "config": nested,
        "origins": origins,
    }


def _nest(nested: Any, path: KeyPath, value: Any) -> None:
    """Put a value into nested tables and lists, made on the way."""
    for name, after in pairwise(path):
        if isinstance(name, int) and name == len(nested):
            nested.append({})
        elif isinstance(name, str) and name not in nested:
            nested[name] = [] if isinstance(after, int) else {}
        nested = nested[name]
    nested[path[-1]] = value


def as_text(spec: BotSpec, secrets: Collection[str] = (), root: Path | None = None, *, origin: bool = False) -> str:
    """Return the effective configuration as TOML for people; with origin, each line says where it came from."""
    tables: dict[KeyPath, list[Shown]] = {}
    for row in shown(spec, secrets):
        tables.setdefault(row.path[:-1], []).append(row)
    lines: list[tuple[str, Origin | None]] = []
    for table, rows in tables.items():
        if table:
            lines += [("", None), (_heading(table), None)]
        lines += [(_line(row), row.origin) for row in rows]
    if not origin:
        return "\n".join(text for text, _ in lines)
    width = min(60, max(len(text) for text, _ in lines))
    return "\n".join(f"{text:<{width}}  # {_whence(where, root)}" if where else text for text, where in lines)


def _heading(table: KeyPath) -> str:
    names = ".".join(_name_of_key(name) for name in table if isinstance(name, str))
    return f"[[{names}]]" if isinstance(table[-1], int) else f"[{names}]"


def _line(row: Shown) -> str:
    name = _name_of_key(str(row.path[-1]))
    return f"# {name} is not set" if row.value is None else f"{name} = {_toml(row.value)}"


def _fit(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, Secret):
        return Secret.MASK if value else ""
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, dict):
        return {name: _fit(part, secrets) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_fit(part, secrets) for part in value]
    return value if isinstance(value, int | float | bool | None) else str(value)


def _toml(value: Any) -> str:
    """Return a value on one line, as TOML writes it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_name_of_key(name)} = {_toml(part)}" for name, part in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(part) for part in value)}]"
    text = json.dumps(value, ensure_ascii=False)
    # What a terminal might obey is written as an escape, which TOML takes as well.
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


def _name_of_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _whence(origin: Origin, root: Path | None) -> str:
    if origin.file is None:
        return "built-in default"
    return f"{_name(origin.file, root)}:{origin.line}:{origin.column}"


def _whence_json(origin: Origin, root: Path | None) -> dict[str, Any]:
    return {
        "layer": origin.layer,
        "file": _name(origin.file, root),
        "line": origin.line,
        "column": origin.column,
    }


def _name(path: Path | None, root: Path | None) -> str | None:
    if path is None:
        return None
    return str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else str(path)
