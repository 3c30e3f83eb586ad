"""Texts and JSON with `{name}` in them, filled with what a model gave as arguments. `{{name}}` stands for `{name}` itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_NAME: Final = re.compile(r"\{\{(\w+)\}\}|\{([A-Za-z_]\w*)\}")
_WHOLE: Final = re.compile(r"\{([A-Za-z_]\w*)\}")


class _Absent:
    """Stands for a member that is left out: its argument was not given."""


_ABSENT: Final = _Absent()


def names(template: Any) -> Iterator[str]:
    """Yield the names of the arguments a template (text, list or table, also nested) asks for."""
    if isinstance(template, str):
        for match in _NAME.finditer(template):
            if match[2]:
                yield match[2]
    elif isinstance(template, Mapping):
        for each in template.values():
            yield from names(each)
    elif isinstance(template, list | tuple):
        for each in template:
            yield from names(each)


def text(template: str, arguments: Mapping[str, Any], encode: Callable[[str], str] = str) -> str:
    """Return a text with its names filled in; an argument that was not given leaves nothing."""

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return f"{{{match[1]}}}"
        return encode(word(arguments[match[2]])) if match[2] in arguments else ""

    return _NAME.sub(put, template)


def value(template: Any, arguments: Mapping[str, Any]) -> Any:
    """Return JSON with its names filled in. A text that is one name alone becomes the argument as it is, typed; a member
    whose argument was not given is left out, and None is returned when the whole is.
    """
    made = _value(template, arguments)
    return None if made is _ABSENT else made


def word(given: Any) -> str:
    """Return an argument as a text within another: texts as they are, true and false in small letters, the rest as JSON."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _value(template: Any, arguments: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        alone = _WHOLE.fullmatch(template)
        return arguments.get(alone[1], _ABSENT) if alone else text(template, arguments)
    if isinstance(template, Mapping):
        members = {name: _value(each, arguments) for name, each in template.items()}
        return {name: each for name, each in members.items() if each is not _ABSENT}
    if isinstance(template, list | tuple):
        return [each for each in (_value(item, arguments) for item in template) if each is not _ABSENT]
    return template
