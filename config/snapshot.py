"""The validated configuration at one moment: what loading gives and everything above works from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from config.errors import Problem
from config.schema import BotConfig, FleetConfig

LayerName = Literal["default", "fleet", "environment", "bot", "resource"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one effective value came from. file is None and line, column are 0 when it is built in."""

    layer: LayerName
    file: Path | None
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.file else "built-in default"


BUILT_IN = Origin("default", None, 0, 0)


class Recipe(Protocol):
    """What a bot's configuration was made from, kept so that questions about it are answered when asked."""

    def origins(self) -> Mapping[str, Origin]:
        """Return dotted key → origin of every key that some file names."""
        ...

    def shown(self) -> Mapping[str, Any]:
        """Return dotted key → value with secret-looking variables masked, for values that mention one."""
        ...


@dataclass(frozen=True, slots=True)
class BotSpec:
    """One bot, validated.

    digest is the SHA-256 (hex) over every effective value, the texts of secrets included: equal digests mean
    that nothing has to be done. secrets are those of a bot that is no file's, for redaction (those of files are in
    `Snapshot.secrets`): never print them.
    """

    bot_id: str
    config: BotConfig
    path: Path
    digest: str
    recipe: Recipe | None = field(default=None, repr=False, compare=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    def origins(self) -> Mapping[str, Origin]:
        """Return dotted key → where its value came from, for every key of the schema. Computed when asked."""
        from config.keys import bot_keys

        named = self.recipe.origins() if self.recipe else {}
        built_in = {key.dotted: BUILT_IN for key in bot_keys().values() if not key.free}
        return {**built_in, **named}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole configuration at one moment.

    bots holds what is valid now; kept holds the last good spec of bots whose file is bad now. problems are
    all that is wrong, warnings what is allowed but unwise. secrets is every resolved secret of six characters
    or more, for redaction: never print it.
    """

    root: Path
    fleet: FleetConfig
    environment: str
    bots: Mapping[str, BotSpec]
    problems: tuple[Problem, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    warnings: tuple[Problem, ...] = ()
    kept: Mapping[str, BotSpec] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        """The absolute path of the fleet's database."""
        return (self.root / self.fleet.fleet.database).absolute()

    @property
    def name(self) -> str:
        """What the operator calls the fleet: its name, or that of its folder."""
        return self.fleet.fleet.name or self.root.absolute().name

    @property
    def fleet_problems(self) -> tuple[Problem, ...]:
        """The problems that concern every bot: of fleet.toml, the environment and .env."""
        bots = self.root / "bots"
        return tuple(p for p in self.problems if p.bot_id is None and p.file.parent != bots)

    def problems_of(self, bot_id: str) -> tuple[Problem, ...]:
        """Return what is wrong with one bot's configuration."""
        return tuple(problem for problem in self.problems if problem.bot_id == bot_id)
