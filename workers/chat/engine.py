"""One message becomes one answer: remember → prompt → ask → answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from config.vocabulary import Condition
from workers.backoff import delay_s
from workers.chat import memory, prompt
from workers.errors import ProviderError, ProviderRefused, RequestRefused
from workers.llm.base import Completion, CompletionRequest

if TYPE_CHECKING:
    from config.schema import LlmSection
    from config.snapshot import BotSpec
    from store.partition import Partition
    from workers.channels.base import Incoming
    from workers.clock import Clock
    from workers.llm import Providers

logger = logging.getLogger(__name__)

TRIES: Final = 3
RETRY_BASE_S: Final = 0.5
LONGEST_ANSWER: Final = 32_768
"""Characters of one answer, eight messages of Telegram's. More is cut off: a model that does not end must neither
fill our memory, nor the database, nor its history, nor somebody's chat."""

LONGEST_QUESTION: Final = 32_768
"""Characters of one question, of which people write 4,096 at most: it goes along with every later one."""

LONGEST_WAIT_S: Final = 20.0
"""A server that asks for more patience than this gets no second try: a person is waiting."""

Report = Callable[[Condition, bool, str], None]
Elsewhere = AbstractAsyncContextManager[None]
_HERE: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said. completion is None when no answer could be had: text is then the bot's error_text."""

    question: str
    text: str
    provider: str
    completion: Completion | None
    error: str
    latency_s: float


class Engine:
    """Answers messages of any bot; holds no state of any."""

    def __init__(self, providers: Providers, clock: Clock) -> None:
        self._providers = providers
        self._clock = clock

    async def answer(
        self, spec: BotSpec, partition: Partition, incoming: Incoming, report: Report, elsewhere: Elsewhere = _HERE
    ) -> Answer:
        """Answer one message by the configuration as it is now; elsewhere is entered while the model is waited for.

        Never raises a ProviderError: an answer that cannot be had becomes the error text, with `error` set.
        Raises StoreError when the history cannot be read. Cancelling is safe.
        """
        config, began = spec.config, self._clock.monotonic()
        history = await memory.remember(config.memory, partition, config.client_id, incoming.lane.conversation_id)
        question = incoming.text
        if len(question) > LONGEST_QUESTION:
            logger.warning("a message of %d characters was cut to %d", len(question), LONGEST_QUESTION)
            question = f"{question[: LONGEST_QUESTION - 1]}…"
        request = prompt.build(config, history, question)
        async with elsewhere:
            completion, error = await self._ask(config.llm, request, report)
        return Answer(
            question=question,
            text=completion.text if completion else config.reply.error_text,
            provider=config.llm.provider,
            completion=completion,
            error=error,
            latency_s=self._clock.monotonic() - began,
        )

    async def _ask(self, llm: LlmSection, request: CompletionRequest, report: Report) -> tuple[Completion | None, str]:
        """Ask by rule; return the completion, or None and what went wrong the last time. Only the outcome is reported."""
        try:
            completion = await self._insist(llm, request)
        except RequestRefused as error:
            report(Condition.MODEL_REACHABLE, True, "")
            return None, str(error)
        except ProviderError as error:
            report(Condition.MODEL_REACHABLE, False, str(error))
            return None, str(error)
        report(Condition.MODEL_REACHABLE, True, "")
        return completion, ""

    async def _insist(self, llm: LlmSection, request: CompletionRequest) -> Completion:
        """Ask up to TRIES times. Raises the last ProviderError."""
        tries = 0
        while True:
            try:
                return _bounded(await self._providers.get(llm).complete(request))
            except ProviderError as error:
                wait_s = self._wait_s(error, tries)
                if wait_s is None:
                    raise
                logger.debug("the model gave no answer, trying again in %.1f s: %s", wait_s, error)
            await self._clock.sleep(wait_s)
            tries += 1

    @staticmethod
    def _wait_s(error: ProviderError, tries: int) -> float | None:
        """Return how long to wait before the next try; None when there is to be none."""
        if isinstance(error, ProviderRefused) or tries == TRIES - 1:
            return None
        asked = error.retry_after_s
        if asked is not None and asked > LONGEST_WAIT_S:
            return None
        return max(asked or 0.0, delay_s(tries, base_s=RETRY_BASE_S))


def _bounded(completion: Completion) -> Completion:
    """Return a completion whose text is at most LONGEST_ANSWER long."""
    text = completion.text
    if len(text) <= LONGEST_ANSWER:
        return completion
    logger.warning("the model's answer of %d characters was cut to %d", len(text), LONGEST_ANSWER)
    return replace(completion, text=f"{text[: LONGEST_ANSWER - 1]}…", finish_reason="length")
