"""A turn of a model that thinks before it calls the bench's one tool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.schema import LlmSection
from config.vocabulary import Role
from tests.workers.tools_rig import Bench, bench
from workers.chat.rounds import Conversed, converse
from workers.clock import ManualClock, SystemClock
from workers.llm import Providers
from workers.llm.asking import Asker
from workers.llm.base import CompletionRequest, Message


class Ears:
    """Whoever has an answer streamed to it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def piece(self, text: str) -> None:
        """Take what the model said next."""
        self.heard.append(text)

    def restart(self) -> None:
        """Forget it."""


@asynccontextmanager
async def noting(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    """Have a bench with the tool `note`."""
    async with bench(tmp_path, clock) as made:
        made.python("def note(n: int) -> str:\n    'Note it.'\n    return f'noted {n}'\n", "note")
        yield made


async def turn(desk: Bench, *chain: LlmSection, ears: Ears | None = None) -> Conversed:
    """Ask a chain, with the bench's tools, until it answers."""
    config, asker = desk.spec().config, Asker(Providers(desk.http, SystemClock()), SystemClock())
    request = CompletionRequest("", (Message(Role.USER, "?"),))
    return await converse(asker, chain, request, desk.box, desk.context(), config.limits, ears)
