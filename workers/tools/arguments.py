"""What a model wrote as arguments: read, and checked against the tool's JSON Schema, in words it can act on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from workers.errors import ToolFailed

LONGEST: Final = 100_000
"""Characters of the arguments of one call."""

_Holds = Callable[[Any, Any], bool]

_WORDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_KINDS: Final = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
_LIMITS: Final[tuple[tuple[str, str, _Holds], ...]] = (
    ("minimum", "must be at least", lambda value, limit: value >= limit),
    ("maximum", "must be at most", lambda value, limit: value <= limit),
    ("exclusiveMinimum", "must be more than", lambda value, limit: value > limit),
    ("exclusiveMaximum", "must be less than", lambda value, limit: value < limit),
)
_SIZES: Final[tuple[tuple[str, type[str | list[Any]], str, _Holds], ...]] = (
    ("minLength", str, "must have at least {} characters", lambda size, limit: size >= limit),
    ("maxLength", str, "must have at most {} characters", lambda size, limit: size <= limit),
    ("minItems", list, "must have at least {} items", lambda size, limit: size >= limit),
    ("maxItems", list, "must have at most {} items", lambda size, limit: size <= limit),
)


def read(text: str) -> dict[str, Any]:
    """Return the arguments of a call; none at all for an empty text. Raises ToolFailed unless it is one JSON object."""
    if len(text) > LONGEST:
        raise ToolFailed(f"the arguments are longer than {LONGEST} characters")
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ToolFailed(f"the arguments are no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ToolFailed("the arguments must be a JSON object with one member for each argument")
    return value


def check(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Raise ToolFailed with all that is wrong with arguments by their schema.

    Understood are type, enum, const, required, properties, additionalProperties, items, anyOf, oneOf and the limits of
    numbers, texts and lists; another keyword forbids nothing here.
    """
    wrong = list(_faults(schema, dict(arguments), ""))
    if wrong:
        raise ToolFailed("; ".join(wrong[:10]))


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _faults(schema: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    named = f"argument {where}" if where else "the arguments"
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if kinds and not any(_is(kind, value) for kind in kinds):
        yield f"{named} must be {' or '.join(_WORDS.get(kind, kind) for kind in kinds)}"
        return
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices is not None and not any(_same(value, choice) for choice in choices):
        yield f"{named} must be one of: {', '.join(json.dumps(c, ensure_ascii=False) for c in choices)}"
    either = schema.get("anyOf") or schema.get("oneOf")
    if either and all(next(_faults(each, value, where), None) for each in either):
        yield next(_faults(either[0], value, where)) if len(either) == 1 else f"{named} is of none of the kinds allowed"
    yield from _limit_faults(schema, value, named)
    if isinstance(value, dict):
        yield from _member_faults(schema, value, where)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(schema.get("items"), item, f"{where}[{number}]")


def _limit_faults(schema: Mapping[str, Any], value: Any, named: str) -> Iterator[str]:
    if _is("number", value):
        for word, said, holds in _LIMITS:
            if word in schema and not holds(value, schema[word]):
                yield f"{named} {said} {schema[word]}"
    for word, kind, said, holds in _SIZES:
        if word in schema and isinstance(value, kind) and not holds(len(value), schema[word]):
            yield f"{named} {said.format(schema[word])}"


def _member_faults(schema: Mapping[str, Any], value: dict[str, Any], where: str) -> Iterator[str]:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            yield f"argument {_inside(where, name)} is missing"
    for name, member in value.items():
        if name in properties:
            yield from _faults(properties[name], member, _inside(where, name))
        elif schema.get("additionalProperties") is False:
            known = ", ".join(properties) or "none"
            yield f"there is no argument {_inside(where, name)[:64]}; there are: {known}"


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _same(value: Any, choice: Any) -> bool:
    return value == choice and isinstance(value, bool) is isinstance(choice, bool)


def _is(kind: str, value: Any) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return _is("number", value) and (isinstance(value, int) or value.is_integer())
    return kind not in _KINDS or isinstance(value, _KINDS[kind])
