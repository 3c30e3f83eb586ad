"""The key reference and the JSON Schemas, made from the same models that validate.

`python -m config.reference` writes the tables of docs/configuration.md anew; a test tells when they are not current.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from config.keys import Key, headed_tables, keys_of
from config.resolve import CAPABILITIES, REQUIRES, RESOURCE
from config.schema import BotConfig, FleetConfig
from config.sections.texts import TEXT_KEYS
from config.vocabulary import Secret

BEGIN: Final = "<!-- keys: written by `python -m config.reference` -->"
END: Final = "<!-- end of keys -->"
TEXTS_BEGIN: Final = "<!-- texts: written by `python -m config.reference` -->"
TEXTS_END: Final = "<!-- end of texts -->"
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

_WORDS: Final = ("effect", "unit", "example", "allowed", "each")
_KIND: Final = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "minLength", "items")

REFERENCE_PATTERN: Final = r"^\$\{.*\}$"


def tables() -> str:
    """Return the key reference: a Markdown table for every table of a bot file and of fleet.toml."""
    parts = ["## Keys of `bots/<bot_id>.toml`", *_sections(BotConfig)]
    parts += ["## Keys of `fleet.toml`", *_sections(FleetConfig)]
    return "\n\n".join(parts)


def with_tables(page: str) -> str:
    """Return a page with its tables and its list of texts made anew. Raises ValueError when it has no place for them."""
    texts = textwrap.fill(", ".join(f"`{name}`" for name in TEXT_KEYS) + ".", 120)
    return _between(_between(page, TEXTS_BEGIN, TEXTS_END, texts), BEGIN, END, tables())


def _between(page: str, begin: str, end: str, text: str) -> str:
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin} … {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def bot_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a bot file."""
    schema = BotConfig.model_json_schema()
    return {**_head("bots/<bot_id>.toml"), **_adapted(schema)}


def fleet_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of fleet.toml."""
    schema = _adapted(FleetConfig.model_json_schema(), take=False)
    bot = _adapted(BotConfig.model_json_schema())
    definitions = {**schema.pop("$defs"), **bot.pop("$defs"), "BotConfig": bot}
    schema["properties"]["defaults"] = {
        "$ref": "#/$defs/BotConfig",
        "description": schema["properties"]["defaults"]["description"],
    }
    return {**_head("fleet.toml"), **schema, "$defs": definitions}


def environment_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of environments/<name>.toml."""
    bot = _adapted(BotConfig.model_json_schema())
    definitions = {**bot.pop("$defs"), "BotConfig": bot}
    words = {"type": "array", "items": {"type": "string"}, "description": "What the resource offers."}
    resource = {"type": "object", "properties": {CAPABILITIES: words, **_taking()}}
    return {
        **_head("environments/<name>.toml"),
        "type": "object",
        "properties": {"defaults": {"$ref": "#/$defs/BotConfig"}},
        "additionalProperties": {"type": "object", "additionalProperties": resource},
        "$defs": definitions,
    }


def _head(title: str) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}


def _adapted(schema: dict[str, Any], *, take: bool = True) -> dict[str, Any]:
    """Return pydantic's schema as files need it: references for numbers; resources where keys are a bot's (take)."""
    for table in (schema, *schema.get("$defs", {}).values()):
        for name, rule in table.get("properties", {}).items():
            table["properties"][name] = _value_rule(rule)
        if take:
            _let_take(table)
    schema.pop("title", None)
    return schema


def _value_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the rule of one value as a TOML file takes it: no null, and a reference in place of a number."""
    if "$ref" in rule:
        return rule
    kept = {name: value for name, value in rule.items() if name not in {"title", *_WORDS} and value is not None}
    kind: dict[str, Any] = next((part for part in kept.pop("anyOf", []) if part["type"] != "null"), {})
    kind |= {name: kept.pop(name) for name in list(kept) if name in _KIND}
    if "enum" in kind:
        kind["enum"] = [word for word in kind["enum"] if word]  # "" is a key that is not set
        if kept.get("default") == "":
            del kept["default"]
    if kind.get("type") in {"integer", "number", "boolean"}:
        kind = {"anyOf": [kind, {"type": "string", "pattern": REFERENCE_PATTERN}]}
    kept |= {f"x-{name}": rule[name] for name in ("effect", "unit") if rule.get(name)}
    if rule.get("example"):
        kept["examples"] = [tomllib.loads(f"x = {rule['example']}")["x"]]
    return {**kind, **kept}


def _let_take(table: dict[str, Any]) -> None:
    properties = table["properties"]
    own = properties.get("type")
    properties.update(_taking())
    if own is not None:
        # Beside "$resource", type is the sort of resource; alone it is the table's own key.
        table["if"] = {"not": {"required": [RESOURCE]}}
        table["then"] = {"properties": {"type": own}}


def _taking() -> dict[str, Any]:
    return {
        RESOURCE: {"type": "string", "description": "Name of a resource of the chosen environment to take."},
        REQUIRES: {
            "type": "array",
            "items": {"type": "string"},
            "description": "Capabilities the resource must offer.",
        },
        "type": {"type": "string", "description": f'Beside "{RESOURCE}": the sort of resource.'},
    }


def _sections(model: type[BaseModel]) -> Iterator[str]:
    for heading, table in headed_tables(model).items():
        own = [key for key in keys_of(table).values() if len(key.path) == 1]
        if not own:
            continue
        yield f"### `{heading}`" if heading else "### At the top"
        words = re.sub(r"\s+", " ", (table.__doc__ or "").split(": ", 1)[-1]).strip() if heading else ""
        if words:
            yield words[:1].upper() + words[1:]
        yield "\n".join(_table(own, heading.strip("[]")))


def _table(keys: Iterable[Key], above: str) -> Iterator[str]:
    yield "| key | takes | default | what it is | a change takes |"
    yield "|---|---|---|---|---|"
    for key in keys:
        unit = f", in {key.unit}" if key.unit and key.unit not in key.allowed else ""
        example = f" Example: `{key.example}`." if key.example else ""
        takes = f"tables, `[[{above}.{key.dotted}]]`" if key.item and above else key.allowed
        cells = (f"`{key.path[-1]}`", takes + unit, _default(key), key.help + example, key.effect.value)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(key: Key) -> str:
    if key.default is None or isinstance(key.default, Secret):
        return "not set"
    if isinstance(key.default, dict):
        return "`{}`"
    if key.choices and not key.default:
        return "not set"
    return f"`{json.dumps(key.default, ensure_ascii=False)}`"


def main() -> int:
    """Write the tables of docs/configuration.md anew."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
