"""The difference of two snapshots: which bots have to do what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from config.errors import Problem
from config.keys import bot_keys, fleet_keys
from config.schema import BotConfig
from config.snapshot import BotSpec, Snapshot
from config.vocabulary import Effect

Kind = Literal["added", "removed", "changed", "rejected", "unchanged"]

STRENGTH: Mapping[Effect, int] = {effect: rank for rank, effect in enumerate(Effect)}
"""Effects are declared from least to most disturbance."""


@dataclass(frozen=True, slots=True)
class BotChange:
    """What one bot has to do about a new snapshot.

    added      spec is new
    changed    spec replaces the last good one; keys changed, effect is the strongest any of them needs
    rejected   its files are bad (problems); whatever ran last goes on
    unchanged  its files were bad and now say again what ran last
    removed    its file is gone
    """

    bot_id: str
    kind: Kind
    effect: Effect | None = None
    keys: tuple[str, ...] = ()
    spec: BotSpec | None = None
    problems: tuple[Problem, ...] = ()


def compare(old: Snapshot | None, new: Snapshot) -> tuple[BotChange, ...]:
    """Return the bots that differ, ordered by bot_id. With no old snapshot every bot is added or rejected.

    A bot is compared with its last good spec, so that good → bad → good costs what the two good ones differ
    by. Bots rejected for the same problems as before are not named again.
    """
    before, after = _problems(old), _problems(new)
    known = _specs(old)
    # Most of a thousand bots are the very same object in both snapshots: look only at the others.
    ids = {bot_id for bot_id, spec in new.bots.items() if known.get(bot_id) is not spec}
    ids |= known.keys() - new.bots.keys()
    ids |= before.keys() | after.keys()
    changes = (_change(bot_id, known, new, before, after) for bot_id in sorted(ids))
    return tuple(change for change in changes if change is not None)


def fleet_changes(old: Snapshot, new: Snapshot) -> tuple[tuple[str, Effect], ...]:
    """Return dotted key and effect of every fleet.toml key outside [defaults] whose value differs."""
    return tuple(
        (key.dotted, key.effect)
        for key in fleet_keys().values()
        if not key.free and value_at(old.fleet, key.path) != value_at(new.fleet, key.path)
    )


def changed_keys(old: BotConfig, new: BotConfig) -> tuple[tuple[str, Effect], ...]:
    """Return dotted key and effect of every key whose effective value differs, in the order of the schema."""
    return tuple(
        (key.dotted, key.effect) for key in bot_keys().values() if value_at(old, key.path) != value_at(new, key.path)
    )


def strongest(effects: Iterator[Effect]) -> Effect | None:
    """Return the effect that disturbs most; None of none."""
    return max(effects, key=STRENGTH.__getitem__, default=None)


def value_at(model: BaseModel, path: tuple[str, ...]) -> Any:
    """Return the value of the key at path."""
    value: Any = model
    for name in path:
        value = getattr(value, name)
    return value


def _problems(snapshot: Snapshot | None) -> dict[str, tuple[Problem, ...]]:
    grouped: dict[str, list[Problem]] = defaultdict(list)
    for problem in snapshot.problems if snapshot else ():
        if problem.bot_id is not None:
            grouped[problem.bot_id].append(problem)
    return {bot_id: tuple(problems) for bot_id, problems in grouped.items()}


def _specs(snapshot: Snapshot | None) -> Mapping[str, BotSpec]:
    if snapshot is None:
        return {}
    return {**snapshot.bots, **snapshot.kept} if snapshot.kept else snapshot.bots


def _change(
    bot_id: str,
    known: Mapping[str, BotSpec],
    new: Snapshot,
    before: Mapping[str, tuple[Problem, ...]],
    after: Mapping[str, tuple[Problem, ...]],
) -> BotChange | None:
    spec, last = new.bots.get(bot_id), known.get(bot_id)
    if spec is None:
        return _without_spec(bot_id, last, before.get(bot_id, ()), after.get(bot_id, ()), new)
    if last is None:
        return BotChange(bot_id, "added", spec=spec)
    if last.digest == spec.digest:
        return BotChange(bot_id, "unchanged", spec=spec) if bot_id in before else None
    keys = changed_keys(last.config, spec.config)
    effect = strongest(effect for _, effect in keys)
    return BotChange(bot_id, "changed", effect, tuple(key for key, _ in keys), spec)


def _without_spec(
    bot_id: str,
    last: BotSpec | None,
    before: tuple[Problem, ...],
    after: tuple[Problem, ...],
    new: Snapshot,
) -> BotChange | None:
    if after:
        return None if before == after else BotChange(bot_id, "rejected", problems=after)
    if bot_id in new.kept:
        return None
    return BotChange(bot_id, "removed") if last or before else None
