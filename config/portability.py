"""Whether a configuration means the same on every machine, and gives no secret away: found by walking its values.

Refused are absolute paths of any kind, file: addresses, hosts of this machine or network in any spelling, and literal
secrets. A reference (`${NAME}`) excuses the text it stands in, from being a path or an address, and nothing else;
`"$resource"` excuses its own name, not what stands beside it. A secret in a text is refused whatever else is in it. In what
people or the model read, sentences may mention what they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from config.expand import has_variable
from config.explain import dotted, quoted
from config.hosts import names_a_host, refusal, seen
from config.keys import KeyPath, bot_keys, key_at
from config.literals import by_name, by_shape
from config.plain import Plain
from config.resolve import RESOURCE, TYPE
from config.vocabulary import Secret

PROSE: Final = frozenset({"name", "prompts", "reply", "commands", "texts", "system_prompt"})
"""Keys of a bot whose values are read by people or the model."""
PROSE_OF_TOOLS: Final = frozenset({"description", "parameters"})
SMALLEST: Final = 1 << 24
"""A number that is a port, a count or a time is smaller than any address, but those of the net 0."""
MAX_COLONS: Final = 4
IN_ITS_PLACE: Final = "write ${NAME}, or name a $resource"

_CUT = re.compile(r"(?:[\s,;|&?=\"'`()>{}]|<(?!/))+")
_INVISIBLE = re.compile(r"[\t\r\n]")
_DRIVE = re.compile(r"[A-Za-z]:(?:[\\/].*)?", re.DOTALL)
_POSIX = re.compile(r"(?:@|\[|-[A-Za-z])?/(?!/)")
_HOME = re.compile(r"~(?:$|[\w.-]*[\\/]|[A-Za-z][\w.-]*$)|(?:\$[A-Z][A-Z_]*|%[A-Za-z_()0-9]+%)[\\/]")
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+:)+(?=[\\/])")
_AUTHORITY = re.compile(r"[\\/]{2}([^\\/?#]*)(.*)", re.DOTALL)
_RELATIVE_WITH_THREE: Final = ("sqlite", "duckdb")
"""Schemes whose third slash only ends the host that is not there."""


class Unportable(NamedTuple):
    """One thing that is bound to a machine, or gives a secret away: its dotted key, and why. Never quotes a secret."""

    key: str
    reason: str


def problems(config: Mapping[str, Any]) -> list[Unportable]:
    """Return everything about a configuration that is not portable, in its own order, values and names of keys alike.

    What no configuration can hold (circles, objects, too much) is told as well. Never raises.
    """
    plain = Plain()
    table = plain.table(config)
    found = [(odd.path, odd.message) for odd in plain.oddities]
    return list(dict.fromkeys(Unportable(dotted(path), reason) for path, reason in (*found, *_walk(table, ()))))


def _walk(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            where = (*path, name if not by_shape(name) else Secret.MASK)
            yield from ((where, f"its name {reason}") for reason in _of_name(name))
            if name == RESOURCE or (name == TYPE and RESOURCE in value):
                continue
            yield from _walk(inner, where)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, (*path, index))
    else:
        yield from ((path, reason) for reason in _of_value(value, path))


def _of_name(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a key."""
    if shape := by_shape(name):
        yield f"holds {shape}"
    elif not has_variable(name) and (bound := _bound(name, certain=False)):
        yield bound


def _of_value(value: Any, path: KeyPath) -> Iterator[str]:
    referring = isinstance(value, str) and has_variable(value)
    secret = by_shape(value) if isinstance(value, str) else ""
    if not secret and not referring:
        secret = by_name(path, value)
    if secret:
        yield f"holds {secret} as it is; write ${{NAME}}"
    elif isinstance(value, str) and not referring:
        yield from _of_text(value, path)
    elif (
        isinstance(value, int)
        and value >= SMALLEST
        and names_a_host(path)
        and (reason := refusal(str(value), certain=True))
    ):
        yield f"{value} {reason}; {IN_ITS_PLACE}"


def _of_text(text: str, path: KeyPath) -> Iterator[str]:
    # A sentence may say what it likes, and "/help" is a command; a value that is nothing but a path is one.
    if _is_prose(path) and (len(text.split()) != 1 or ("\\" not in text and text.count("/") < 2)):
        return
    key = key_at(bot_keys(), path)
    if key is not None and key.secret and text.startswith("cmd:"):
        yield f"runs a program of one machine; {IN_ITS_PLACE}"
    elif bound := _bound(text, certain=names_a_host(path)):
        yield f"{bound}; {IN_ITS_PLACE}"


def _is_prose(path: KeyPath) -> bool:
    if path[0] == "tools":
        return len(path) > 2 and path[2] in PROSE_OF_TOOLS
    return path[0] in PROSE


def _bound(text: str, *, certain: bool) -> str:
    """Return why a text is bound to a machine; "" when it is not. certain: a text of one word is a host."""
    words = _CUT.split(seen(text)) + _CUT.split(_INVISIBLE.sub("", seen(text)))
    for word in dict.fromkeys([*words, *map(unquote, words)]):
        if (
            word
            and (word != "~" or text.strip() == "~")
            and (reason := _path_reason(word) or _host_reason(word, certain=certain))
        ):
            return f"{quoted(word)} {reason}"
    return ""


def _path_reason(word: str) -> str:
    if _DRIVE.fullmatch(word):
        return "is an absolute path of Windows"
    if word.startswith("\\") or re.match(r"//[^/]", word):
        return "is a path of Windows' network, or an address without its scheme"
    if _POSIX.match(word) or word.strip("/") == "":
        return "is an absolute path"
    if _HOME.match(word):
        return "is a path of somebody's home, or of a variable of the shell"
    if word.lower().startswith("file:"):
        return "is an address of a file of this machine"
    scheme = _SCHEME.match(word)
    return _behind_scheme(word[: scheme.end()].lower(), word[scheme.end() :]) if scheme else ""


def _behind_scheme(scheme: str, rest: str) -> str:
    """Return why what follows a scheme is a path: there is no host between its slashes."""
    if "file:" in scheme.split("+") or "file:" in re.findall(r"[a-z0-9.-]+:", scheme):
        return "is an address of a file of this machine"
    authority = _AUTHORITY.match(rest)
    if authority is None:
        return "is an absolute path"
    host, path = authority[1], authority[2]
    if host.rpartition("@")[2].partition(":")[0]:
        return "is an absolute path" if unquote(host).startswith(("/", "\\")) else ""
    if scheme.rstrip(":").split("+")[0].split(":")[-1] in _RELATIVE_WITH_THREE:
        return "is an absolute path" if re.match(r"[\\/](?:[\\/]|[A-Za-z]:)", path) else ""
    return "names no host: it means this machine"


def _host_reason(word: str, *, certain: bool) -> str:
    scheme = _SCHEME.match(word)
    authority = _AUTHORITY.match(word[scheme.end() :]) if scheme else None
    if authority is not None:
        return refusal(_without_port(authority[1].rpartition("@")[2]), certain=True)
    bare = re.split(r"[\\/#]", word.rpartition("@")[2])[0]
    first, *others = bare.split(":", MAX_COLONS)
    reasons = [refusal(host, certain=certain) for host in dict.fromkeys((bare, _without_port(bare), first))]
    reasons += [refusal(host, certain=False) for host in others]
    return next(filter(None, reasons), "")


def _without_port(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    host, colon, port = authority.rpartition(":")
    return host if colon and ":" not in host and port.isdigit() | (not port) else authority
