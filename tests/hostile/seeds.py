"""Good files to be spoiled: what `botdeck init` writes, what the documents show, every key there is, every feature."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from config.keys import Key, bot_keys, fleet_keys
from config.schema import FleetConfig
from console.commands.init import files

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "100001:" + "A" * 35
ENVIRON = {"TOKEN": TOKEN, "SUPPORT_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-" + "b" * 30, "EXAMPLE_TOKEN": TOKEN}
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
ENVIRON |= {
    name: f"value-of-{name}"
    for page in PAGES
    for name in re.findall(r"\$\{([A-Z_]+_KEY)\}", page.read_text(encoding="utf-8"))
}

BOT = """\
name = "Support"
channel = "none"
[telegram]
token = "${TOKEN}"
base_url = "https://api.telegram.org/bot"
[llm]
"$resource" = "default"
type = "providers"
"$requires" = ["chat"]
temperature = 0.3
options = { delay_s = 0.1, seed = 3 }
[prompts]
system = \"\"\"
You are "${NAME:-nobody}".
\"\"\"
"""
OPEN_BOT = """\
channel = "none"
[llm]
provider = "openai"
model = "gpt-4o-mini"
api_key = "cmd:printf key-of-the-model"
options = { list = [1, "two", { three = 3 }], when = "1979-05-27T07:32:00Z", "a b".c = 'd' }
[telegram]
token = "file:token.txt"
"""
FLEET = """\
[fleet]
name = "x"
environment = "e"
[defaults.llm]
timeout_s = 5
[start]
rate_per_s = 2.5
"""
ENVIRONMENT = """\
[providers.default]
provider = "echo"
capabilities = ["chat"]
[providers.other]
"$resource" = "default"
type = "providers"
[llm_providers.default]
capabilities = ["chat", "tools"]
[defaults.memory]
max_messages = 3
"""
DOTENV = "NAME=Anna # who\nexport OTHER='a b'\n"
NAMES = ("bots/a.toml", "fleet.toml", "environments/e.toml", ".env")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The texts of one fleet's folder, one of which is to be spoiled."""

    target: str
    texts: Mapping[str, bytes]

    def spoiled(self, data: bytes) -> Fleet:
        """Return this fleet with other bytes in the file that is meant."""
        return Fleet(self.target, {**self.texts, self.target: data})


@cache
def fleets() -> tuple[Fleet, ...]:
    """Return every good fleet, each with the file to spoil."""
    plain = {"bots/a.toml": BOT, "fleet.toml": FLEET, "environments/e.toml": ENVIRONMENT, ".env": DOTENV}
    init = {str(path): text for path, text in files(Path()).items()}
    bots = [BOT, OPEN_BOT, every_key(bot_keys(), ("telegram", "token")), *documented("bots")]
    fleet = [init["fleet.toml"], every_key(fleet_keys()), *documented("fleet")]
    found = [_fleet("bots/a.toml", {**plain, "bots/a.toml": text}) for text in [*bots, init["bots/example.toml"]]]
    found += [_fleet("fleet.toml", {**plain, "fleet.toml": FLEET})]
    found += [_fleet("fleet.toml", {**plain, "bots/a.toml": OPEN_BOT, "fleet.toml": text}) for text in fleet]
    found += [_fleet("environments/e.toml", {**plain, "environments/e.toml": t}) for t in (ENVIRONMENT, _environment())]
    found += [_fleet(".env", {**plain, ".env": text}) for text in (DOTENV, init[".env"])]
    return tuple(found)


def _fleet(target: str, texts: Mapping[str, str]) -> Fleet:
    return Fleet(target, {name: text.encode() for name, text in {**texts, "token.txt": TOKEN}.items()})


def every_key(keys: Mapping[Any, Key], *without: tuple[str, ...]) -> str:
    """Return a file that sets every key to its example or default."""
    values: dict[str, Any] = {}
    for key in keys.values():
        value = _value(key)
        if value is None or key.path in without:
            continue
        table = values
        for name in key.path[:-1]:
            table = table.setdefault(name, {})
        table[key.path[-1]] = value
    values["channel" if "llm" in values else "defaults"] = "none" if "llm" in values else {}
    return tomli_w.dumps(values)


def _value(key: Key) -> Any:
    return tomllib.loads(f"x = {key.example}")["x"] if key.example else key.default


def documented(kind: str) -> Iterator[str]:
    """Yield the TOML the documents show: of bots, environment or fleet."""
    for page in PAGES:
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if _sort(block) == kind:
                yield (
                    block
                    if "channel" in block or "[telegram]" in block or kind != "bots"
                    else f'channel = "none"\n{block}'
                )


def _sort(block: str) -> str:
    if "[llm_providers" in block:
        return "environment"
    return "fleet" if tomllib.loads(block).keys() <= FleetConfig.model_fields.keys() else "bots"


def _environment() -> str:
    (text,) = documented("environment")
    return text + ENVIRONMENT.partition("[llm_providers")[0]
