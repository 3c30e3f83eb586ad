"""A provider without a model: it answers exactly the text it was given. For trying things out, free of charge."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from config.providers import refusals
from config.vocabulary import Role
from workers.errors import ProviderRefused, ProviderTimeout, ProviderUnavailable
from workers.llm.base import Chunk, Completion, CompletionRequest, Message, ToolCall, Usage

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

MODEL: Final = "echo"
PIECE: Final = 16
"""Characters of one streamed piece."""


class EchoProvider:
    """Answers the last thing the user said; pictures are told with their sizes, results of tools are given back.

    `[llm.options]`: delay_s (seconds before the answer), piece_delay_s (between two pieces of a streamed one), fail_rate
    (share of calls that fail, 0 to 1), seed (a whole number that decides which calls those are: the same seed fails the
    same calls, counted since the provider was made), call (a word: lines "<word> <tool> <arguments as JSON>" of the user
    call tools, if the bot has any).
    """

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        del config, http
        self._clock = clock
        self._calls = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer with the question. Raises ProviderUnavailable by fail_rate, ProviderTimeout by delay_s."""
        if request.options:
            await self._misbehave(request, request.timeout_s)
        return _answer(request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Answer with the question, piece by piece."""
        pause_s, first_s = 0.0, request.first_token_timeout_s
        if request.options:
            await self._misbehave(request, request.timeout_s if first_s is None else min(first_s, request.timeout_s))
            pause_s = float(request.options.get("piece_delay_s", 0))
        completion, ends = _answer(request), self._clock.monotonic() + request.timeout_s
        for start in range(0, len(completion.text), PIECE):
            if pause_s and start:
                await self._pause(request, pause_s, ends)
            yield Chunk(completion.text[start : start + PIECE])
        yield Chunk(completion=completion)

    async def _pause(self, request: CompletionRequest, pause_s: float, ends: float) -> None:
        left_s = ends - self._clock.monotonic()
        await self._clock.sleep(min(pause_s, left_s))
        if pause_s > left_s:
            raise ProviderTimeout(f"echo took longer than {request.timeout_s:g} s")

    async def _misbehave(self, request: CompletionRequest, limit_s: float) -> None:
        for wrong in refusals(MODEL, request.options):
            raise ProviderRefused(f"[llm.options] {wrong.path[0]}: {wrong.message}", wrong.hint)
        delay_s = float(request.options.get("delay_s", 0))
        fails = self._fails(float(request.options.get("fail_rate", 0)), int(request.options.get("seed", 0)))
        if delay_s:
            await self._clock.sleep(min(delay_s, limit_s))
        if delay_s > limit_s:
            raise ProviderTimeout(f"echo took longer than {limit_s:g} s")
        if fails:
            raise ProviderUnavailable("echo failed, as fail_rate asks it to")

    def _fails(self, fail_rate: float, seed: int) -> bool:
        if not fail_rate:
            return False
        self._calls += 1
        return random.Random(f"{seed}:{self._calls}").random() < fail_rate  # noqa: S311 (failing on purpose, no secret)


def _answer(request: CompletionRequest) -> Completion:
    """Return what an echo says to a request."""
    messages = request.messages
    text, calls = "", tuple[ToolCall, ...]()
    if messages and messages[-1].role is Role.TOOL:
        results = [m.content for m in takewhile(lambda m: m.role is Role.TOOL, reversed(messages))]
        text = "\n".join(reversed(results))
    else:
        asked = next((m for m in reversed(messages) if m.role is Role.USER), None)
        if asked is not None:
            text = _seen(asked) if asked.images else asked.content
            calls = tuple(_called(request, text)) if request.tools else ()
    usage = Usage(sum(len(m.content.split()) for m in messages), len(text.split()))
    if calls:
        return Completion("", usage, request.model or MODEL, "tool_calls", calls)
    return Completion(text, usage, request.model or MODEL)


def _seen(message: Message) -> str:
    told = [f"[picture {max(1, round(len(image.data) / 1000))} kB]" for image in message.images]
    return " ".join(filter(None, (message.content, *told)))


def _called(request: CompletionRequest, text: str) -> Iterator[ToolCall]:
    """Yield the calls a text asks for: one a line."""
    word = request.options.get("call")
    for number, line in enumerate(text.splitlines() if word else ()):
        first, _, rest = line.partition(" ")
        name, _, arguments = rest.strip().partition(" ")
        if first == word and name:
            yield ToolCall(f"call_{number}", name, arguments.strip() or "{}")
