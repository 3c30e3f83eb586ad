"""A real fleet on a database that is there already: killed and started again, beside one on an empty database."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.chaos.subject import Subject
from tests.fleet_process import write_bot
from tests.waiting import eventually

BOT: Final = "b0000"
"""A bot that has rows in the large file."""
CHAT: Final = 501
WHOLE: Final = "the database is whole"
KEEP_ALL: Final = "[retention]\nmessages_days = 0\nusage_days = 0\n"
"""The rows are of a date in the past: what is measured is not to be deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from spawning the process to its first poll, its first answer, and until its file was checked beside it.

    The last is that of the answer where nothing is checked beside. rss_mb is its memory then.
    """

    poll_s: float
    answer_s: float
    checked_s: float
    rss_mb: float


class Restarted:
    """A fleet of one bot, and a person who writes to it while it is down."""

    def __init__(self, folder: Path, bot: SandboxBot, base_url: str) -> None:
        self.subject = Subject(folder)
        self.subject.fleet_toml.write_text(f'[fleet]\nname = "large"\n{KEEP_ALL}')
        write_bot(self.subject.root, BOT, bot.token, base_url)
        self._bot = bot

    async def start(self) -> Start:
        """Start the process and wait until what was said before is answered, and a file left open was checked."""
        answered, beside = len(self._bot.sent_to(CHAT)), self.subject.lives > 0 and self._large
        await eventually(lambda: not self._bot.polled)  # by the process before
        self._bot.say(CHAT, "Are you there?")
        began = time.perf_counter()
        await self.subject.start()
        await eventually(lambda: self._bot.polled)
        poll_s = time.perf_counter() - began
        await eventually(lambda: len(self._bot.sent_to(CHAT)) > answered)
        answer_s = time.perf_counter() - began
        if beside:
            await eventually(lambda: WHOLE in self.subject.output, within_s=300)
        return Start(poll_s, answer_s, time.perf_counter() - began, self._rss_mb())

    @property
    def _large(self) -> bool:
        """Whether its database is checked beside it, not before."""
        return self.subject.database.stat().st_size > 2**28

    def _rss_mb(self) -> float:
        assert self.subject.process is not None
        status = Path(f"/proc/{self.subject.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1e3


@asynccontextmanager
async def fleets(large: Path, empty: Path) -> AsyncIterator[tuple[Restarted, Restarted]]:
    """Give two fleets that do not run yet; whatever still runs at the end is killed."""
    async with Sandbox() as double:
        both = [Restarted(folder, double.add_bot(), double.base_url) for folder in (large, empty)]
        try:
            yield both[0], both[1]
        finally:
            for fleet in both:
                await fleet.subject.abandon()


async def killed_and_started(large: Path, empty: Path, rounds: int) -> dict[str, Start]:
    """Kill and start both in turn; return the medians of the starts after a kill. The databases are closed at the end."""
    found: dict[str, list[Start]] = {"large": [], "empty": []}
    async with fleets(large, empty) as both:
        for round_ in range(rounds + 1):
            for name, fleet in zip(found, both, strict=True):
                found[name].append(await fleet.start())
                await fleet.subject.end(SIGTERM if round_ == rounds else SIGKILL)
    return {name: _median(starts[1:]) for name, starts in found.items()}


def _median(starts: list[Start]) -> Start:
    return Start(*(statistics.median(getattr(start, name) for start in starts) for name in Start.__slots__))
