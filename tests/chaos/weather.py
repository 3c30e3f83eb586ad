"""The storm: the double resets, floods, answers garbage, hangs, loses replies after doing the work, jumps its ids."""

from __future__ import annotations

import time
from random import Random
from typing import Any, Final

import anyio

from console.sandbox.faults import Fault, Faults
from console.sandbox.server import Sandbox

Kind = tuple[str, dict[str, Any]]

WIRE: Final[tuple[Kind, ...]] = (
    ("reset", {}),
    ("close", {}),
    ("garbage", {"form": "text"}),
    ("garbage", {"form": "truncated"}),
    ("garbage", {"form": "html"}),
    ("garbage", {"form": "empty"}),
    ("garbage", {"form": "cut"}),
    ("hang", {}),
    ("lost_reply", {}),
    ("lost_reply", {"reset": True}),
    ("server_error", {"status": 502, "html": True}),
    ("server_error", {"status": 500}),
    ("flood", {"retry_after": 1}),
    ("slow", {"delay_s": 0.15}),
)
"""What may befall any request."""
DONE_AND_HANGS: Final[Kind] = ("hang", {"done": True})

GUST_S: Final = (0.1, 0.4)
MODEL_GUST_S: Final = 2.0
"""A model that fails three times for one question costs its person the answer, which is not what is tried here."""
HANG_S: Final = (0.3, 2.0)
LEAP: Final = 1_000_000


class Weather:
    """Sets faults at random moments until it is told to clear up. counts says what was set, by method and kind."""

    def __init__(self, double: Sandbox, random: Random) -> None:
        self.counts: dict[str, int] = {}
        self._double = double
        self._random = random
        self._held: list[tuple[float, Fault]] = []
        self._model_at = 0.0
        self._ids = {bot.id: (bot.updates.next_id, bot.updates.next_id) for bot in double.bots.values()}

    async def run(self) -> None:
        """Blow until cancelled."""
        while True:
            self._gust()
            self._let_go()
            await anyio.sleep(self._random.uniform(*GUST_S))

    def clear_up(self) -> None:
        """Take every fault away and let everything held go on."""
        for faults in (self._double.faults, self._double.model.faults, *(b.faults for b in self._double.bots.values())):
            faults.clear()
        self._held.clear()

    def _gust(self) -> None:
        pick = self._random.random()
        bot = self._random.choice(list(self._double.bots.values()))
        if pick < 0.35:
            self._set(bot.faults, "getUpdates", self._random.choice(WIRE))
        elif pick < 0.7:
            self._set(bot.faults, "sendMessage", self._random.choice((*WIRE, DONE_AND_HANGS)))
        elif pick < 0.8:
            self._set(self._double.faults, "*", self._random.choice(WIRE), times=self._random.randint(2, 20))
        elif pick < 0.9:
            self._trouble_model()
        else:
            self._leap(bot.id)

    def _trouble_model(self) -> None:
        if time.monotonic() - self._model_at > MODEL_GUST_S:
            self._model_at = time.monotonic()
            self._set(self._double.model.faults, "chat", self._random.choice((*WIRE, ("cut", {}))))

    def _set(self, faults: Faults, method: str, kind: Kind, times: int = 1) -> None:
        if faults.describe():
            return  # what has not struck yet would pile up while no fleet runs, and strike the next one all at once
        name, options = kind
        fault = faults.fail(method, name, times, **options)
        self._count(f"{method} {name}")
        if name == "hang":
            self._held.append((time.monotonic() + self._random.uniform(*HANG_S), fault))

    def _let_go(self) -> None:
        now = time.monotonic()
        for due, fault in self._held:
            if due <= now:
                fault.release()
        self._held = [(due, fault) for due, fault in self._held if due > now]

    def _leap(self, bot_id: int) -> None:
        """Go on counting where no update id of this bot has been, upwards or downwards.

        The real server does so after a week without updates, and keeps them a day: nothing waits then.
        """
        bot = self._double.bots[bot_id]
        if bot.pending:
            return
        here = bot.updates.next_id
        lowest, highest = self._ids[bot_id]
        highest = max(highest, here)
        goal = highest + LEAP if self._random.random() < 0.5 else lowest - LEAP
        bot.jump_ids(goal - here)
        self._ids[bot_id] = (min(lowest, goal), max(highest, goal))
        self._count("ids jump up" if goal > here else "ids jump down")

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
