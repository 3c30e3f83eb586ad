"""The storm: the double resets, floods, answers garbage, hangs, loses replies after doing the work, jumps its ids."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any, Final

import anyio

from console.sandbox.bots import SandboxBot
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

MODEL: Final = "model: any fault"
UP, DOWN = "ids jump up", "ids jump down"
NAMES: Final = {
    "reset": "reset",
    "close": "closed without an answer",
    "garbage": "garbage",
    "hang": "hangs",
    "lost_reply": "reply lost, work done",
    "server_error": "server error",
    "flood": "flood (429)",
    "slow": "slow",
}
"""What the double calls a fault → what the table calls it."""
KINDS: Final = (*NAMES.values(), MODEL, UP, DOWN)
"""What a storm must have shown."""

GUST_S: Final = (0.1, 0.4)
FIRST_GUST_S: Final = (0.02, 0.1)
"""While not everything has been there once."""
MODEL_GUST_S: Final = 2.0
"""A model that fails three times for one question costs its person the answer, which is not what is tried here."""
HANG_S: Final = (0.3, 2.0)
LEAP: Final = 1_000_000


class Weather:
    """Sets faults until it is told to clear up: each kind once, in any order, and then at random."""

    def __init__(self, double: Sandbox, random: Random) -> None:
        self.quiet: set[int] = set()
        """Bots to which nobody is to write just now."""
        self._double = double
        self._random = random
        self._set_so_far: list[tuple[str, Fault]] = []
        self._held: list[tuple[float, Fault]] = []
        self._model_at = 0.0
        self._ids = {bot.id: (bot.updates.next_id, bot.updates.next_id) for bot in double.bots.values()}
        self._leaps: dict[int, tuple[str, int]] = {}
        """bot → where it has leapt to; no message has come there yet."""
        self._landed: Counter[str] = Counter()
        self._first = [*self._one_of_each()]
        random.shuffle(self._first)

    async def run(self) -> None:
        """Blow until cancelled."""
        while True:
            first = self._first_gust()
            if not first:
                self._gust()
            self._let_go()
            await anyio.sleep(self._random.uniform(*(FIRST_GUST_S if first else GUST_S)))

    def struck(self) -> Counter[str]:
        """Return how often each kind has really befallen a request; of jumps, how often a message came after one."""
        self._see_landings()
        struck = self._landed.copy()
        for name, fault in self._set_so_far:
            struck[name] += fault.hits
        return struck

    def clear_up(self) -> None:
        """Take every fault away and let everything held go on."""
        for faults in (self._double.faults, self._double.model.faults, *(b.faults for b in self._double.bots.values())):
            faults.clear()
        self._first.clear()
        self.quiet.clear()
        self._held.clear()

    # --- gusts: each tells whether it came about ---------------------------------------------------------------

    def _one_of_each(self) -> Iterator[Callable[[], bool]]:
        for number, kind in enumerate(WIRE):
            lost = kind[0] == "lost_reply"  # of a poll's reply nothing is lost
            yield partial(self._strike_any, "sendMessage" if lost or number % 2 else "getUpdates", kind)
        yield partial(self._strike_any, "sendMessage", DONE_AND_HANGS)
        yield self._trouble_model
        yield partial(self._leap_first, self._any_bot(), UP)
        yield partial(self._leap_first, self._any_bot(), DOWN)

    def _first_gust(self) -> bool:
        for number, gust in enumerate(self._first):
            if gust():
                del self._first[number]
                return True
        return False

    def _gust(self) -> None:
        pick = self._random.random()
        if pick < 0.35:
            self._strike(self._any_bot().faults, "getUpdates", self._random.choice(WIRE))
        elif pick < 0.7:
            self._strike(self._any_bot().faults, "sendMessage", self._random.choice((*WIRE, DONE_AND_HANGS)))
        elif pick < 0.8:
            self._strike(self._double.faults, "*", self._random.choice(WIRE), times=self._random.randint(2, 20))
        elif pick < 0.9:
            self._trouble_model()
        else:
            self._leap(self._any_bot(), self._random.choice((UP, DOWN)))

    def _any_bot(self) -> SandboxBot:
        return self._random.choice(list(self._double.bots.values()))

    def _strike_any(self, method: str, kind: Kind) -> bool:
        free = [bot for bot in self._double.bots.values() if not bot.faults.describe()]
        return bool(free) and self._strike(self._random.choice(free).faults, method, kind)

    def _leap_first(self, bot: SandboxBot, where: str) -> bool:
        """Leap once nobody has written for so long that nothing waits; else a busy bot might never come to it."""
        if bot.acknowledged:
            self.quiet.add(bot.id)
        if not self._leap(bot, where):
            return False
        self.quiet.discard(bot.id)
        return True

    def _trouble_model(self) -> bool:
        if time.monotonic() - self._model_at <= MODEL_GUST_S:
            return False
        self._model_at = time.monotonic()
        kind = self._random.choice((*WIRE, ("cut", {})))
        return self._strike(self._double.model.faults, "chat", kind, name=MODEL)

    def _strike(self, faults: Faults, method: str, kind: Kind, *, times: int = 1, name: str = "") -> bool:
        if faults.describe():
            return False  # what has not struck yet would pile up while no fleet runs, and strike the next all at once
        word, options = kind
        fault = faults.fail(method, word, times, **options)
        self._set_so_far.append((name or NAMES[word], fault))
        if word == "hang":
            self._held.append((time.monotonic() + self._random.uniform(*HANG_S), fault))
        return True

    def _let_go(self) -> None:
        now = time.monotonic()
        for due, fault in self._held:
            if due <= now:
                fault.release()
        self._held = [(due, fault) for due, fault in self._held if due > now]

    # --- ids ---------------------------------------------------------------------------------------------------

    def _leap(self, bot: SandboxBot, where: str) -> bool:
        """Go on counting where no update id of this bot has been, upwards or downwards.

        The real server does so after a week without updates, and keeps them a day: nothing waits then.
        """
        self._see_landings()
        if bot.pending or not bot.acknowledged or bot.id in self._leaps:
            return False
        here = bot.updates.next_id
        lowest, highest = self._ids[bot.id]
        highest = max(highest, here)
        goal = highest + LEAP if where == UP else lowest - LEAP
        bot.jump_ids(goal - here)
        self._ids[bot.id] = (min(lowest, goal), max(highest, goal))
        self._leaps[bot.id] = (where, goal)
        return True

    def _see_landings(self) -> None:
        for bot_id, (where, goal) in list(self._leaps.items()):
            if self._double.bots[bot_id].updates.next_id > goal:
                self._landed[where] += 1
                del self._leaps[bot_id]
