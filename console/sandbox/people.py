"""Scripted people: they write to the bots, wait for the answer, react, pause, and begin again.

Everything they do follows from the seed and from the clock they are given.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from console.sandbox.bots import Line, SandboxBot
from console.sandbox.pulse import Pulse
from workers.clock import Clock

if TYPE_CHECKING:
    from console.sandbox.server import Sandbox


@dataclass(frozen=True, slots=True)
class Persona:
    """One person. chats = what they say to which bot (by name; "" = to any), a conversation each.

    pause_s = shortest and longest time between two messages; patience_s = how long they wait for an answer.
    """

    name: str
    user_id: int
    language: str
    chats: dict[str, tuple[tuple[str, ...], ...]]
    thanks: tuple[str, ...]
    nudges: tuple[str, ...] = ("Hello?", "Still there?")
    pause_s: tuple[float, float] = (2.0, 6.0)
    patience_s: float = 30.0

    def conversations(self, bot_name: str) -> tuple[tuple[str, ...], ...]:
        """Return what this person may say to a bot."""
        return self.chats.get(bot_name.lower()) or self.chats.get("", ())


PEOPLE: Final = (
    Persona(
        name="Anna",
        user_id=501,
        language="en",
        chats={
            "support": (
                ("My rear brake squeaks.", "Since the rain on Monday.", "I turned it, it is quieter now."),
                ("The chain jumps when I climb.", "Only in second gear."),
            ),
            "poet": (("Write me something about chains.", "And about the hill behind our house?"),),
            "": (("Hello!", "What can you do?"),),
        },
        thanks=("Thank you!", "That helps, thanks.", "👍"),
        pause_s=(2.0, 5.0),
    ),
    Persona(
        name="Boris",
        user_id=502,
        language="en",
        chats={
            "shop": (
                ("Do you have a bell?", "A louder one?", "I take it."),
                ("How much is a child seat?", "Does it fit a folding bike?"),
            ),
            "support": (("The bell I bought does not ring.", "Yes, I pressed it."),),
            "": (("Good morning.", "How much is it?"),),
        },
        thanks=("ok", "Fine.", "Deal."),
        pause_s=(1.0, 3.0),
    ),
    Persona(
        name="Chiara",
        user_id=503,
        language="it",
        chats={
            "poet": (
                ("Buonasera, poeta! 🌙", "Una poesia sulla bicicletta?", "Ancora una, ti prego."),
                ("What rhymes with saddle?", "And with Sunday morning?"),
            ),
            "shop": (("Avete una sella comoda?", "Di che colore?"),),
            "": (("Ciao!", "Come stai?"),),
        },
        thanks=("Grazie mille! ❤️", "Che bello.", "Bravissimo."),
        pause_s=(3.0, 8.0),
    ),
    Persona(
        name="Dev",
        user_id=504,
        language="en",
        chats={"": (("/start", "ping", "What did I say before?"), ("Are you a robot?", "Prove it."))},
        thanks=("lol", "thx", "interesting…"),
        nudges=("?", "hello??"),
        pause_s=(1.0, 4.0),
        patience_s=15.0,
    ),
)


class People:
    """Everybody at once, a conversation per person and bot. pace 2 = twice as fast; rounds None = for ever."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        clock: Clock | None = None,
        seed: int = 1,
        people: tuple[Persona, ...] = PEOPLE,
        pace: float = 1.0,
        rounds: int | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._clock = clock or sandbox.clock
        self._seed = seed
        self._people = people
        self._pace = pace
        self._rounds = rounds
        self._heard: Counter[tuple[int, int]] = Counter()
        self._news = Pulse()
        self.said = 0
        self.answered = 0
        self.unanswered = 0

    async def run(self) -> None:
        """Let them talk to every bot, once it listens, until their rounds are over; cancelling is safe."""
        self._sandbox.listeners.append(self._hear)
        try:
            async with anyio.create_task_group() as group:
                for bot in list(self._sandbox.bots.values()):
                    for person in self._people:
                        if person.conversations(bot.name):
                            group.start_soon(self._talk, person, bot)
        finally:
            self._sandbox.listeners.remove(self._hear)

    def _hear(self, bot: SandboxBot, line: Line) -> None:
        if line.by_bot and line.method == "sendMessage":
            self._heard[bot.id, line.chat_id] += 1
            self._news.beat()

    async def _talk(self, person: Persona, bot: SandboxBot) -> None:
        chance = random.Random(f"{self._seed}:{person.name}:{bot.name}")  # noqa: S311 (people, not secrets)
        done = 0
        await bot.listening()
        while self._rounds is None or done < self._rounds:
            conversations = person.conversations(bot.name)
            for text in conversations[chance.randrange(len(conversations))]:
                await self._pause(person, chance)
                await self._say(person, bot, text, chance)
            if chance.random() < 0.6:
                await self._pause(person, chance)
                await self._say(person, bot, chance.choice(person.thanks), chance)
            done += 1

    async def _pause(self, person: Persona, chance: random.Random) -> None:
        await self._clock.sleep(chance.uniform(*person.pause_s) / self._pace)

    async def _say(self, person: Persona, bot: SandboxBot, text: str, chance: random.Random) -> None:
        """Write, wait; who is left without an answer asks once more and then lets it be."""
        for words in (text, chance.choice(person.nudges)):
            before = self._heard[bot.id, person.user_id]
            bot.say(person.user_id, words, name=person.name, language=person.language)
            self.said += 1
            if await self._answer(bot, person, before):
                self.answered += 1
                return
            self.unanswered += 1

    async def _answer(self, bot: SandboxBot, person: Persona, before: int) -> bool:
        place = bot.id, person.user_id
        with self._clock.deadline(person.patience_s):
            await self._news.until(lambda: self._heard[place] > before)
        return self._heard[place] > before
