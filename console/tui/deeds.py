"""Doing what the operator asked for: says at once what it will do, and then what happened."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from config.errors import FleetError
from console.tui import words
from console.tui.actions import OperatorAction

if TYPE_CHECKING:
    from console.control import Outcome
    from console.tui.app import ConsoleApp

PATIENCE_S: Final = 40.0
"""How long the answer "what happened" is waited for; a drain takes 20 s."""


def actor() -> str:
    """Return who sits at this console, for the journal."""
    try:
        return f"console:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"console:{os.getuid()}"


class Deeds:
    """Orders to the fleet, each with its two answers as toasts. Raises nothing: a refusal is told."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app

    async def steer(self, action: OperatorAction, bot_ids: Sequence[str]) -> None:
        """Give an order to bots, and tell how each took it."""
        assert action.order is not None
        self._app.say(f"{action.will} {words.some(bot_ids)} …")
        try:
            outcomes = await self._app.control.steer(action.order, bot_ids, actor=actor())
            self._tell_refused(action, outcomes)
            taken = [outcome for outcome in outcomes if outcome["ok"]]
            if taken:
                await self._tell_arrived(action, taken)
        except FleetError as error:
            self._app.complain(f"{action.title.lower()}: {error.message}", error.hint)

    def _tell_refused(self, action: OperatorAction, outcomes: Sequence[Outcome]) -> None:
        refused = [outcome for outcome in outcomes if not outcome["ok"]]
        for outcome in refused[:3]:
            self._app.complain(f"{action.title.lower()} {outcome['bot_id']}: {outcome['message']}", outcome["hint"])
        if len(refused) > 3:
            self._app.complain(f"{action.title.lower()}: {len(refused) - 3} more refused it")

    async def _tell_arrived(self, action: OperatorAction, taken: Sequence[Outcome]) -> None:
        bot_ids = [outcome["bot_id"] for outcome in taken]
        late: list[str] = []
        if action.arrives:
            since = min(outcome["at"] for outcome in taken) if action.order == "restart" else 0.0
            late = await self._app.control.wait(bot_ids, action.arrives, timeout_s=PATIENCE_S, since=since)
        there = [bot_id for bot_id in bot_ids if bot_id not in late]
        if there:
            self._app.say(f"{action.did}: {words.some(there)}")
        if late:
            phases = {bot_id: self._phase(bot_id) for bot_id in late}
            self._app.complain(
                f"not {action.did}: {words.some([f'{bot_id} ({phase})' for bot_id, phase in phases.items()])}"
            )

    def _phase(self, bot_id: str) -> str:
        row = self._app.model.rows.get(bot_id)
        return row["phase"] if row else "gone"

    async def reload(self) -> None:
        """Have the folder read anew, and tell what that changed."""
        self._app.say("reading the files …")
        try:
            answer = await self._app.control.reload(actor=actor())
        except FleetError as error:
            self._app.complain(error.message, error.hint)
            return
        changes = [f"{change['bot_id']} {change['kind']}" for change in answer["changes"]]
        self._app.say(f"files read: {words.some(changes) if changes else 'nothing changed'}")
        for problem in answer["problems"][:3]:
            self._app.complain(_problem(problem))

    async def export(self, bot_ids: Sequence[str], folder: Path) -> None:
        """Write bots' rows to files of a folder of the fleet's machine."""
        for bot_id in bot_ids:
            target = folder / f"{bot_id}.botdeck"
            self._app.say(f"exporting {bot_id} to {target} …")
            try:
                done = await self._app.control.export_bot(bot_id, target)
            except FleetError as error:
                self._app.complain(f"export {bot_id}: {error.message}", error.hint)
            else:
                self._app.say(f"exported: {bot_id}, {words.plural(done['rows'], 'row')}, {done['file']}")

    async def remove(self, bot_ids: Sequence[str]) -> None:
        """Delete bots with all they remember."""
        for bot_id in bot_ids:
            self._app.say(f"removing {bot_id} …")
            try:
                done = await self._app.control.remove_bot(bot_id, actor=actor())
            except FleetError as error:
                self._app.complain(f"remove {bot_id}: {error.message}", error.hint)
            else:
                self._app.say(f"removed: {bot_id}, {words.plural(done['rows'], 'row')}")


def _problem(problem: dict[str, object]) -> str:
    place = ":".join(str(problem[name]) for name in ("file", "line", "column") if problem.get(name))
    return f"{place}: {problem.get('message', '')}".removeprefix(": ")
