"""What is thought of a text before it is saved, in words: its mistakes with their places, or what it will disturb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from config.vocabulary import FLEET, Effect
from console.tui import words

SHOWN: Final = 4
"""Mistakes told at once."""

_OF_A_BOT: Final = {
    "nothing": "changes nothing that counts",
    "in_place": "takes effect at once, nothing is disturbed",
    "next_turn": "takes effect with the next turn",
    "restart": "restarts this bot: turns in work are finished first",
    "fleet": "takes effect when the fleet is started again",
}
_WHEN: Final = {
    Effect.IN_PLACE: "at once",
    Effect.NEXT_TURN: "with the next turn",
    Effect.RESTART: "by a restart: turns in work are finished first",
    Effect.FLEET: "when the fleet is started again",
}


def disturbance(bot_id: str, seen: Mapping[str, Any]) -> str:
    """Return what `Control.preview` says a text of a bot (FLEET: of fleet.toml) will do, as the end of "this …"."""
    if bot_id != FLEET or not seen["changes"]:
        return _OF_A_BOT.get(seen["disturbs"], str(seen["disturbs"]))
    own = [change for change in seen["changes"] if change["bot_id"] == FLEET]
    told = [f"changes {', '.join(change['keys'])} {_when(change['effect'])}" for change in own]
    changed: dict[str, list[str]] = {}
    for change in seen["changes"]:
        if change["bot_id"] != FLEET:
            changed.setdefault(change["effect"], []).append(change["bot_id"])
    told += [
        f"changes {words.plural(len(bot_ids), 'bot')} {_when(effect)} ({words.some(bot_ids)})"
        for effect, bot_ids in changed.items()
    ]
    return "; ".join(told)


def _when(effect: str) -> str:
    return _WHEN.get(Effect(effect), effect) if effect in set(Effect) else effect


def mistakes(problems: Sequence[Mapping[str, Any]]) -> str:
    """Return the first problems of `Control.preview`, a line each, as file:line:column and what is wrong."""
    lines = [f"✖ {where(problem)}{words.one_line(problem['message'])}" for problem in problems[:SHOWN]]
    more = len(problems) - SHOWN
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def where(problem: Mapping[str, Any], *, further: int = 0) -> str:
    """Return "poet.toml:3:7: " for where a problem lies, its line counted `further` lines down."""
    found = place(problem)
    name = words.visible(Path(problem["file"]).name)
    return f"{name}:{found[0] + further}:{found[1]}: " if found else f"{name}: "


def place(problem: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return line and column of a problem, None when it has no place."""
    return (int(problem["line"]), int(problem.get("column") or 1)) if problem.get("line") else None
