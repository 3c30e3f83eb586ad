"""Editing a file of the fleet in the operator's own editor; a text with mistakes is never lost, it comes back with them on top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import SuspendNotSupported

from config.errors import FleetError
from console.tui.editor import edit
from console.tui.screens.edit import Choice, file_name, review
from console.tui.verdicts import where
from console.tui.words import one_line

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp


async def edit_in_editor(app: ConsoleApp, bot_id: str) -> None:
    """Open the file, check what comes back, show what it disturbs, save. Raises nothing: what goes wrong is told."""
    try:
        found = await app.control.config_file(bot_id)
        text: str = found["text"]
        notes: tuple[str, ...] = ()
        while True:
            text = await edit(app, text, name=file_name(bot_id), notes=notes)
            if text == found["text"]:
                app.say("nothing was changed")
                return
            notes = await _mistakes(app, bot_id, text)
            if not notes and await review(app, bot_id, text, found["digest"]):
                return
            if not await _again(app, notes):
                app.say("not saved: the file is as it was")
                return
    except SuspendNotSupported:
        app.complain("an editor of your own needs a terminal", "i opens the built-in one")
    except FleetError as error:
        app.complain(f"edit {file_name(bot_id)}: {error.message}", error.hint)


async def _mistakes(app: ConsoleApp, bot_id: str, text: str) -> tuple[str, ...]:
    """Return what is wrong with a text, in lines as they count once these notes stand above it."""
    problems = (await app.control.preview(bot_id, text))["problems"]
    own = file_name(bot_id)
    return tuple(
        f"{where(p, further=len(problems) if Path(p['file']).name == own else 0)}{one_line(p['message'])}"
        for p in problems
    )


async def _again(app: ConsoleApp, notes: tuple[str, ...]) -> bool:
    what = "It cannot be saved like this:\n\n" + "\n".join(notes) if notes else "It is not saved."
    choice = await app.push_screen_wait(Choice(Text(what), ("Edit it further", "Throw it away")))
    return choice != "Throw it away"
