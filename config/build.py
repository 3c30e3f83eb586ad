"""One bot's effective configuration made from its layers: realised, validated, checked, fingerprinted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.checks import bot_faults, claim
from config.dotenv import Variables
from config.errors import Problem
from config.expand import expand, has_reference, looks_secret
from config.explain import dotted, explain, leaves, problem_of
from config.files import Signature, Source
from config.keys import Key, KeyPath, bot_keys, key_at, keys_of
from config.merge import Layer, Place, merge, merged, place_in, stack, without
from config.realise import Realised
from config.references import References
from config.resolve import Environment, Fault, Resolver
from config.schema import BotConfig
from config.sections.llm import CHAIN
from config.snapshot import Origin
from config.vocabulary import Secret

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all bots are built on: the layers beneath them, merged, and what values are looked up in."""

    layers: tuple[Layer, ...]
    base: Mapping[str, Any]
    environment: Environment
    variables: Variables
    references: References


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one bot file. config is None when there are problems; claim may be known all the same."""

    config: BotConfig | None = None
    digest: str = ""
    claim: int | None = None
    """The Telegram bot id it will poll as."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    depends: Mapping[Path, Signature | None] = field(default_factory=dict)
    recipe: FileRecipe | None = None


@dataclass(frozen=True, slots=True)
class FileRecipe:
    """The layers a bot was built from, kept to answer where its values come from."""

    layers: tuple[Layer, ...]
    variables: Variables

    def origins(self) -> Mapping[str, Origin]:
        """Return dotted key → origin of every key that some file names."""
        paths = dict.fromkeys(path for path, _ in leaves(merged(self.layers)))
        lists = dict.fromkeys(path[:size] for path in paths for size, part in enumerate(path) if isinstance(part, int))
        return {dotted(path): self._origin(path) for path in {**lists, **paths}}

    def shown(self) -> Mapping[str, Any]:
        """Return dotted key → text with the mask in place of what secret-looking names stand for."""
        values = leaves(merged(self.layers))
        known = bot_keys()
        masked = {
            dotted(path): self._masked(str(path[-1]), value, known=key_at(known, path) is not None)
            for path, value in values
            if _hides(path, value)
        }
        return {name: value for name, value in masked.items() if Secret.MASK in str(value)}

    def _masked(self, name: str, value: Any, *, known: bool) -> Any:
        if isinstance(value, list):
            return [self._masked(name, part, known=known) for part in value]
        if isinstance(value, dict):
            return {name: self._masked(name, part, known=False) for name, part in value.items()}
        if not isinstance(value, str):
            return value
        if not known and looks_secret(name):
            return Secret.MASK
        return expand(value, self.variables, mask=True).text

    def place(self, path: KeyPath) -> Place:
        """Return where the value at path stands; some file must give it."""
        place = place_in(self.layers, path)
        assert place is not None, "a value of the merged layers stands in one of them"
        return place

    def _origin(self, path: KeyPath) -> Origin:
        place = self.place(path)
        return Origin(place.layer, place.source.path, *place.source.spot(place.path))


def _hides(path: KeyPath, value: Any) -> bool:
    """Tell whether a value may hold what must not be shown, other than the secrets that are known to be some."""
    if isinstance(value, list):
        return any(_hides(path, part) for part in value)
    if isinstance(value, dict):
        return any(_hides((*path, name), part) for name, part in value.items())
    key = key_at(bot_keys(), path)
    if not isinstance(value, str) or (key is not None and key.secret):
        return False
    return has_reference(value) or (key is None and looks_secret(str(path[-1])))


def build_bot(bot_id: str, source: Source, shared: Shared, known: Sequence[Fault] = ()) -> Built:
    """Build one bot from its file and what is beneath it. Never raises: what is wrong is in `problems`.

    known are faults found in the file before; nothing more is said about the keys they are about.
    """
    if source.problem is not None:
        return Built(problems=(source.problem,))
    resolver = Resolver(shared.environment, shared.variables)
    own = resolver.layer("bot", source, (), source.data)
    if own.grafts:
        layers = stack(shared.layers, own)
        raw = merged(layers)
    else:
        layers = (*shared.layers, own)
        raw = merge(shared.base, own.values)
    made = Realised(layers, bot_keys(), shared.references, shared.variables)
    made.failed |= resolver.failed | {fault.place.path for fault in known}
    config, faults = realise(BotConfig, raw, made)
    faults = [*known, *resolver.faults, *faults, *bot_faults(config, made)]
    good = config if not faults and not resolver.failed else None
    return Built(
        config=good,
        digest=digest_of(good) if good else "",
        claim=claim(config),
        problems=problems_of(faults, bot_id, made.secrets),
        warnings=literal_warnings(made, source, bot_id),
        secrets=frozenset(made.secrets),
        depends=made.depends,
        recipe=FileRecipe(layers, shared.variables),
    )


def realise(model: type[Model], raw: Mapping[str, Any], made: Realised) -> tuple[Model, list[Fault]]:
    """Return the validated model of raw values, with all that is wrong with them.

    What could not be had or is refused counts as not given, and is in `made.failed`: so the rest is checked all
    the same. With faults, the model is only good for looking for more of them.
    """
    values = made.table(raw)
    try:
        return model.model_validate(values), list(made.faults)
    except ValidationError as error:
        refused = explain(error, model, raw, made)
    told = [fault for path, fault in refused.items() if not made.has_failed(path)]
    for path in refused:
        values = without(values, named(path))
    made.failed |= {*refused, *map(named, refused)}
    return model.model_validate(values), [*made.faults, *told]


def named(path: KeyPath) -> KeyPath:
    """Return the path of the key that path is, or that holds the list path is within."""
    size = len(path)
    while size > 1 and isinstance(path[size - 1], int):
        size -= 1
    return path[:size]


def realised_with(layers: Sequence[Layer], model: type[BaseModel], shared: Shared) -> Realised:
    """Return a fresh pass over layers whose keys are those of model."""
    keys: Mapping[KeyPath, Key] = keys_of(model)
    return Realised(layers, keys, shared.references, shared.variables)


def problems_of(faults: Iterable[Fault], bot_id: str | None, secrets: Iterable[str]) -> tuple[Problem, ...]:
    """Return faults as problems, in the order of their files and lines, each once."""
    known = list(secrets)
    found = dict.fromkeys(problem_of(fault, bot_id, known) for fault in faults)
    return tuple(sorted(found, key=lambda problem: (str(problem.file), problem.line, problem.column)))


def literal_warnings(made: Realised, source: Source, bot_id: str | None) -> tuple[Problem, ...]:
    """Return a warning for every secret that stands in this file as it is."""
    faults = []
    for path in made.literal:
        place = made.place(path)
        if place.source is source:
            hint = 'put it into .env and write "${NAME}" here, so that the file may be shared'
            faults.append(Fault(place, "a secret stands here as it is", hint))
    return problems_of(faults, bot_id, made.secrets) if faults else ()


def digest_of(config: BotConfig) -> str:
    """Return SHA-256 (hex) over every effective value, texts of secrets included."""
    known = _untouched()
    values: dict[str, Any] = {}
    for name, value in config.__dict__.items():
        section, fingerprint = known.get(type(value), (None, ""))
        values[name] = fingerprint if value is section or value == section else value
    return _hashed(values)


def _hashed(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _untouched() -> Mapping[type[BaseModel], tuple[BaseModel, str]]:
    """Return section → its built-in values and their fingerprint: most sections of most bots hold nothing else."""
    sections = [value for value in BotConfig().__dict__.values() if isinstance(value, BaseModel)]
    return {type(section): (section, _hashed(section.__dict__)) for section in sections}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return (
            value.__dict__
            if CHAIN not in value.__dict__
            else {name: part for name, part in value.__dict__.items() if name != CHAIN}
        )
    if isinstance(value, Secret):
        return {"$secret": value.reveal()}
    return str(value)  # dates and times, in [llm.options]
