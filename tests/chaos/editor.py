"""Somebody who edits the files of a fleet all the time, into broken states too, and mends them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import cycle
from random import Random
from typing import Any, Final

import anyio

from console.sandbox.bots import SandboxBot
from tests.chaos.subject import Subject, bot_data
from tests.chaos.witness import Witness

IN_PLACE, RESTART = "edit, in place", "edit, restart"
BROKEN, GONE, BROKEN_FLEET = "bot file broken", "bot file gone", "fleet.toml broken"
EDITS: Final = (IN_PLACE, RESTART, BROKEN, GONE, BROKEN_FLEET)
"""What a storm must have shown."""

EDIT_S: Final = (0.3, 1.0)
FIRST_EDIT_S: Final = (0.05, 0.2)
"""While not everything has been done once."""
BROKEN_S: Final = (0.1, 1.5)
"""Shorter than the grace a half-written file gets, and longer."""

BROKEN_BOTS: Final = ("[telegram\ntoken =", "", "[telegram]\ntoken = 5\n", "[tellegram]\ntoken = 'x'\n", "\x00\x01")
BROKEN_FLEETS: Final = ("[fleet\n", "[fleet]\nnme = 'chaos'\n", "[start]\nrate_per_s = 'fast'\n")


class Editor:
    """Edits until cancelled: in each way once, in any order, then at random. `mend` makes every file good again."""

    def __init__(self, subject: Subject, double: Witness, random: Random) -> None:
        self._subject = subject
        self._double = double
        self._random = random
        self._broken: Counter[str] = Counter()
        self._models: dict[str, str] = {}
        """The model named by a good edit → which kind of edit it was."""

    async def run(self) -> None:
        """Edit until cancelled."""
        ways: dict[str, Callable[[SandboxBot], Awaitable[None]]] = {
            IN_PLACE: self._in_place, RESTART: self._restart, BROKEN: self._break_bot, GONE: self._take_away,
            BROKEN_FLEET: self._break_fleet,
        }  # fmt: skip
        bots = list(self._double.bots.values())
        for bot, way in zip(cycle(bots), self._random.sample(list(ways.values()), len(ways)), strict=False):
            await way(bot)  # one bot each, so that none undoes what another does before it is seen
            await anyio.sleep(self._random.uniform(*FIRST_EDIT_S))
        while True:
            struck = self.struck()
            lacking = [way for kind, way in ways.items() if not struck[kind]]
            way = self._random.choice(lacking or [*ways.values(), self._in_place, self._break_bot])
            await way(self._random.choice(bots))
            await anyio.sleep(self._random.uniform(*EDIT_S))

    def struck(self) -> Counter[str]:
        """Return how often each kind of edit met a fleet that ran; a good one counts once its model has been asked."""
        asked = self._double.models
        return self._broken + Counter(kind for model, kind in self._models.items() if model in asked)

    def mend(self) -> None:
        """Write every file as it should be."""
        self.mend_fleet()
        for bot in self._double.bots.values():
            self._write(bot)

    def mend_fleet(self) -> None:
        """Write fleet.toml as it should be."""
        self._subject.fleet_toml.write_text('[fleet]\nname = "chaos"\n')

    def _write(self, bot: SandboxBot, **sections: dict[str, Any]) -> None:
        self._subject.write_bot(bot.username, bot_data(self._double, bot.token, **sections))

    async def _in_place(self, bot: SandboxBot) -> None:
        telegram = {"poll_timeout_s": self._random.choice((3, 5, 10))}
        self._write(bot, telegram=telegram, llm={"model": self._next_model(IN_PLACE)})

    async def _restart(self, bot: SandboxBot) -> None:
        """Another address of the same server: the bot is drained and started again."""
        model = self._next_model(RESTART)
        self._write(bot, telegram={"base_file_url": f"{self._double.url}/{model}/bot"}, llm={"model": model})

    async def _break_bot(self, bot: SandboxBot) -> None:
        self._note(BROKEN)
        self._subject.bot_toml(bot.username).write_text(self._random.choice(BROKEN_BOTS))
        await anyio.sleep(self._random.uniform(*BROKEN_S))
        self._write(bot)

    async def _take_away(self, bot: SandboxBot) -> None:
        self._note(GONE)
        self._subject.bot_toml(bot.username).unlink(missing_ok=True)
        await anyio.sleep(self._random.uniform(*BROKEN_S))
        self._write(bot)

    async def _break_fleet(self, bot: SandboxBot) -> None:
        self._note(BROKEN_FLEET)
        self._subject.fleet_toml.write_text(self._random.choice(BROKEN_FLEETS))
        await anyio.sleep(self._random.uniform(*BROKEN_S))
        self.mend_fleet()

    def _note(self, kind: str) -> None:
        self._broken[kind] += not self._subject.ended

    def _next_model(self, kind: str) -> str:
        model = f"double-{len(self._models) + 1}"
        self._models[model] = kind
        return model
