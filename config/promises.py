"""What the lists of tables of a bot file promise: names that can be used, keys that go together, no two alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

from config.keys import KeyPath
from config.realise import Realised
from config.resolve import Fault
from config.schema import BotConfig, CommandSection, FleetConfig, PriceSection, ToolSection
from config.sections.texts import COMMANDS, LANGUAGES, TEXT_KEYS
from config.vocabulary import PROVIDERS

BUILT_IN_TOOLS: Final = ("time", "calculator")
"""Names a tool of kind builtin may have."""

COMMAND_NAME: Final = re.compile(r"[a-z0-9_]{1,32}")
TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_COMMANDS: Final = 100 - len(COMMANDS)
"""Telegram shows 100, the built-in ones among them."""

_CALLABLE = re.compile(r"[A-Za-z_]\w*:[A-Za-z_]\w*", re.ASCII)
_ARGUMENT = re.compile(r"\{\{\w+\}\}|\{([A-Za-z_]\w*)\}")
_LANGUAGE = re.compile(r"[a-z]{2}")
_URL_HINT = 'url = "https://api.example.org/weather/{city}"'
_ALWAYS = frozenset({"name", "kind", "description", "timeout_s"})
KEYS_OF_KIND: Final = {
    "builtin": frozenset[str](),
    "python": frozenset({"callable"}),
    "http": frozenset({"method", "url", "query", "headers", "body", "parameters", "required", "result"}),
    "mcp": frozenset({"command", "url", "env", "headers", "allow"}),
}
"""Kind of a tool → the keys it has beside those of every tool."""


def table_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    """Yield what is wrong with tools, commands and texts, whose keys are each as they should be."""
    for index, tool in enumerate(config.tools):
        yield from _told(made, ("tools", index), _tool_faults(tool))
    for index, command in enumerate(config.commands):
        yield from _told(made, ("commands", index), _command_faults(command))
    yield from _doubles(made, "tools", [tool.name for tool in config.tools])
    yield from _doubles(made, "commands", [command.name for command in config.commands])
    if len(config.commands) > MAX_COMMANDS:
        yield Fault(made.place(("commands", MAX_COMMANDS)), f"more than {MAX_COMMANDS} commands", "take some out")
    if config.texts:
        yield from _text_faults(config, made)
    if config.voice.language and not _LANGUAGE.fullmatch(config.voice.language):
        place = made.place(("voice", "language"))
        yield Fault(place, "is no language's code: two letters, a to z", 'language = "en"')


def fleet_faults(fleet: FleetConfig, made: Realised) -> Iterator[Fault]:
    """Yield what is wrong with the lists of tables of fleet.toml."""
    for index, price in enumerate(fleet.prices):
        yield from _told(made, ("prices", index), _price_faults(price))


def _price_faults(price: PriceSection) -> Iterator[Said]:
    if not price.model:
        yield ("model",), "is missing", 'model = "gpt-4o-mini", or "gpt-4o*" for all that begin so'
    elif "*" in price.model[:-1]:
        yield ("model",), "a * stands at the end only", "write a table for each"
    if price.provider and price.provider not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        yield ("provider",), f"is no known provider; there are: {known}", near_hint(price.provider, PROVIDERS)
    for name in ("input", "output"):
        if name not in price.model_fields_set:
            yield (name,), "is missing", f"{name} = 0.0 for a model that costs nothing"


Said = tuple[KeyPath, str, str]
"""A key within a table, what is wrong with it, what to do."""


def missing(made: Realised, table: KeyPath, name: str, message: str, hint: str) -> Fault:
    """Return the fault of a key that is not in the table of a list, told at the table."""
    place = made.place(table)
    return Fault(place._replace(path=(*place.path, name)), message, hint, value=False)


def near_hint(word: str, known: Iterable[str]) -> str:
    """Return "did you mean …?", or nothing when no word is near."""
    near = get_close_matches(word.lower(), list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _told(made: Realised, table: KeyPath, said: Iterable[Said]) -> Iterator[Fault]:
    for path, message, hint in said:
        if made.has_failed((*table, *path)):
            continue
        place = made.place((*table, *path))
        if place.path[-1] == path[-1]:
            yield Fault(place, message, hint)
        elif not any(failed[: len(table)] == table for failed in made.failed):
            # With a misspelled name beside it, that is what is missing.
            yield missing(made, table, str(path[0]), message, hint)


def _doubles(made: Realised, table: str, names: Sequence[str]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name and first.setdefault(name, index) != index:
            there = made.place((table, first[name], "name"))
            line = there.source.spot(there.path).line
            yield Fault(made.place((table, index, "name")), f"is the name of another, in line {line}", "rename one")


def _tool_faults(tool: ToolSection) -> Iterator[Said]:
    if not tool.kind:
        yield ("kind",), "is missing", 'one of: "builtin", "python", "http", "mcp"'
        return
    if not tool.name:
        yield ("name",), "is missing: the model calls a tool by its name", 'name = "weather"'
    elif tool.kind == "builtin" and tool.name not in BUILT_IN_TOOLS:
        hint = near_hint(tool.name, BUILT_IN_TOOLS)
        yield ("name",), f"is no built-in tool; there are: {', '.join(BUILT_IN_TOOLS)}", hint
    elif not TOOL_NAME.fullmatch(tool.name):
        yield ("name",), "models take 1 to 64 letters a-z and A-Z, digits, _ and - here", ""
    for name in sorted(tool.model_fields_set - _ALWAYS - KEYS_OF_KIND[tool.kind]):
        kinds = " or ".join(kind for kind, keys in KEYS_OF_KIND.items() if name in keys)
        yield (name,), f"is no key of a tool of kind {tool.kind}", f"it belongs to kind {kinds}"
    yield from _OF_KIND[tool.kind](tool)


def _nothing(_: ToolSection) -> Iterator[Said]:
    yield from ()


def _python_faults(tool: ToolSection) -> Iterator[Said]:
    hint = 'callable = "orders:find" is the function find of tools/orders.py'
    if not tool.callable:
        yield ("callable",), "is missing: kind python needs it", hint
    elif not _CALLABLE.fullmatch(tool.callable):
        yield ("callable",), 'is not of the form "file:function"', hint


def _http_faults(tool: ToolSection) -> Iterator[Said]:
    if not tool.url:
        yield ("url",), "is missing: kind http needs it", _URL_HINT
    elif (wrong := _address_fault(tool.url)) is not None:
        yield ("url",), wrong, _URL_HINT
        return
    for path, text in _texts({"url": tool.url, "query": tool.query, "body": tool.body}):
        for name in filter(None, _ARGUMENT.findall(text)):
            if name not in tool.parameters:
                hint = near_hint(name, tool.parameters) or f"write {{{{{name}}}}} for braces that stay"
                yield path, f"holds {{{name}}}, which is not in parameters", hint
    for name, schema in tool.parameters.items():
        if not isinstance(schema, dict):
            yield ("parameters", name), "is no table: a JSON Schema is", f'{name} = {{ type = "string" }}'
    for index, name in enumerate(tool.required):
        if name not in tool.parameters:
            yield ("required", index), "is not in parameters", near_hint(name, tool.parameters)


def _texts(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield path and text of every text within a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, (*path, name))


def _mcp_faults(tool: ToolSection) -> Iterator[Said]:
    if tool.command and tool.url:
        yield ("url",), "stands beside command: a server has one of them", "take one out"
    elif not tool.command and not tool.url:
        yield ("command",), "is missing: kind mcp needs command or url", 'command = ["uvx", "mcp-server-time"]'
    elif tool.url and ((wrong := _address_fault(tool.url)) is not None or "{" in tool.url):
        yield ("url",), wrong or "holds a {: the address of a server has no arguments", ""
    elif tool.url and tool.env:
        yield ("env",), "is for a server that is a program (command)", "headers may be what you want"


_OF_KIND: Final[dict[str, Callable[[ToolSection], Iterator[Said]]]] = {
    "builtin": _nothing,
    "python": _python_faults,
    "http": _http_faults,
    "mcp": _mcp_faults,
}


def _address_fault(url: str) -> str | None:
    """Return what is wrong with the address of a tool, whose arguments stand in braces."""
    if not url.isprintable() or " " in url:
        return "holds a blank"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return "is no address: it begins with http:// or https:// and names a host"
    if "{" in parts.netloc:
        return "has an argument in place of the host: the model must not choose whom the bot calls"
    return None


def _command_faults(command: CommandSection) -> Iterator[Said]:
    name = command.name
    if not name:
        yield ("name",), "is missing", 'name = "prices", without the slash'
    elif not COMMAND_NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9_]+", "_", name.lower().lstrip("/"))[:32].strip("_")
        yield ("name",), "commands are 1 to 32 of a-z, 0-9 and _", f'name = "{better}"' if better else ""
    elif name in COMMANDS and not command.replace:
        yield ("name",), f"/{name} is built in", "write replace = true beside it if you mean to replace it"
    elif command.replace and name not in COMMANDS:
        yield ("replace",), f"/{name} is not built in: {', '.join(COMMANDS)} are", "take it out"
    if bool(command.text) == bool(command.prompt):
        both = bool(command.text)
        message = (
            "stands beside text: a command has one of them" if both else "is missing: a command needs it, or prompt"
        )
        yield ("prompt" if both else "text",), message, 'text = "…" is sent as it is, prompt = "…" asks the model'
    for language, words in command.descriptions.items():
        if not _LANGUAGE.fullmatch(language):
            yield ("descriptions", language), "is no language's code: two letters, a to z", 'such as ru = "…"'
        elif not 1 <= len(words) <= 256:
            yield ("descriptions", language), "is empty, or longer than 256 characters", ""


def _text_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    for language, texts in config.texts.items():
        if language not in LANGUAGES:
            words = f"there are no built-in texts in it; languages: {', '.join(LANGUAGES)}"
            yield Fault(made.place(("texts", language)), words, near_hint(language, LANGUAGES), value=False)
            continue
        for name, text in texts.items():
            place = made.place(("texts", language, name))
            if name not in TEXT_KEYS:
                hint = near_hint(name, TEXT_KEYS) or f"there are: {', '.join(TEXT_KEYS)}"
                yield Fault(place, "there is no built-in text of this name", hint, value=False)
            elif not text.strip():
                yield Fault(place, "is empty", "take it out to have the built-in text")
