"""What is wrong, as a person needs to hear it: where, what was found, what is allowed, what was probably meant.

Validation errors are told in our own sentences; a value is quoted as it stands in the file, so that what a
variable holds never shows, and the value of a secret key is never quoted at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from config.errors import Problem
from config.keys import Key, KeyPath, Path_, bot_keys, keys_of, names_in, tables_of
from config.merge import Place, find
from config.realise import Realised
from config.resolve import Fault
from config.schema import FleetConfig
from config.vocabulary import TOKEN_PATTERN, Secret

MAX_QUOTE_CHARS = 40

_TOKEN = re.compile(TOKEN_PATTERN)
_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")


def explain(
    error: ValidationError, model: type[BaseModel], raw: Mapping[str, Any], made: Realised
) -> dict[KeyPath, Fault]:
    """Return key → fault for every key validation refuses."""
    faults: dict[KeyPath, Fault] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        path = _key_path(model, detail["loc"], detail["type"])
        if path in faults:
            continue
        place = made.place(path)
        if detail["type"] == "extra_forbidden":
            faults[path] = _unknown(model, path, place)
        else:
            faults[path] = _refused(model, path, find(raw, path), place)
    return faults


def problem_of(fault: Fault, bot_id: str | None, secrets: Collection[str]) -> Problem:
    """Return a fault as a located problem; should a secret have found its way into a text, it is masked."""
    place = fault.place
    spot = place.source.spot(place.path, value=fault.value)
    line, column = spot if place.source.text else (0, 0)
    message, hint, key = (masked(text, secrets) for text in (fault.message, fault.hint, dotted(place.path)))
    return Problem(place.source.path, line, column, key, message, hint, bot_id)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text redacted and fit for one line of a terminal."""
    return "".join(c if c.isprintable() else "?" for c in redacted(text, secrets))


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text with the mask in place of tokens, passwords of addresses and the given secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, Secret.MASK)
    return _PASSWORD.sub(rf"\1{Secret.MASK}@", _TOKEN.sub(Secret.MASK, text))


def dotted(path: KeyPath) -> str:
    """Return the name of a key for people: `llm.model`, `"odd name".list[2]`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[\w$-]+", part) else f'"{_short(part)}"'
            words += f".{_short(name)}" if words else _short(name)
    return words


def quoted(value: Any) -> str:
    """Return a value as it would be written in TOML, shortened, on one line, without secrets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f'"{_short(masked(value))}"'
    return _short(str(value))


def allowed_names(names: Iterable[str]) -> str:
    """Return names as a list for a sentence."""
    return ", ".join(names)


def _short(text: str) -> str:
    return text if len(text) <= MAX_QUOTE_CHARS else f"{text[: MAX_QUOTE_CHARS - 1]}…"


def _key_path(model: type[BaseModel], loc: tuple[int | str, ...], kind: str) -> KeyPath:
    """Return the part of pydantic's location that is a path of keys: it appends names of its own schemas."""
    if kind == "extra_forbidden":
        return loc
    keys, tables = keys_of(model), tables_of(model)
    for size in range(len(loc), 0, -1):
        path = loc[:size]
        if path in keys or path in tables:
            return path
    return loc


def _unknown(model: type[BaseModel], path: KeyPath, place: Place) -> Fault:
    name, table = str(path[-1]), tuple(str(part) for part in path[:-1])
    known = names_in(model, table)
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else _elsewhere(model, name)
    where = f" in [{dotted(place.path[:-1])}]" if place.path[:-1] else ""
    return Fault(place, f"unknown key {dotted((name,))}{where}; allowed: {allowed_names(known)}", hint, value=False)


def _elsewhere(model: type[BaseModel], name: str) -> str:
    """Return where a key of this name belongs, when it is known in other tables."""
    if model is FleetConfig:
        table = get_close_matches(name.lower(), {str(path[0]) for path in bot_keys() if len(path) > 1}, n=1)
        return f"what all bots share stands in [defaults.{table[0]}]" if table else ""
    names = {str(path[-1]) for path in keys_of(model) if len(path) > 1}
    near = get_close_matches(name.lower(), names, n=1)
    tables = [f"[{dotted(path[:-1])}]" for path in keys_of(model) if path[-1:] == tuple(near) and len(path) > 1]
    where = " or ".join(tables)
    if not tables:
        return ""
    return f"it belongs in {where}" if near == [name] else f"did you mean {near[0]} in {where}?"


def _refused(model: type[BaseModel], path: KeyPath, found: Any, place: Place) -> Fault:
    key = keys_of(model).get(path)
    if key is None:
        return Fault(place, f"found a single value; allowed: a table, [{dotted(place.path)}]")
    what = "a value of another sort" if key.secret else _found(found)
    return Fault(place, f"found {what}; allowed: {key.allowed}", _advice(key, found))


def _found(value: Any) -> str:
    if isinstance(value, str) and "${" in value:
        return f"what {quoted(value)} stands for"
    return quoted(value)


def _advice(key: Key, found: Any) -> str:
    if key.choices and isinstance(found, str):
        near = get_close_matches(found.lower(), key.choices, n=1)
        return f"did you mean {near[0]}?" if near else ""
    if key.kind is bool and str(found).lower() in {"true", "false", "0", "1", "yes", "no"}:
        return "write true or false, without quotes"
    if key.kind in {int, float} and isinstance(found, str) and "${" not in found:
        return "write the number without quotes" if re.fullmatch(r"\s*-?[\d.]+\s*", found) else ""
    if key.kind is str and not isinstance(found, str | dict | list):
        return "put it in quotes"
    return ""


def leaves(values: Mapping[str, Any], path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield path and value of everything in nested tables that is no table, and of empty tables."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value
