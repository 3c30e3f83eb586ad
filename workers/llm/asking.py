"""Who is asked, in which order and how often: the models of a bot one after the other, each with patience and an end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from config.vocabulary import Role
from workers.backoff import delay_s
from workers.errors import (
    AnswerUnusable,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
    RequestRefused,
)
from workers.llm.base import Completion, CompletionRequest, Message
from workers.llm.breakers import Breakers, BreakerState, Target

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.llm.base import Provider

logger = logging.getLogger(__name__)

TRIES: Final = 3
RETRY_BASE_S: Final = 0.5
LONGEST_WAIT_S: Final = 20.0
"""A server that asks for more patience than this gets no second try: a person is waiting."""

FAIR_S: Final = 10.0
"""A time-out shorter than this says more of the bot that set it than of the endpoint, which others use."""

WITHOUT_ENDPOINT: Final = "echo"
"""It answers from within: there is nothing to spare, and what one bot has it do is no other's business."""

UNSEEN: Final = "[a picture]"
"""What a model that sees no pictures gets in place of them."""


class Listener(Protocol):
    """Who hears an answer while it is made. Neither method waits nor raises."""

    def piece(self, text: str) -> None:
        """Take what the model said next."""
        ...

    def restart(self) -> None:
        """Forget all pieces so far: what follows begins anew."""
        ...


class Source(Protocol):
    """Where providers come from: `workers.llm.Providers`."""

    def get(self, config: LlmSection) -> Provider:
        """Return the provider for a section. Raises ProviderRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer and who gave it. link counts from 0, `[llm]` itself; why says what those before it failed with."""

    completion: Completion
    provider: str
    model: str
    link: int = 0
    why: str = ""


class Asker:
    """Asks models for any bot; one for a fleet. What it remembers is which endpoints rest.

    Each link of a chain is tried TRIES times, with growing waits or those its server asks for; then it is the next one's
    turn, as it is at once when a link refuses (key, model, credit) or rests.
    """

    def __init__(self, providers: Source, clock: Clock) -> None:
        self._providers = providers
        self._clock = clock
        self._breakers = Breakers(clock)

    def breakers(self) -> tuple[BreakerState, ...]:
        """Return the endpoints that rest now."""
        return self._breakers.resting()

    async def ask(
        self, chain: Sequence[LlmSection], request: CompletionRequest, listener: Listener | None = None
    ) -> Asked:
        """Return the first answer that can be had. With a listener the answer is streamed to it while it is made.

        request gives messages and tools; its model, if it has one, is that of the first link; all else is each link's own.
        Raises RequestRefused as soon as a link will not answer this request, else the ProviderError of the first link
        with what the others said. Nothing of a failed link stays with the listener. Cancelling is safe.
        """
        failures: list[tuple[LlmSection, ProviderError]] = []
        for link, section in enumerate(chain):
            own = _without_foreign_thoughts(request, link)
            asked = _of_first(section, own) if not link else _of_fallback(section, own)
            try:
                completion = await self._insist(section, asked, listener)
            except RequestRefused:
                raise
            except ProviderError as error:
                # Its frames hold what was read of the answer, and this one the error: a circle.
                failures.append((section, error.with_traceback(None)))
                continue
            why = _told(failures) if failures else ""
            return Asked(completion, section.provider, completion.model, link, why)
        try:
            raise _of_all(failures)
        finally:
            failures.clear()  # as above

    async def _insist(self, section: LlmSection, request: CompletionRequest, listener: Listener | None) -> Completion:
        """Ask one link up to TRIES times; not at all while it rests. Raises the last ProviderError."""
        if section.provider == WITHOUT_ENDPOINT:
            target = None
        else:
            target = Target(section.provider, section.base_url, section.api_key.reveal() if section.api_key else "")
        tries = 0
        while True:
            probe = target is not None and self._breakers.admit(target)
            try:
                return await self._told(target, section, request, listener, probe=probe)
            except ProviderError as error:
                wait_s = None if probe or self._breakers.rests(target) else _wait_s(error, tries)
                if wait_s is None:
                    raise
                logger.debug("the model gave no answer, trying again in %.1f s: %s", wait_s, error)
            await self._clock.sleep(wait_s)
            tries += 1

    async def _told(
        self,
        target: Target | None,
        section: LlmSection,
        request: CompletionRequest,
        listener: Listener | None,
        *,
        probe: bool,
    ) -> Completion:
        """Ask once and tell the breaker of the endpoint how it went."""
        if target is None:
            return await self._once(section, request, listener)
        try:
            completion = await self._once(section, request, listener)
        except ProviderError as error:
            if isinstance(error, ProviderRefused | AnswerUnusable):
                self._breakers.answered(target)
            elif probe or not isinstance(error, ProviderTimeout) or request.timeout_s >= FAIR_S:
                self._breakers.failed(target, error.message, error.retry_after_s or 0.0, probe=probe)
            raise
        except BaseException:
            if probe:
                self._breakers.left(target)
            raise
        self._breakers.answered(target)
        return completion

    async def _once(self, section: LlmSection, request: CompletionRequest, listener: Listener | None) -> Completion:
        provider = self._providers.get(section)
        if listener is None:
            return await provider.complete(request)
        told = False
        try:
            async with aclosing(provider.stream(request)) as chunks:
                async for chunk in chunks:
                    if chunk.text:
                        told = True
                        listener.piece(chunk.text)
                    if chunk.completion is not None:
                        return chunk.completion
        except ProviderError:
            if told:
                listener.restart()
            raise
        raise ProviderUnavailable("the model's answer was cut off")


def _without_foreign_thoughts(request: CompletionRequest, link: int) -> CompletionRequest:
    """Return what one link is asked: thoughts of another would be refused, for they are signed."""
    messages = request.messages
    if not messages or messages[-1].role is not Role.TOOL or all(m.link == link for m in messages if m.verbatim):
        return request
    return replace(request, messages=tuple([m._replace(verbatim=()) if m.link != link else m for m in messages]))


def _of_first(section: LlmSection, request: CompletionRequest) -> CompletionRequest:
    return _of_link(section, request, request.model or section.model, request.messages)


def _of_fallback(section: LlmSection, request: CompletionRequest) -> CompletionRequest:
    """Return what a fallback is asked: its own model, and no pictures if it does not see any."""
    messages = request.messages
    if not section.images and any(message.images for message in messages):
        messages = tuple(_unseen(message) if message.images else message for message in messages)
    return _of_link(section, request, section.model, messages)


def _unseen(message: Message) -> Message:
    return message._replace(content=f"{message.content}\n{UNSEEN}".lstrip(), images=())


def _of_link(
    section: LlmSection, request: CompletionRequest, model: str, messages: tuple[Message, ...]
) -> CompletionRequest:
    return CompletionRequest(
        model, messages, section.temperature, section.max_output_tokens, section.timeout_s, section.options,
        request.tools, section.first_token_timeout_s,
    )  # fmt: skip


def _wait_s(error: ProviderError, tries: int) -> float | None:
    """Return how long to wait before the next try; None when there is to be none."""
    if isinstance(error, ProviderRefused) or tries == TRIES - 1:
        return None
    asked = error.retry_after_s
    if asked is not None and asked > LONGEST_WAIT_S:
        return None
    return max(asked or 0.0, delay_s(tries, base_s=RETRY_BASE_S))


def _name(section: LlmSection) -> str:
    return f"{section.provider} {section.model}".rstrip()


def _told(failures: Sequence[tuple[LlmSection, ProviderError]]) -> str:
    return "; ".join(f"{_name(section)}: {error.message}" for section, error in failures)


def _of_all(failures: Sequence[tuple[LlmSection, ProviderError]]) -> ProviderError:
    """Return the first link's error, with what the others said."""
    first = failures[0][1]
    if len(failures) == 1:
        return first
    return type(first)(_told(failures), first.hint, first.retry_after_s)
