"""A bot's configuration out of a plain mapping, as programs and JSON hand it over: by the same steps as out of a file.

    built-in defaults < base < [defaults] of the environment < the mapping

`${NAME}` and `$resource` mean what they mean in a file. `file:` and `cmd:` do not: whoever may register a bot must not
read files and run programs of the machine by it. A bot made so is reached through Python and the API only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self

from config.build import Shared, build_bot, problems_of, realise, realised_with
from config.dotenv import Variables
from config.errors import ConfigInvalid, Problem
from config.files import Source, is_toml_name
from config.keys import KeyPath, bot_keys, key_at
from config.merge import Layer, Place, merged, stack, without
from config.plain import Oddity, Plain
from config.promises import table_faults
from config.references import ReferenceFailed, References
from config.resolve import DEFAULTS, Environment, Fault, Resolver, structure_faults
from config.schema import BotConfig
from config.snapshot import BotSpec, LayerName
from config.vocabulary import BOT_ID_PATTERN, is_bot_id

BASE: Final = Path("base configuration")
ENVIRONMENT: Final = Path("environment")
STORAGE: Final = "conversation_storage"
STORAGES: Final = ("memory", "sqlite")
SYSTEM_PROMPT: Final = "system_prompt"

_CHOOSE = "give an environment to choose from: its name, or a mapping of resources"
_NOT_HERE = "file: and cmd: are for the files of a fleet's folder"
_CHANNELS = 'found {}; allowed: "none", as a bot made by a program is reached through it'
_ENABLED = "found {}; allowed: true, as a bot made by a program is there or is not"

Resources = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Type → name → the resource, such as {"llm_providers": {"default": {"provider": "openai"}}}."""


def spec_of(
    bot_id: str,
    mapping: Mapping[str, Any],
    *,
    base: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    resources: Resources | None = None,
) -> BotSpec:
    """Return the bot a mapping describes, base beneath it. environ is where `${NAME}` is looked up, the process's by default.

    The secrets found are in `spec.secrets`, for redaction. Raises ConfigInvalid: every problem at once, each with its
    dotted key; nothing of a secret is quoted.
    """
    return Foundation(base, environ=environ, environment=environment_of(resources)).spec_of(bot_id, mapping)


class Foundation:
    """What mappings are built on: a base beneath them, resources they may take, variables they may name.

    Made once for many bots. references serves `file:` and `cmd:` in the base and in resources; without it they are refused
    there too. Raises ConfigInvalid when the base or the environment is bad.
    """

    def __init__(
        self,
        base: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        environment: Environment | None = None,
        references: References | None = None,
    ) -> None:
        environment = environment or environment_of(None)
        variables = Variables(os.environ if environ is None else environ, {})
        source, faults = source_of(BASE, {} if base is None else base, "fleet")
        for name, allowed in (("channel", "none"), ("enabled", True)):
            if name in source.data:
                source.data[name] = allowed
        resolver = Resolver(environment, variables)
        layers: tuple[Layer, ...] = (resolver.layer("fleet", source, (), source.data),)
        if environment.source is not None:
            faults += structure_faults(environment.source)
            under = environment.source.data.get(DEFAULTS, {})
            layers = stack(layers, resolver.layer("environment", environment.source, (DEFAULTS,), under))
        self._shared = Shared(layers, merged(layers), environment, variables, references or NoReferences())
        self.secrets: frozenset[str] = self._checked([*faults, *resolver.faults])
        """The secrets of the base, for redaction: never print them."""

    @classmethod
    def over(cls, shared: Shared) -> Self:
        """Return what the bots of a fleet's folder stand on, as it was read: its defaults, environment and variables."""
        made = cls.__new__(cls)
        made._shared, made.secrets = shared, frozenset()  # noqa: SLF001 (its own; the secrets are known to the fleet)
        return made

    def spec_of(self, bot_id: str, mapping: Mapping[str, Any]) -> BotSpec:
        """Return the bot a mapping describes. Raises ConfigInvalid. Synchronous, about a tenth of a millisecond."""
        path = Path(f"bot {bot_id}")
        if not is_bot_id(bot_id):
            message = f'"{bot_id}" cannot name a bot; it must match {BOT_ID_PATTERN}'
            raise ConfigInvalid((Problem(Path("bot"), 0, 0, "", message),))
        source, faults = source_of(path, mapping, "bot")
        faults += _own_faults(source)
        for fault in faults:
            # A value taken out of a list would give those behind it another number.
            if fault.place.path and isinstance(fault.place.path[-1], str):
                source.data = without(source.data, fault.place.path)
        source.data |= {"channel": "none", "enabled": True}
        built = build_bot(bot_id, source, self._shared, faults)
        if built.config is None:
            raise ConfigInvalid(built.problems)
        return BotSpec(bot_id, built.config, path, built.digest, built.recipe, built.secrets)

    def _checked(self, faults: list[Fault]) -> frozenset[str]:
        """Return the secrets of what lies beneath every bot. Raises ConfigInvalid for what is wrong with it."""
        made = realised_with(self._shared.layers, BotConfig, self._shared)
        if not faults:
            config, found = realise(BotConfig, self._shared.base, made)
            faults = [*found, *table_faults(config, made)]
        if faults:
            raise ConfigInvalid(problems_of(faults, None, made.secrets))
        return frozenset(made.secrets)


class NoReferences(References):
    """Where neither files nor commands give secrets."""

    def __init__(self) -> None:
        super().__init__(Path(), {})

    def file(self, path: Path) -> Any:
        """Raise ReferenceFailed."""
        raise ReferenceFailed(_NOT_HERE, "write ${NAME}")

    def command(self, owner: Path, argv: Any) -> str:
        """Raise ReferenceFailed."""
        raise ReferenceFailed(_NOT_HERE, "write ${NAME}")


def source_of(path: Path, mapping: object, layer: LayerName) -> tuple[Source, list[Fault]]:
    """Return a mapping as if it were a file, older names of keys translated, with what cannot be in it."""
    source, plain = Source(path), Plain()
    source.data = plain.table(mapping)
    oddities = [*plain.oddities, *_translated(source.data)]
    return source, [Fault(Place(layer, source, odd.path), odd.message, odd.hint) for odd in oddities]


def environment_of(resources: Resources | None) -> Environment:
    """Return the environment of resources handed over as a mapping; one without resources for None.

    It may hold a "defaults" table, as an environment's file does. Raises ConfigInvalid when it is no such mapping.
    """
    if resources is None:
        return Environment(choose=_CHOOSE)
    source, faults = source_of(ENVIRONMENT, resources, "environment")
    if faults:
        raise ConfigInvalid(problems_of(faults, None, ()))
    return Environment("", source)


def environment_at(name: str, folder: Path) -> Environment:
    """Return the environment of `<folder>/<name>.toml`. Raises ConfigInvalid: there is none, or it is no such file."""
    names = _names(folder)
    if name not in names:
        near = get_close_matches(name, names, n=1)
        also = f"; did you mean {near[0]}?" if near else ""
        exist = f"there are: {', '.join(names)}{also}" if names else "there is no file of that sort"
        raise ConfigInvalid((Problem(folder, 0, 0, "", f'there is no environment "{name}"', exist),))
    source = Source.read(folder / f"{name}.toml")
    if source.problem is not None:
        raise ConfigInvalid((source.problem,))
    return Environment(name, source, tuple(names))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if is_toml_name(path.name))
    except OSError:
        return []


def _translated(data: dict[str, Any]) -> Iterator[Oddity]:
    """Put older names of keys in their place; yield what is wrong with them."""
    if SYSTEM_PROMPT in data:
        prompt = data.pop(SYSTEM_PROMPT)
        prompts = data.setdefault("prompts", {})
        if not isinstance(prompts, dict) or "system" in prompts:
            yield Oddity((SYSTEM_PROMPT,), "stands beside prompts.system, which is the same", "take one out")
        else:
            prompts["system"] = prompt
    if STORAGE in data:
        yield from _storage_oddities(data.pop(STORAGE))


def _storage_oddities(storage: Any) -> Iterator[Oddity]:
    """Yield what does not say what is so anyway: conversations are in the fleet's database, which is SQLite."""
    words = " or ".join(f'"{name}"' for name in STORAGES)
    hint = "take it out: conversations are kept in the fleet's database"
    if not isinstance(storage, dict):
        yield Oddity((STORAGE,), f'found a single value; allowed: {{"backend": {words}}}', hint)
        return
    backend = storage.get("backend")
    if backend not in STORAGES:
        found = f'found "{backend}"' if isinstance(backend, str) else "is missing or no text"
        yield Oddity((STORAGE, "backend"), f"{found}; allowed: {words}", hint)
    for name in storage.keys() - {"backend"}:
        yield Oddity((STORAGE, name), "unknown key; allowed: backend", hint)


def _own_faults(source: Source) -> Iterator[Fault]:
    """Yield what a file may say and a mapping may not."""
    data = source.data
    if data.get("channel", "none") != "none":
        yield Fault(Place("bot", source, ("channel",)), _CHANNELS.format(f'"{data["channel"]}"'), "take it out")
    if data.get("enabled", True) is not True:
        yield Fault(
            Place("bot", source, ("enabled",)), _ENABLED.format(data["enabled"]), "remove or deactivate the bot"
        )
    for path, text in _texts(data, ()):
        key = key_at(bot_keys(), path) if text.startswith(("file:", "cmd:")) else None
        if key is not None and key.secret:
            yield Fault(Place("bot", source, path), _NOT_HERE, "write ${NAME}, or name a $resource that has it")


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        inner: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in inner:
            yield from _texts(part, (*path, name))
