"""What an operator decides about the people of a bot: let in, shut out, forgotten, invited; asked first, then told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from config.errors import FleetError
from console.tui.deeds import actor
from console.tui.panels.people import PeoplePanel
from console.tui.screen import ConsoleScreen
from console.tui.screens.sure import SureScreen

if TYPE_CHECKING:
    from console.tui.actions import OperatorAction
    from console.tui.app import ConsoleApp

MINUTES: Final = "10"
"""What most codes need."""
LONGEST_MINUTES: Final = 7 * 24 * 60


def begin(app: ConsoleApp, action: OperatorAction, bot_id: str) -> None:
    """Ask who is meant (the person the keys are at stands there already), then have it done."""
    screen = app.screen
    person = screen.person() if isinstance(screen, ConsoleScreen) and bot_id in screen.targets() else ""
    if action.deed == "pair":
        ask = SureScreen(
            f"A code for {bot_id}", action.consequence, action.title, text=MINUTES, asks="for how many minutes",
            wrong=wrong_minutes,
        )  # fmt: skip
    else:
        ask = SureScreen(
            f"{action.title}: who, of {bot_id}?", action.consequence, action.title, text=person,
            asks="the person's number at Telegram", wrong=wrong_number,
        )  # fmt: skip
    app.push_screen(ask, partial(_answered, app, action, bot_id))


def wrong_number(text: str) -> str:
    """Return what keeps a text from being a person's number."""
    good = text.isascii() and text.isdecimal() and 0 < int(text) < 2**52
    return "" if good else "a person's number, such as 123456789"


def wrong_minutes(text: str) -> str:
    """Return what keeps a text from being the minutes of a code."""
    good = text.isascii() and text.isdecimal() and 0 < int(text) <= LONGEST_MINUTES
    return "" if good else f"whole minutes, from 1 to {LONGEST_MINUTES}"


def _answered(app: ConsoleApp, action: OperatorAction, bot_id: str, typed: str | None) -> None:
    if typed is not None:
        work = _pair(app, bot_id, int(typed)) if action.deed == "pair" else _decide(app, action, bot_id, int(typed))
        app.run_worker(work, name="order", group="orders", exit_on_error=False)


async def _pair(app: ConsoleApp, bot_id: str, minutes: int) -> None:
    from console.tui.screens.code import CodeScreen

    try:
        made = await app.control.pair(bot_id, minutes=minutes, actor=actor())
    except FleetError as error:
        app.complain(f"pair: {error.message}", error.hint)
    else:
        app.push_screen(CodeScreen(made))


async def _decide(app: ConsoleApp, action: OperatorAction, bot_id: str, user_id: int) -> None:
    app.say(f"{action.will} {user_id} …")
    asked: dict[str, Any] = {"remove" if action.deed == "unlist" else action.deed: [user_id]}
    try:
        await app.control.access(bot_id, **asked, actor=actor())
    except FleetError as error:
        app.complain(f"{action.title.lower()} {user_id}: {error.message}", error.hint)
    else:
        app.say(f"{action.did}: {user_id} of {bot_id}")
        for panel in app.screen.query(PeoplePanel):
            panel.look(at_once=True)
