"""A registered configuration read: taken out of its wrapping, checked to be portable, made into a bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from config.errors import ConfigInvalid, Problem
from config.explain import dotted
from config.mapping import SYSTEM_PROMPT, Foundation, Resources, environment_at, environment_of
from config.plain import Plain
from config.portability import Unportable, problems
from config.schema import BotConfig
from config.snapshot import BotSpec


class Reading:
    """How a registry reads what is registered: base beneath, `$resource` out of the environment, under config_key or not.

    foundation gives what lies beneath at the moment, in place of both. Raises ConfigInvalid when base or environment is bad.
    """

    def __init__(
        self,
        base: Mapping[str, Any] | None,
        environment: Resources | str | None,
        env_dir: Path,
        config_key: str,
        foundation: Callable[[], Foundation] | None = None,
    ) -> None:
        self._config_key = config_key
        self._given = foundation
        if foundation is None:
            found = (
                environment_at(environment, env_dir) if isinstance(environment, str) else environment_of(environment)
            )
            self._made = Foundation(base if base is None else self._own(base), environment=found)

    @property
    def _foundation(self) -> Foundation:
        return self._made if self._given is None else self._given()

    @property
    def secrets(self) -> frozenset[str]:
        """The secrets of the base, for redaction: never print them."""
        return self._foundation.secrets

    def plain(self, bot_id: str, config: object) -> dict[str, Any]:
        """Return a configuration as it can be stored. Raises ConfigInvalid for what cannot."""
        plain = Plain()
        table = plain.table(config)
        if plain.oddities:
            raise ConfigInvalid(
                tuple(
                    Problem(_where(bot_id), 0, 0, dotted(odd.path), odd.message, odd.hint, bot_id)
                    for odd in plain.oddities
                )
            )
        return table

    def checked(self, bot_id: str, config: Mapping[str, Any]) -> BotSpec:
        """Return the bot of a configuration that is portable. Raises ConfigInvalid with every problem at once."""
        found = [_problem(bot_id, each) for each in problems(config)]
        try:
            spec = self.spec(bot_id, config)
        except ConfigInvalid as error:
            said = {problem.key for problem in found}
            found += [problem for problem in error.problems if problem.key not in said]
        if found:
            raise ConfigInvalid(tuple(found))
        return spec

    def spec(self, bot_id: str, config: Mapping[str, Any]) -> BotSpec:
        """Return the bot of a configuration, portable or not. Raises ConfigInvalid with every problem."""
        beside = self._beside(config)
        if beside:
            raise ConfigInvalid(
                tuple(
                    Problem(_where(bot_id), 0, 0, name, f'stands beside "{self._config_key}"', "put it into it", bot_id)
                    for name in beside
                )
            )
        return self._foundation.spec_of(bot_id, self._own(config))

    def _own(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        own = config.get(self._config_key)
        return own if isinstance(own, Mapping) else config

    def _beside(self, config: Mapping[str, Any]) -> list[str]:
        """Return keys of a bot that nobody would read, as they stand beside the table that is."""
        known = BotConfig.model_fields.keys() | {SYSTEM_PROMPT}
        return sorted(config.keys() & known) if self._own(config) is not config else []


def _problem(bot_id: str, found: Unportable) -> Problem:
    return Problem(_where(bot_id), 0, 0, found.key, found.reason, bot_id=bot_id)


def _where(bot_id: str) -> Path:
    return Path(f"bot {bot_id}")
