"""From an action chosen to its being done: whether it can be, to whom, and after asking where that is due."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.vocabulary import FLEET
from console.tui.actions import Confirm, OperatorAction, Scope
from console.tui.deeds import Deeds
from console.tui.link import LinkState

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

PEOPLE: Final = frozenset({"pair", "allow", "block", "unlist"})
"""Deeds of console/tui/people.py."""


class Orders:
    """What the operator of one console asks for."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._deeds = Deeds(app)

    def refusal(self, action: OperatorAction) -> str:
        """Return why an action cannot be done now; empty when it can."""
        link = self._app.link
        if self._app.readonly:
            return "this console only looks (--readonly)"
        if link.state is LinkState.LOADING:
            return "the fleet has not answered yet"
        if not link.live:
            return f"no link to the fleet: {link.reason}"
        if action.capability and not link.can(action.capability):
            return "the fleet is of an older version that cannot do it"
        return ""

    def give(self, action: OperatorAction, bot_ids: list[str]) -> None:
        """Do an action to bots, asking first where that is due; say why where it cannot be done."""
        targets = {Scope.FLEET: [], Scope.BOT: bot_ids[:1], Scope.BOTS: bot_ids}[action.scope]
        refused = self.refusal(action)
        if not refused and not targets and action.scope is not Scope.FLEET:
            refused = "no bot is chosen"
        if refused:
            self._app.complain(f"{action.title}: {refused}")
        elif _to_be_confirmed(action, targets):
            from console.tui.screens.confirm import ConfirmScreen

            self._app.push_screen(ConfirmScreen(action, targets), partial(self._answered, action, targets))
        else:
            self._do(action, targets)

    def _answered(self, action: OperatorAction, bot_ids: list[str], yes: bool | None) -> None:
        if yes:
            self._do(action, bot_ids)

    def _do(self, action: OperatorAction, bot_ids: list[str]) -> None:
        if action.opens:
            self._app.open(action.opens, *bot_ids)
        elif action.order is not None:
            self._work(self._deeds.steer(action, bot_ids))
        elif action.deed == "reload":
            self._work(self._deeds.reload())
        elif action.deed == "remove":
            self._work(self._deeds.remove(bot_ids))
        elif action.deed == "export":
            from console.tui.screens.ask import AskFolder

            self._app.push_screen(AskFolder(bot_ids), partial(self._export, bot_ids))
        elif action.deed in PEOPLE:
            import_module("console.tui.people").begin(self._app, action, bot_ids[0])
        elif action.deed in {"edit_outside", "edit_fleet"}:
            file_of = bot_ids[0] if bot_ids else FLEET
            self._work(import_module("console.tui.screens.editor").edit_in_editor(self._app, file_of))

    def _export(self, bot_ids: list[str], folder: Path | None) -> None:
        if folder is not None:
            self._work(self._deeds.export(bot_ids, folder))

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self._app.run_worker(work, name="order", group="orders", exit_on_error=False)


def _to_be_confirmed(action: OperatorAction, bot_ids: list[str]) -> bool:
    if action.deed in PEOPLE:
        return False  # who is meant is asked in a dialog of their own
    if action.confirm is Confirm.SEVERAL:
        return len(bot_ids) > 1
    return action.confirm is not Confirm.NEVER
