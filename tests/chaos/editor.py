"""Somebody who edits the files of a fleet all the time, into broken states too, and mends them again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import anyio

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.chaos.subject import Subject, bot_data

EDIT_S: Final = (0.3, 1.0)
BROKEN_S: Final = (0.1, 1.5)
"""Shorter than the grace a half-written file gets, and longer."""

BROKEN_BOTS: Final = ("[telegram\ntoken =", "", "[telegram]\ntoken = 5\n", "[tellegram]\ntoken = 'x'\n", "\x00\x01")
BROKEN_FLEETS: Final = ("[fleet\n", "[fleet]\nnme = 'chaos'\n", "[start]\nrate_per_s = 'fast'\n")


class Editor:
    """Edits at random moments until cancelled; `mend` then makes every file good again. counts says what was done."""

    def __init__(self, subject: Subject, double: Sandbox, random: Random) -> None:
        self.counts: dict[str, int] = {}
        self.fleet_broken = False
        self._subject = subject
        self._double = double
        self._random = random
        self._version = 0

    async def run(self) -> None:
        """Edit until cancelled."""
        ways: tuple[Callable[[SandboxBot], Awaitable[None]], ...] = (
            self._in_place, self._in_place, self._restart, self._break_bot, self._break_bot, self._take_away,
            self._break_fleet,
        )  # fmt: skip
        while True:
            bot = self._random.choice(list(self._double.bots.values()))
            await self._random.choice(ways)(bot)
            await anyio.sleep(self._random.uniform(*EDIT_S))

    def mend(self) -> None:
        """Write every file as it should be."""
        self.mend_fleet()
        for bot in self._double.bots.values():
            self._write(bot)

    def mend_fleet(self) -> None:
        """Write fleet.toml as it should be."""
        self._subject.fleet_toml.write_text('[fleet]\nname = "chaos"\n')
        self.fleet_broken = False

    def _write(self, bot: SandboxBot, **sections: dict[str, Any]) -> None:
        self._subject.write_bot(bot.username, bot_data(self._double, bot.token, **sections))

    async def _in_place(self, bot: SandboxBot) -> None:
        self._count("edited, in place")
        self._version += 1
        telegram = {"poll_timeout_s": self._random.choice((3, 5, 10))}
        self._write(bot, telegram=telegram, llm={"model": f"double-{self._version}"})

    async def _restart(self, bot: SandboxBot) -> None:
        """Another address of the same server: the bot is drained and started again."""
        self._count("edited, restart")
        self._version += 1
        self._write(bot, telegram={"base_file_url": f"{self._double.url}/file{self._version}/bot"})

    async def _break_bot(self, bot: SandboxBot) -> None:
        self._count("broken bot file")
        self._subject.bot_toml(bot.username).write_text(self._random.choice(BROKEN_BOTS))
        await anyio.sleep(self._random.uniform(*BROKEN_S))
        self._write(bot)

    async def _take_away(self, bot: SandboxBot) -> None:
        self._count("bot file gone")
        self._subject.bot_toml(bot.username).unlink(missing_ok=True)
        await anyio.sleep(self._random.uniform(*BROKEN_S))
        self._write(bot)

    async def _break_fleet(self, bot: SandboxBot) -> None:
        self._count("broken fleet.toml")
        self.fleet_broken = True
        self._subject.fleet_toml.write_text(self._random.choice(BROKEN_FLEETS))
        await anyio.sleep(self._random.uniform(*BROKEN_S))
        self.mend_fleet()

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
