"""Scripted people: they write to the bots, wait for the answer, react, pause, and begin again.

Everything they do follows from the seed and from the clock they are given.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from console.sandbox import files
from console.sandbox.bots import Line, SandboxBot
from console.sandbox.pulse import Pulse
from workers.clock import Clock

if TYPE_CHECKING:
    from console.sandbox.server import Sandbox


@dataclass(frozen=True, slots=True)
class Press:
    """A button to press, by what stands on it; where there is none the words are written."""

    words: str


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture to send, without a word."""

    name: str


Saying = str | Press | Photo
Talk = tuple[Saying, ...]


@dataclass(frozen=True, slots=True)
class Persona:
    """One person. chats = what they say to which bot (by name; "" = to any but `PICKY`), a conversation each.

    nudges = what they say when nobody answers, none = nothing; thanks likewise. pause_s = shortest and longest time
    between two messages; patience_s = how long they wait for an answer.
    """

    name: str
    user_id: int
    language: str
    chats: dict[str, tuple[Talk, ...]]
    thanks: tuple[str, ...]
    nudges: tuple[str, ...] = ("Hello?", "Still there?")
    pause_s: tuple[float, float] = (2.0, 6.0)
    patience_s: float = 30.0

    def conversations(self, bot_name: str) -> tuple[Talk, ...]:
        """Return what this person may say to a bot."""
        name = bot_name.lower()
        return self.chats.get(name) or (() if name in PICKY else self.chats.get("", ()))


@dataclass(frozen=True, slots=True)
class Meeting:
    """A group with topics. lines = (who, topic, what they say); a bot named in a line is waited for."""

    bot_name: str
    chat_id: int
    title: str
    lines: tuple[tuple[str, int, str], ...]
    pause_s: tuple[float, float] = (4.0, 9.0)


PICKY: Final = frozenset({"club", "keeper"})
"""Bots not everybody writes to: one lives in a group, one lets only some people in."""

PICTURE: Final = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
"""The smallest thing that begins and ends as a JPEG does."""

PEOPLE: Final = (
    Persona(
        name="Anna",
        user_id=501,
        language="en",
        chats={
            "support": (
                ("My rear brake squeaks.", "Since the rain on Monday.", "I turned it, it is quieter now."),
                ("My bike is a folding one.", "The chain jumps when I climb.", "What do you know of my bike?"),
                ("/hours", Press("/ticket The bell is gone"), "/undo"),
            ),
            "keeper": (("Which key is for the shed?", "And the small one?"),),
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
                ("Hello!", Press("What lights do you have?"), "How much are 3 lights at 29?"),
            ),
            "gardener": (
                ("What is there to do?", "And then?"),
                (Photo("a rose"), "What would you do with a rose?"),
                ("Is it too early for bulbs?", "And the hedge?"),
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
            "shop": (("Avete una sella comoda?", "Di che colore?"), ("Are you open now?", "Avete un campanello?")),
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
    Persona(
        name="Vera",
        user_id=506,
        language="ru",
        chats={"keeper": (("/start", "K7M2P-9QX4T"), ("Откройте, пожалуйста.",)), "support": (("/start", "/help"),)},
        thanks=(),
        nudges=(),
        pause_s=(45.0, 70.0),
    ),
)

MEETINGS: Final = (
    Meeting(
        bot_name="club",
        chat_id=-1_001_000_000_501,
        title="Bicycle club",
        lines=(
            ("Anna", 11, "Who comes along on Sunday?"),
            ("Boris", 11, "I do, if it stays dry."),
            ("Anna", 11, "@club_demo_bot where do we ride?"),
            ("Dev", 12, "My tyre is flat again."),
            ("Chiara", 11, "@club_demo_bot and how long is that?"),
            ("Dev", 12, "@club_demo_bot how do I patch it?"),
            ("Boris", 12, "Glue, and patience."),
        ),
    ),
)


class People:
    """Everybody at once, a conversation per person and bot, and meetings. pace 2 = twice as fast; rounds None = for ever."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        clock: Clock | None = None,
        seed: int = 1,
        people: tuple[Persona, ...] = PEOPLE,
        meetings: tuple[Meeting, ...] = MEETINGS,
        pace: float = 1.0,
        rounds: int | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._clock = clock or sandbox.clock
        self._seed = seed
        self._people = people
        self._meetings = meetings
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
                    for meeting in self._meetings:
                        if meeting.bot_name == bot.name.lower():
                            group.start_soon(self._meet, meeting, bot)
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
            for saying in conversations[chance.randrange(len(conversations))]:
                await self._pause(person.pause_s, chance)
                await self._say(person, bot, saying, chance)
            if person.thanks and chance.random() < 0.6:
                await self._pause(person.pause_s, chance)
                await self._say(person, bot, chance.choice(person.thanks), chance)
            done += 1

    async def _meet(self, meeting: Meeting, bot: SandboxBot) -> None:
        """Let people talk among themselves; who names the bot waits for its answer."""
        chance = random.Random(f"{self._seed}:{meeting.title}")  # noqa: S311 (people, not secrets)
        known = {person.name: person for person in self._people}
        done = 0
        await bot.listening()
        bot.join(bot.chat(meeting.chat_id, "supergroup", meeting.title).id)
        while self._rounds is None or done < self._rounds:
            for name, topic, text in meeting.lines:
                person, before = known[name], self._heard[bot.id, meeting.chat_id]
                await self._pause(meeting.pause_s, chance)
                bot.say(
                    meeting.chat_id, text, user_id=person.user_id, topic_id=topic, name=name,
                    language=person.language, title=meeting.title,
                )  # fmt: skip
                if f"@{bot.username}" in text:
                    await self._answer(bot, meeting.chat_id, person.patience_s, before)
            done += 1

    async def _pause(self, pause_s: tuple[float, float], chance: random.Random) -> None:
        await self._clock.sleep(chance.uniform(*pause_s) / self._pace)

    async def _say(self, person: Persona, bot: SandboxBot, saying: Saying, chance: random.Random) -> None:
        """Do it, wait; who is left without an answer asks once more and then lets it be."""
        tries = (saying, chance.choice(person.nudges)) if person.nudges else (saying,)
        for what in tries:
            before = self._heard[bot.id, person.user_id]
            _do(person, bot, what)
            self.said += 1
            if await self._answer(bot, person.user_id, person.patience_s, before):
                self.answered += 1
                return
            self.unanswered += 1

    async def _answer(self, bot: SandboxBot, chat_id: int, patience_s: float, before: int) -> bool:
        place = bot.id, chat_id
        with self._clock.deadline(patience_s):
            await self._news.until(lambda: self._heard[place] > before)
        return self._heard[place] > before


def _do(person: Persona, bot: SandboxBot, saying: Saying) -> None:
    """Do what a person does: write, send a picture, press a button."""
    if isinstance(saying, Press):
        try:
            bot.press_words(person.user_id, saying.words, language=person.language)
        except ValueError:
            saying = saying.words
        else:
            return
    photo = isinstance(saying, Photo)
    bot.say(
        person.user_id,
        "" if photo else str(saying),
        name=person.name,
        language=person.language,
        more=files.photo(bot, PICTURE) if photo else None,
    )
