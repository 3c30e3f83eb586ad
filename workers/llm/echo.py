"""A provider without a model: it answers exactly the text it was given. For trying things out, free of charge."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from config.providers import refusals
from config.vocabulary import Role
from workers.errors import ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.llm.base import Chunk, Completion, CompletionRequest, Usage

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

MODEL: Final = "echo"
PIECE: Final = 16
"""Characters of one streamed piece."""


class EchoProvider:
    """Answers the last thing the user said.

    `[llm.options]`: delay_s (seconds before the answer), fail_rate (share of calls that fail, 0 to 1), seed (a whole
    number that decides which calls those are: the same seed fails the same calls, counted since the provider was made).
    """

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        del config, http
        self._clock = clock
        self._calls = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer with the question. Raises ProviderUnavailable by fail_rate, ProviderTimeout by delay_s."""
        if request.options:
            await self._misbehave(request)
        text = next((m.content for m in reversed(request.messages) if m.role is Role.USER), "")
        usage = Usage(sum(len(m.content.split()) for m in request.messages), len(text.split()))
        return Completion(text, usage, request.model or MODEL)

    async def stream(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        """Answer with the question, piece by piece."""
        completion = await self.complete(request)
        for start in range(0, len(completion.text), PIECE):
            yield Chunk(completion.text[start : start + PIECE])
        yield Chunk(completion=completion)

    async def _misbehave(self, request: CompletionRequest) -> None:
        for wrong in refusals(MODEL, request.options):
            raise ProviderRefused(f"[llm.options] {wrong.path[0]}: {wrong.message}", wrong.hint)
        delay_s = float(request.options.get("delay_s", 0))
        fails = self._fails(float(request.options.get("fail_rate", 0)), int(request.options.get("seed", 0)))
        if delay_s:
            await self._clock.sleep(min(delay_s, request.timeout_s))
        if delay_s > request.timeout_s:
            raise ProviderTimeout(f"echo took longer than {request.timeout_s:g} s")
        if fails:
            raise ProviderUnavailable("echo failed, as fail_rate asks it to")

    def _fails(self, fail_rate: float, seed: int) -> bool:
        if not fail_rate:
            return False
        self._calls += 1
        return random.Random(f"{seed}:{self._calls}").random() < fail_rate  # noqa: S311 (failing on purpose, no secret)
