"""What happens to a fleet in a busy life: people, troubles of the server, edits, an operator. All at a steady rate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Final

import anyio

from console.attach import RemoteControl
from console.control import Action, EventQuery, LogQuery
from console.sandbox.bots import SandboxBot
from tests.soak.household import Household

CHATS: Final = 12
"""Of each bot; each third is a group, some have topics."""
LONG: Final = ("x" * 5_000, "A longer story, told at leisure. " * 400, "日本語の長い文 " * 700)
ODD: Final[tuple[dict[str, Any], ...]] = (
    {"sticker": {"file_id": "s", "file_unique_id": "s", "type": "regular", "width": 1, "height": 1,
                 "is_animated": False, "is_video": False}},
    {"location": {"latitude": 1.0, "longitude": 2.0}},
    {"dice": {"emoji": "🎲", "value": 3}},
    {"text": ""},
    {"contact": {"phone_number": "1", "first_name": "A"}},
)  # fmt: skip
TROUBLES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("slow", {"delay_s": 0.3}),
    ("flood", {"retry_after": 1}),
    ("server_error", {"status": 502, "html": True}),
    ("server_error", {"status": 500}),
    ("reset", {}),
    ("garbage", {"form": "truncated"}),
)
BROKEN: Final = ("[telegram\ntoken =", "", "[tellegram]\ntoken = 'x'\n", "\x00\x01")
ACTOR: Final = "soak"
STEERS: Final = ((Action.RESTART,), (Action.PAUSE, Action.RESUME), (Action.STOP, Action.START))
DEEDS: Final = frozenset({
    "messages", "long messages", "odd updates", "edited messages",
    "edits in place", "edits with a restart", "broken files, mended", "bots that came", "edits of fleet.toml",
    "status asked", "logs read", "events read", "events followed",
    *(f"troubles: {kind}" for kind, _ in TROUBLES),
    *(f"steered: {action}" for pair in STEERS for action in pair),
})  # fmt: skip
"""What a busy life consists of: a soak in which one of them never happened says nothing of it."""


class Life:
    """Lives until cancelled. counts says what was done. Intervals in seconds: the whole of an hourly life in minutes."""

    def __init__(self, home: Household, control: RemoteControl, *, rate_per_s: float, hurry: float, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._home = home
        self._control = control
        self._rate_per_s = rate_per_s
        self._hurry = hurry
        self._random, self._voices = Random(seed), Random(seed + 1)
        self._version = 0
        self.guest: SandboxBot | None = None

    @property
    def _bots(self) -> list[SandboxBot]:
        return [bot for bot in self._home.double.bots.values() if bot is not self.guest]

    async def run(self) -> None:
        """Do everything side by side until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._talk)
            group.start_soon(self._often, 2.0, [partial(self._trouble, *trouble) for trouble in TROUBLES])
            edits = (self._in_place, self._restart, self._break, self._come_and_go, self._rename_fleet)
            group.start_soon(self._often, 3.0, edits)
            group.start_soon(self._often, 7.0, [partial(self._steer, actions) for actions in STEERS])
            group.start_soon(self._often, 2.5, (self._look, self._read_logs, self._read_events, self._follow))

    def mend(self) -> None:
        """Make every file good, take every trouble away, see the guest off."""
        if self.guest is not None:
            self._home.bot_file(self.guest).unlink(missing_ok=True)
            del self._home.double.bots[self.guest.id]
            self.guest = None
        for bot in self._home.double.bots.values():
            bot.faults.clear()
        for bot in self._bots:
            self._home.write_bot(bot)
        self._home.write_fleet(name="soak")

    async def _often(self, every_s: float, ways: Sequence[Callable[[], Awaitable[None]]]) -> None:
        turn = 0
        while True:
            await anyio.sleep(every_s / self._hurry)
            await ways[turn % len(ways)]()
            turn += 1

    # --- people ------------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        began, done = time.monotonic(), 0
        while True:
            while done < (time.monotonic() - began) * self._rate_per_s:
                self._say_something(self._voices.choice(self._bots))
                done += 1
            await anyio.sleep(0.02)

    def _say_something(self, bot: SandboxBot) -> None:
        chat, pick = self._voices.randrange(1, CHATS + 1), self._voices.random()
        kind = "supergroup" if chat % 3 == 0 else "private"
        number = -1_000_000_000 - chat if kind == "supergroup" else chat
        if pick < 0.90:
            self.counts["messages"] += 1
            bot.say(number, f"message {self.counts['messages']}, as people write", chat_type=kind)
        elif pick < 0.93:
            self.counts["long messages"] += 1
            bot.say(number, self._voices.choice(LONG), chat_type=kind)
        elif pick < 0.97:
            self.counts["odd updates"] += 1
            bot.push(self._odd(chat))
        else:
            self.counts["edited messages"] += 1
            bot.edit(number, bot.say(number, "typo", chat_type=kind), "no typo")

    def _odd(self, chat: int) -> dict[str, Any]:
        person = {"id": chat, "is_bot": False, "first_name": "Odd"}
        here = {"id": chat, "type": "private", "first_name": "Odd"}
        what = self._voices.choice(ODD)
        return {"message": {"message_id": 1, "date": int(time.time()), "chat": here, "from": person} | what}

    async def _trouble(self, kind: str, options: dict[str, Any]) -> None:
        method = self._random.choice(("getUpdates", "sendMessage"))
        self.counts[f"troubles: {kind}"] += 1
        self._random.choice(self._bots).faults.fail(method, kind, **options)

    # --- edits -------------------------------------------------------------------------------------------------

    async def _in_place(self) -> None:
        self.counts["edits in place"] += 1
        self._version += 1
        self._home.write_bot(self._random.choice(self._bots), prompts={"system": f"version {self._version}"})

    async def _restart(self) -> None:
        self.counts["edits with a restart"] += 1
        self._version += 1
        where = f"{self._home.double.url}/file{self._version}/bot"
        self._home.write_bot(self._random.choice(self._bots), telegram={"base_file_url": where})

    async def _break(self) -> None:
        self.counts["broken files, mended"] += 1
        bot = self._random.choice(self._bots)
        self._home.bot_file(bot).write_text(self._random.choice(BROKEN))
        await anyio.sleep(0.8)
        self._home.write_bot(bot)

    async def _come_and_go(self) -> None:
        """A bot comes, or the one that came goes."""
        if self.guest is None:
            self.counts["bots that came"] += 1
            self.guest = self._home.double.add_bot(username=f"guest{self._version}")
            self._home.write_bot(self.guest)
        else:
            self._home.bot_file(self.guest).unlink()
            guest, self.guest = self.guest, None
            del self._home.double.bots[guest.id]

    async def _rename_fleet(self) -> None:
        self.counts["edits of fleet.toml"] += 1
        self._home.write_fleet(name=f"soak-{self._version}")

    # --- an operator -------------------------------------------------------------------------------------------

    async def _steer(self, actions: Sequence[Action]) -> None:
        bot_id = self._random.choice(self._bots).username
        for action in actions:
            self.counts[f"steered: {action}"] += 1
            await self._control.steer(action, [bot_id], actor=ACTOR)
            await anyio.sleep(0.5)

    async def _look(self) -> None:
        self.counts["status asked"] += 1
        status = await self._control.status()
        await self._control.bot(self._random.choice(status["bots"])["bot_id"])

    async def _read_logs(self) -> None:
        self.counts["logs read"] += 1
        await self._control.logs(LogQuery(tail=300, pattern="bot"))

    async def _read_events(self) -> None:
        self.counts["events read"] += 1
        await self._control.events(EventQuery(tail=300))

    async def _follow(self) -> None:
        self.counts["events followed"] += 1
        with anyio.move_on_after(1.0):
            async for _ in self._control.follow_events(EventQuery(tail=1)):
                pass
