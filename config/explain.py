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
from config.keys import Key, KeyPath, bot_keys, headed_tables, key_at, keys_of, names_in, table_at
from config.merge import Place, find
from config.realise import Realised
from config.resolve import Fault
from config.schema import FleetConfig
from config.sections.talk import respond_advice
from config.vocabulary import TOKEN_PATTERN, Secret

MAX_QUOTE_CHARS = 40

_RESPOND = ("groups", "respond")
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
    keys = keys_of(model)
    for size in range(len(loc), 0, -1):
        path = loc[:size]
        if key_at(keys, path) is not None or table_at(model, path) is not None:
            return path
    return loc


def _unknown(model: type[BaseModel], path: KeyPath, place: Place) -> Fault:
    name = str(path[-1])
    known = names_in(model, path[:-1])
    near = nearest_words(name, known)
    hint = f"did you mean {near[0]}?" if near else _elsewhere(model, name)
    where = f" in {heading(place.path[:-1])}" if place.path[:-1] else ""
    # The word that was meant says all; which there are is for who has none in mind.
    allowed = "" if hint else f"; allowed: {allowed_names(known)}"
    return Fault(place, f"unknown key {dotted((name,))}{where}{allowed}", hint, value=False)


def nearest_words(word: str, known: Iterable[str]) -> list[str]:
    """Return the words that are like word, nearest first; those with letters exchanged before others."""
    near = get_close_matches(word.lower(), sorted(known), n=3)
    return sorted(near, key=lambda other: sorted(other) != sorted(word.lower()))


def heading(path: KeyPath) -> str:
    """Return what stands above the table at path: `[llm]`, `[[llm.fallbacks]]`."""
    names = dotted(tuple(part for part in path if isinstance(part, str)))
    return f"[[{names}]]" if isinstance(path[-1], int) else f"[{names}]"


def _elsewhere(model: type[BaseModel], name: str) -> str:
    """Return where a key of this name belongs, when it is known in other tables."""
    if model is FleetConfig:
        table = get_close_matches(name.lower(), {str(path[0]) for path in bot_keys() if len(path) > 1}, n=1)
        return f"what all bots share stands in [defaults.{table[0]}]" if table else ""
    held = {where: table.model_fields for where, table in headed_tables(model).items() if where}
    near = nearest_words(name, {field for fields in held.values() for field in fields})
    tables = [where for where, fields in held.items() if near and near[0] in fields]
    where = " or ".join(tables)
    if not tables:
        return ""
    return f"it belongs in {where}" if near[0] == name else f"did you mean {near[0]} in {where}?"


def _refused(model: type[BaseModel], path: KeyPath, found: Any, place: Place) -> Fault:
    key = key_at(keys_of(model), path)
    if key is None:
        single = f"write it with single brackets, {heading(place.path)}" if isinstance(found, list) else ""
        what = "a list" if isinstance(found, list) else "a single value"
        return Fault(place, f"found {what}; allowed: a table, {heading(place.path)}", single)
    what = "a value of another sort" if key.secret else _found(found)
    return Fault(place, f"found {what}; allowed: {key.allowed}", _advice(key, found))


def _found(value: Any) -> str:
    if isinstance(value, str) and "${" in value:
        return f"what {quoted(value)} stands for"
    return quoted(value)


def _advice(key: Key, found: Any) -> str:
    words = _words(key)
    if isinstance(found, str) and (words or key.path == _RESPOND):
        return _meant(words, found) if words else respond_advice(found)
    if key.item is not None and isinstance(found, dict):
        return f"write it with two brackets, [[{key.dotted}]]"
    if key.kind is bool and str(found).lower() in {"true", "false", "0", "1", "yes", "no"}:
        return "write true or false, without quotes"
    if key.kind in {int, float} and isinstance(found, str) and "${" not in found:
        return "write the number without quotes" if re.fullmatch(r"\s*-?[\d.]+\s*", found) else ""
    if key.kind is str and not isinstance(found, str | dict | list):
        return "put it in quotes"
    return ""


def _meant(words: Mapping[str, str], found: str) -> str:
    near = get_close_matches(found.lower(), words, n=1)
    return f"did you mean {words[near[0]]}?" if near else ""


def _words(key: Key) -> Mapping[str, str]:
    """Return the words a key takes, by how they are written small; empty when it takes others too."""
    if key.path == ("time_zone",):
        from zoneinfo import available_timezones  # on use: it reads the names of 600 files

        return {name.lower(): name for name in sorted(available_timezones())}
    return {word.lower(): word for word in key.choices}


def _is_list_of_tables(path: KeyPath) -> bool:
    key = key_at(bot_keys(), path)
    return key is not None and key.item is not None


def leaves(values: Mapping[Any, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and value of everything in a bot's tables and lists of tables that is no table, and of empty tables."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        elif isinstance(value, list) and value and _is_list_of_tables((*path, name)):
            yield from leaves(dict(enumerate(value)), (*path, name))
        else:
            yield (*path, name), value
