"""The files all bots share: fleet.toml, the chosen environment, .env; read, checked, kept while good."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from config.build import Shared, literal_warnings, problems_of, realise, realised_with
from config.dotenv import Dotenv, Variables, read_dotenv
from config.errors import Problem
from config.files import (
    DOTENV_FILE,
    ENVIRONMENTS_DIR,
    FLEET_FILE,
    Signature,
    Source,
    environment_names,
    signature_at,
)
from config.keys import KeyPath, bot_keys, key_at
from config.merge import Layer, Place, merged, stack
from config.promises import fleet_faults, table_faults
from config.realise import Realised
from config.references import References, signatures
from config.resolve import DEFAULTS, Environment, Fault, Resolver, structure_faults
from config.schema import BotConfig, FleetConfig
from config.vocabulary import Secret

ENVIRONMENT_VARIABLE = "BOTDECK_ENV"


@dataclass(slots=True)
class _Reading:
    """One attempt at the shared files: what it found, good or not."""

    dotenv: Dotenv
    fleet_source: Source
    fleet: FleetConfig = field(default_factory=FleetConfig)
    environment: Environment = field(default_factory=Environment)
    shared: Shared | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set, repr=False)
    depends: dict[Path, Signature | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a text would be in place of fleet.toml; problems are its own, not those of other shared files."""

    fleet: FleetConfig
    environment: str
    shared: Shared
    problems: tuple[Problem, ...]
    secrets: frozenset[str] = field(repr=False)


class SharedFiles:
    """Reads the shared files and keeps their last good state."""

    def __init__(self, root: Path, environment: str | None, environ: Mapping[str, str]) -> None:
        self.root = root
        self.references = References(root, environ)
        self._asked = environment
        self._environ = environ
        self._reading: _Reading | None = None
        self._good: _Reading | None = None
        self._seen: dict[Path, Signature | None] = {}

    @staticmethod
    def concerns(relative: Path) -> bool:
        """Tell whether a path within the fleet's folder is one of the shared files."""
        return str(relative) in {FLEET_FILE, DOTENV_FILE, ENVIRONMENTS_DIR} or relative.parts[0] == ENVIRONMENTS_DIR

    @property
    def usable(self) -> bool:
        """Whether the shared files are, or ever were, good."""
        return self._good is not None

    @property
    def current(self) -> Shared:
        """What bots are built on: the last good state, else whatever could be made of the files."""
        reading = self._good or self._now
        assert reading.shared is not None, "every reading ends with something to build on"
        return reading.shared

    @property
    def fleet(self) -> FleetConfig:
        """The last good fleet.toml; the defaults when it never was."""
        return (self._good or self._now).fleet

    @property
    def environment(self) -> str:
        """The name of the environment in use; empty when none is."""
        return (self._good or self._now).environment.name

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong with the shared files now."""
        return tuple(self._now.problems)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is allowed in the shared files, but unwise."""
        return tuple(self._now.warnings)

    @property
    def secrets(self) -> frozenset[str]:
        """Secrets of the shared files, of the last good state too while it is in use."""
        return frozenset(self._now.secrets | (self._good.secrets if self._good else set()))

    @property
    def _now(self) -> _Reading:
        assert self._reading is not None, "refresh() comes first"
        return self._reading

    def refresh(self, changed: Collection[Path] | None, *, renew_secrets: bool) -> bool:
        """Look at the shared files again; returns whether bots have to be built again.

        changed: the paths among them known to have changed, None when that is not known.
        """
        if self._reading is not None and not renew_secrets and not self._touched(changed):
            return False
        before, used = self._reading, self._good or self._reading
        if renew_secrets:
            self.references.forget()
        self._reading = self._read(before)
        if not self._reading.problems:
            self._good = self._reading
        return used is None or renew_secrets or not _same(used, self._good or self._reading)

    def attempt(self, text: str) -> Trial:
        """Return what a text would be in place of fleet.toml. Changes nothing; a command it names anew is run."""
        seen = self._seen.copy()
        reading = _Reading(self._now.dotenv, Source.of_text(self.root / FLEET_FILE, text))
        self._build(reading)
        self._seen = seen
        assert reading.shared is not None, "every reading ends with something to build on"
        own = tuple(problem for problem in reading.problems if problem.file == self.root / FLEET_FILE)
        return Trial(reading.fleet, reading.environment.name, reading.shared, own, frozenset(reading.secrets))

    def _touched(self, changed: Collection[Path] | None) -> bool:
        if changed is not None:
            return any(path in self._now.depends or path.is_relative_to(self.root) for path in changed)
        return not signatures(self._seen) or not signatures(self._now.depends)

    def _read(self, before: _Reading | None) -> _Reading:
        root = self.root
        self._seen = {path: signature_at(path) for path in (root / FLEET_FILE, root / DOTENV_FILE)}
        dotenv = read_dotenv(root / DOTENV_FILE)
        if before is not None and before.dotenv.values != dotenv.values:
            self.references.forget()
        reading = _Reading(dotenv, _optional(root / FLEET_FILE))
        reading.problems += dotenv.problems
        reading.warnings += dotenv.warnings
        self._build(reading, before)
        return reading

    def _build(self, reading: _Reading, before: _Reading | None = None) -> None:
        variables = Variables(self._environ, reading.dotenv.values)
        self._read_fleet(reading, variables)
        self._choose_environment(reading, variables)
        self._forget_changed(before, reading)
        self._build_base(reading, variables)

    def _forget_changed(self, before: _Reading | None, now: _Reading) -> None:
        """Let the commands of files that changed run again."""
        if before is None:
            return
        for old, new in (
            (before.fleet_source, now.fleet_source),
            (before.environment.source, now.environment.source),
        ):
            if new is not None and (old is None or old.text != new.text):
                self.references.forget(new.path)

    def _read_fleet(self, reading: _Reading, variables: Variables) -> None:
        source = reading.fleet_source
        if source.problem is not None:
            reading.problems.append(source.problem)
            return
        own = {key: value for key, value in source.data.items() if key != DEFAULTS}
        layer = Layer("fleet", source, (), own, own)
        made = self._pass((layer,), FleetConfig, variables)
        reading.fleet, faults = realise(FleetConfig, own, made)
        faults += fleet_faults(reading.fleet, made)
        if not isinstance(source.data.get(DEFAULTS, {}), dict):
            faults.append(
                Fault(Place("fleet", source, (DEFAULTS,)), "found a single value; allowed: a table, [defaults]")
            )
        reading.problems += problems_of(faults, None, made.secrets)
        reading.secrets |= made.secrets
        reading.fleet = reading.fleet.model_copy(update={"defaults": _wrapped(_defaults(source))})

    def _choose_environment(self, reading: _Reading, variables: Variables) -> None:
        folder = self.root / ENVIRONMENTS_DIR
        self._seen[folder] = signature_at(folder)
        named = self._asked or self._environ.get(ENVIRONMENT_VARIABLE) or variables.get(ENVIRONMENT_VARIABLE)
        name = named or reading.fleet.fleet.environment
        others = tuple(environment_names(self.root))
        if not name:
            reading.environment = Environment(others=others)
            return
        if name not in others:
            reading.environment = Environment(name, None, others, broken=True)
            reading.problems.append(self._no_such(name, others, None if named else reading.fleet_source))
            return
        source = Source.read(folder / f"{name}.toml")
        self._seen[source.path] = source.signature
        faults = structure_faults(source)
        reading.problems += [source.problem] if source.problem else problems_of(faults, None, ())
        reading.environment = Environment(name, source, others, broken=bool(source.problem))

    def _no_such(self, name: str, others: tuple[str, ...], source: Source | None) -> Problem:
        near = get_close_matches(name, others, n=1)
        also = f"; did you mean {near[0]}?" if near else ""
        exist = f"there are: {', '.join(others)}{also}" if others else f"there is no file in {ENVIRONMENTS_DIR}/"
        message = f'there is no environment "{name}"'
        if source is not None:
            path = ("fleet", "environment")
            return problems_of([Fault(Place("fleet", source, path), message, exist)], None, ())[0]
        where = self.root / ENVIRONMENTS_DIR / f"{name}.toml" if "/" not in name else self.root / ENVIRONMENTS_DIR
        return Problem(where, 0, 0, "", f"{message} (named by --env or {ENVIRONMENT_VARIABLE})", exist)

    def _build_base(self, reading: _Reading, variables: Variables) -> None:
        """Make the layers beneath every bot, and check what they say even when there is no bot."""
        resolver = Resolver(reading.environment, variables)
        fleet = resolver.layer("fleet", reading.fleet_source, (DEFAULTS,), _defaults(reading.fleet_source))
        layers: tuple[Layer, ...] = (fleet,)
        source = reading.environment.source
        if source is not None:
            layers = stack(layers, resolver.layer("environment", source, (DEFAULTS,), _defaults(source)))
        base = merged(layers)
        reading.shared = Shared(layers, base, reading.environment, variables, self.references)
        made = self._pass(layers, BotConfig, variables)
        made.failed |= resolver.failed
        config, faults = realise(BotConfig, base, made)
        faults += table_faults(config, made)
        reading.problems += problems_of([*resolver.faults, *faults], None, made.secrets)
        for layer in layers:
            reading.warnings += literal_warnings(made, layer.source, None)
        reading.secrets |= made.secrets
        reading.depends = made.depends

    def _pass(self, layers: tuple[Layer, ...], model: Any, variables: Variables) -> Realised:
        return realised_with(layers, model, Shared(layers, {}, Environment(), variables, self.references))


def _optional(path: Path) -> Source:
    """Return the file, an empty one when there is none."""
    return Source.read(path) if path.exists() or path.is_symlink() else Source(path)


def _defaults(source: Source) -> dict[str, Any]:
    table = source.data.get(DEFAULTS, {})
    return table if isinstance(table, dict) else {}


def _wrapped(values: dict[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    """Return [defaults] with its secrets wrapped: a literal one must not show when the fleet's model is printed."""
    return {key: _wrap(value, (*path, key)) for key, value in values.items()}


def _wrap(value: Any, path: KeyPath) -> Any:
    if isinstance(value, dict):
        return _wrapped(value, path)
    if isinstance(value, list):
        return [_wrap(part, (*path, index)) for index, part in enumerate(value)]
    key = key_at(bot_keys(), path) if isinstance(value, str) else None
    return Secret(value) if key is not None and key.secret else value


def _same(old: _Reading, new: _Reading) -> bool:
    """Tell whether bots built on old are as good as built on new."""
    return (
        old.fleet_source.text == new.fleet_source.text
        and old.dotenv.values == new.dotenv.values
        and old.environment.name == new.environment.name
        and (old.environment.source.text if old.environment.source else None)
        == (new.environment.source.text if new.environment.source else None)
        and bool(old.problems) == bool(new.problems)
        and old.depends == new.depends
    )
