"""What stands on the console's screens, as text."""

from __future__ import annotations

from typing import Any, Final

from textual.pilot import Pilot
from textual.widgets import Input

from console.tui.screens.tryit import TryScreen
from tests.secrets.house import House
from tests.tui.consoles import console, screen_text, seen

TALL: Final = (150, 80)
PANELS: Final = (
    ("2", ""), ("3", "[1 h]"), ("4", "following"), ("5", "following"), ("6", "[llm]"), ("7", "Nobody is listed"),
    ("8", "[7 d]"),
)  # fmt: skip


async def shown(house: House, names: tuple[str, ...], word: str) -> bytes:
    """Return the text of every screen; word stands in what is known of the bots named."""
    texts: list[str] = []
    async with console(await house.control(), size=TALL) as pilot:
        for key in ("1", "2", "3"):
            await pilot.press(key)
            texts.append(await _text(pilot))
        for key in ("l", "e", "dollar_sign"):
            await pilot.press(key)
            texts.append(await _text(pilot))
            await pilot.press("escape")
        for name in names:
            pilot.app.open_bot(name)
            await seen(pilot, word)
            texts.append(await _text(pilot))
            for key, told in PANELS:
                await pilot.press(key)
                await seen(pilot, told)
                texts.append(await _text(pilot))
            await pilot.press("escape")
        texts.append(await _tried(pilot, names[0]))
    return "\n".join(texts).encode()


async def _tried(pilot: Pilot[Any], name: str) -> str:
    await pilot.app.push_screen(TryScreen(name))
    await seen(pilot, f"You talk to {name}")
    pilot.app.screen.query_one(Input).value = "hello"
    await pilot.press("enter")
    await seen(pilot, "401")
    return screen_text(pilot)


async def _text(pilot: Pilot[Any]) -> str:
    await pilot.pause()
    return screen_text(pilot)
