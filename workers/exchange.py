"""One question of a program and its answer: the model asked, then both written down at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from store.events import TurnFailed
from store.texts import storable
from store.turns import TurnRecord
from workers.errors import TurnFailedError
from workers.finishing import finished
from workers.turn import tokens_of

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from store.partition import Partition
    from store.usage import Tokens
    from workers.chat.engine import Answer
    from workers.chat.question import Question
    from workers.desk import Desk
    from workers.llm.asking import Listener
    from workers.llm.base import Image
    from workers.services import Services
    from workers.tools.base import Hearer

logger = logging.getLogger(__name__)


CHANNEL: Final = "api"
"""What such a conversation is stored under."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is stored, and what it took. cost_nano is in billionths of a US dollar, None = not known."""

    text: str
    provider: str
    model: str
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost_nano: int | None
    latency_s: float
    suggestions: tuple[str, ...] = ()
    finish_reason: str = "stop"
    """The provider's word for why it ended."""


class Exchange:
    """One question, from the moment its bot turns to it. It uses the configuration of that moment."""

    __slots__ = ("_desk", "_images", "_model", "_partition", "_services", "question", "spec")

    def __init__(
        self,
        services: Services,
        partition: Partition,
        desk: Desk,
        spec: BotSpec,
        question: Question,
        model: str,
        images: tuple[Image, ...],
    ) -> None:
        self.spec = spec
        self.question = question
        self._services = services
        self._partition = partition
        self._desk = desk
        self._model = model
        self._images = images

    async def answer(self, listener: Listener | None = None, hears: Hearer | None = None) -> Answer:
        """Return the model's answer; hears is told of the tools called. Raises TurnFailedError, StoreError. Cancelling is safe."""
        services = self._services
        await services.prepare(self.spec.config.llm)
        async with self._desk.at_once:
            answer = await self._ask(listener, hears)
        if answer.completion is None:
            self._fail(answer.error, away=answer.away)
        services.absences.answered(self.spec.bot_id)
        return answer

    async def _ask(self, listener: Listener | None, hears: Hearer | None) -> Answer:
        places = self._desk.places
        await places.take()
        try:
            return await self._services.engine.answer(
                self.spec, self._partition, self.question, _unheard, places, listener,
                images=self._images, model=self._model or await self._chosen(), hears=hears,
            )  # fmt: skip
        finally:
            places.give()

    async def _chosen(self) -> str:
        """Return the model chosen for the conversation, "" where none is or it is no choice any more."""
        choices = self.spec.config.llm.choices
        if not choices:
            return ""
        question = self.question
        model = await self._partition.conversations.model_of(question.client_id, question.conversation_id)
        return model if model in choices else ""

    async def keep(self, answer: Answer) -> Reply:
        """Store question and answer; return the answer as it is stored. Raises StoreError, and then nothing is.

        Cancelled, it is stored all the same, and the cancellation goes on when it is.
        """
        question, tokens, text = self.question, await self._tokens(answer), storable(answer.text)
        remember = question.history is None
        record = TurnRecord(
            update_id=None, client_id=question.client_id, conversation_id=question.conversation_id,
            user_id=question.user_id, channel=CHANNEL, outcome="answered", tokens=tokens,
            question=answer.question if remember else None, answer=text if remember else None,
        )  # fmt: skip
        await self._write(record)
        self._measure(answer, tokens)
        counted = (tokens.input_tokens, tokens.output_tokens, tokens.cached_tokens, tokens.cost_nano)
        finish = answer.completion.finish_reason if answer.completion else ""
        return Reply(text, tokens.provider, tokens.model, *counted, answer.latency_s, answer.suggestions, finish)

    async def drop(self, answer: Answer, why: str) -> NoReturn:
        """Give up an answer that came and cannot be used: only what it took is stored. Raises TurnFailedError, StoreError."""
        question, tokens = self.question, await self._tokens(answer)
        record = TurnRecord(
            update_id=None, client_id=question.client_id, conversation_id=question.conversation_id,
            user_id=question.user_id, channel=CHANNEL, outcome="failed", tokens=tokens, error=why,
        )  # fmt: skip
        await self._write(record)
        self._services.metrics.spend(self.spec.bot_id, tokens)
        self._fail(why)

    async def _write(self, record: TurnRecord) -> None:
        services = self._services
        await finished(self._partition.record_turn(record, services.now_ms()))

    async def _tokens(self, answer: Answer) -> Tokens:
        tokens = await tokens_of(self._services.prices, answer)
        assert tokens is not None, "whoever has an answer was asked"
        return tokens

    def _measure(self, answer: Answer, tokens: Tokens) -> None:
        metrics, bot_id = self._services.metrics, self.spec.bot_id
        metrics.count(bot_id, "messages")
        metrics.count(bot_id, "replies")
        metrics.observe(bot_id, "model_s", answer.latency_s)
        metrics.spend(bot_id, tokens)

    def _fail(self, error: str, *, away: bool = False) -> NoReturn:
        services, bot_id = self._services, self.spec.bot_id
        services.metrics.count(bot_id, "messages")
        services.metrics.count(bot_id, "errors")
        if away:
            services.absences.away(bot_id, error)
            services.absences.cost(bot_id)
        else:
            logger.error("no answer to a question: %s", error, extra={"bot_id": bot_id})
            services.bus.publish(TurnFailed(bot_id=bot_id, at=services.clock.now(), update_id=None, error=error))
        raise TurnFailedError(f"{bot_id} gave no answer: {error}", text=self.spec.config.reply.error_text, away=away)


def _unheard(*_: object) -> None:
    """Whether the model is reachable is for the bot's own turns to say."""
