"""One message becomes one answer: remember → prompt → ask (and let tools be called) → answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from config.vocabulary import Condition
from workers.chat import memory, prompt
from workers.chat.prompt import Variables
from workers.chat.rounds import Conversed, converse
from workers.errors import AnswerUnusable, ProviderError, RequestRefused
from workers.llm.asking import WITHOUT_ENDPOINT
from workers.llm.base import Completion, CompletionRequest, Image
from workers.redaction import by_shape
from workers.tools.base import ToolContext
from workers.tools.toolbox import has_tools

if TYPE_CHECKING:
    from config.schema import BotConfig
    from config.snapshot import BotSpec
    from store.partition import Partition
    from workers.chat.memory import Remembered
    from workers.chat.question import Question
    from workers.chat.summary import Summaries
    from workers.clock import Clock
    from workers.llm.asking import Asker, Listener
    from workers.tools.base import Hearer
    from workers.tools.toolbox import Toolboxes

logger = logging.getLogger(__name__)

LONGEST_ANSWER: Final = 32_768
"""Characters of one answer, eight messages of Telegram's. More is cut off: a model that does not end must neither
fill our memory, nor the database, nor its history, nor somebody's chat."""

LONGEST_QUESTION: Final = 32_768
"""Characters of one question, of which people write 4,096 at most, beside what is read out of files: it goes along with
every later one."""

Report = Callable[[Condition, bool, str], None]
Elsewhere = AbstractAsyncContextManager[None]
_HERE: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said. completion is None when no answer could be had: text is then the bot's error_text, and error
    says why, without secrets.

    away says that the model is out of reach, so that the next message would fare no better; suggestions are what may be
    said next.
    """

    question: str
    text: str
    provider: str
    completion: Completion | None
    error: str
    latency_s: float
    away: bool = False
    suggestions: tuple[str, ...] = ()


class Engine:
    """Answers messages of any bot; holds no state of any. Without toolboxes nobody has tools, without summaries nothing is
    condensed. clean takes secrets out of what models' servers say.
    """

    def __init__(
        self,
        asker: Asker,
        clock: Clock,
        toolboxes: Toolboxes | None = None,
        summaries: Summaries | None = None,
        *,
        clean: Callable[[str], str] = by_shape,
    ) -> None:
        self.asker = asker
        self.toolboxes = toolboxes
        self.summaries = summaries
        self._clock = clock
        self._clean = clean

    async def answer(
        self,
        spec: BotSpec,
        partition: Partition,
        question: Question,
        report: Report,
        elsewhere: Elsewhere = _HERE,
        listener: Listener | None = None,
        *,
        images: tuple[Image, ...] = (),
        model: str = "",
        hears: Hearer | None = None,
    ) -> Answer:
        """Answer one message by the configuration as it is now; elsewhere is entered while the model is waited for.

        With a listener the answer is streamed to it while it is made; hears is told of the tools called. model is asked
        in place of the configured one.
        Never raises a ProviderError: an answer that cannot be had becomes the error text, with `error` set.
        Raises StoreError when the history cannot be read. Cancelling is safe.
        """
        config, began = spec.config, self._clock.monotonic()
        remembered = await _remembered(config, partition, question)
        asked = _bounded_question(question.text, LONGEST_QUESTION + question.read_chars)
        variables = Variables(config.name or spec.bot_id, question.user_name, self._clock.now(), config.time_zone)
        request = prompt.build(config, remembered, asked, variables=variables, images=images, model=model)
        async with _HERE if _at_once(config) else elsewhere:
            conversed, error, away = await self._ask(spec, partition, question, request, report, listener, hears)
        took_s = self._clock.monotonic() - began
        if conversed is None:
            return Answer(asked, config.reply.error_text, config.llm.provider, None, error, took_s, away)
        self._condense(spec, partition, question, remembered)
        completion = _bounded(conversed.completion)
        return Answer(
            asked, completion.text, conversed.provider, completion, "", took_s, suggestions=conversed.suggestions
        )

    async def _ask(
        self,
        spec: BotSpec,
        partition: Partition,
        question: Question,
        request: CompletionRequest,
        report: Report,
        listener: Listener | None,
        hears: Hearer | None,
    ) -> tuple[Conversed | None, str, bool]:
        """Return the answer, or None, what went wrong and whether the model is out of reach. Reports the outcome."""
        try:
            conversed = await self._converse(spec, partition, question, request, listener, hears)
        except (RequestRefused, AnswerUnusable) as error:
            report(Condition.MODEL_REACHABLE, True, "")
            return None, self._clean(str(error)), False
        except ProviderError as error:
            said = self._clean(str(error))
            report(Condition.MODEL_REACHABLE, False, said)
            return None, said, True
        instead = f"{conversed.completion.model} answers in its place: {conversed.why}" if conversed.link else ""
        report(Condition.MODEL_REACHABLE, True, self._clean(instead))
        return conversed, "", False

    async def _converse(
        self,
        spec: BotSpec,
        partition: Partition,
        question: Question,
        request: CompletionRequest,
        listener: Listener | None,
        hears: Hearer | None,
    ) -> Conversed:
        """Return the answer, by way of tools where the bot has any. Raises ProviderError."""
        chain = spec.config.llm.chain()
        if self.toolboxes is None or not has_tools(spec.config):
            asked = await self.asker.ask(chain, request, listener)
            usage = asked.completion.usage
            return Conversed(asked.completion, usage, asked.provider, link=asked.link, why=asked.why)
        context = ToolContext(
            partition, question.client_id, question.conversation_id, question.user_id, question.update_id, spec,
            self._clock.now(), hears=hears, session_metadata=question.session_metadata,
            request_metadata=question.request_metadata,
        )  # fmt: skip
        return await converse(
            self.asker, chain, request, self.toolboxes.of(spec), context, spec.config.limits, listener
        )

    def _condense(self, spec: BotSpec, partition: Partition, question: Question, remembered: Remembered) -> None:
        if self.summaries is not None and remembered.condense_upto is not None:
            self.summaries.want(spec, partition, question, remembered.condense_upto)


def _at_once(config: BotConfig) -> bool:
    """Tell whether there is nothing to wait for: an echo that is not told to take its time."""
    return config.llm.provider == WITHOUT_ENDPOINT and not config.llm.options and not has_tools(config)


async def _remembered(config: BotConfig, partition: Partition, question: Question) -> Remembered:
    if question.history is not None:
        return memory.Remembered(question.history)
    talk = (question.client_id, question.conversation_id)
    return await memory.remember(config.memory, partition, *talk, question.user_id)


def _bounded_question(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    logger.warning("a message of %d characters was cut to %d", len(text), most)
    return f"{text[: most - 1]}…"


def _bounded(completion: Completion) -> Completion:
    """Return a completion whose text is at most LONGEST_ANSWER long."""
    text = completion.text
    if len(text) <= LONGEST_ANSWER:
        return completion
    logger.warning("the model's answer of %d characters was cut to %d", len(text), LONGEST_ANSWER)
    return replace(completion, text=f"{text[: LONGEST_ANSWER - 1]}…", finish_reason="length")
