"""One update answered: a short pipe of named steps.

read → receive (may they? is it meant for the bot? a command?) → gather an album → understand files → ask → record (one
transaction) → send
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import anyio

from store.events import MessagePoisoned
from store.usage import Tokens
from workers.albums import Sibling, siblings
from workers.channels.base import Incoming, Outgoing
from workers.channels.frames import become
from workers.channels.replies import replying
from workers.conversing import Conversing
from workers.errors import UpdatePoisoned
from workers.llm.base import Image
from workers.reception.buttons import suggestions
from workers.reception.groups import attributed
from workers.reception.outcomes import Ask, Drop, Say
from workers.reception.reception import Reception
from workers.recording import KEEP_S, OpenItem, Recorder, record_of
from workers.shift import Shift
from workers.typist import Typist

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.chat.engine import Answer
    from workers.prices import Prices
    from workers.services import Services

logger = logging.getLogger(__name__)

LONG_TEXT: Final = 8192
"""Characters of an answer that takes about a millisecond to lay out."""


@dataclass(slots=True)
class Turn:
    """One update on its way to an answer. incoming.text is the question as the model is to read it.

    model is the one its person chose, "" = the configured one. reply_to is the message the answer replies to, 0 = none.
    others are the messages of an album that are answered with it. further is what it took to understand files. began is monotonic.
    """

    spec: BotSpec
    item: OpenItem
    incoming: Incoming
    began: float
    images: tuple[Image, ...] = ()
    model: str = ""
    reply_to: int = 0
    others: list[Sibling] = field(default_factory=list)
    further: tuple[Tokens, ...] = ()

    @property
    def update_id(self) -> int:
        """The update that is answered."""
        return self.item.update_id

    def is_late(self, services: Services) -> bool:
        """Tell whether the message waited too long to be answered."""
        return services.age_s(self.incoming.sent_at) > self.spec.config.telegram.max_update_age_s


class Turns:
    """Answers the updates of one bot. A turn uses the configuration it began with."""

    __slots__ = ("_apologies", "_conversing", "_reception", "_recorder", "_shift")

    def __init__(self, shift: Shift, reception: Reception, recorder: Recorder, typist: Typist) -> None:
        self._shift = shift
        self._recorder = recorder
        self._reception = reception
        self._conversing = Conversing(shift, typist, recorder.sender)
        self._apologies = shift.services.apologies.of(shift.bot_id)

    async def answer(self, item: OpenItem) -> None:
        """Answer one update. An update answered before is left alone. Raises what nobody foresaw."""
        if item.done:
            return
        try:
            incoming = self._shift.channel.read(item.parsed())
        except UpdatePoisoned as error:
            await self.set_aside(item.update_id, error.message)
            return
        if incoming is None:
            await self._finish(item.update_id, "ignored")
            return
        await self._receive(Turn(self._shift.spec, item, incoming, self._shift.now()))

    async def set_aside(self, update_id: int, error: str) -> None:
        """Take an update that cannot be handled out of the stream; its payload is kept to be looked at."""
        services, bot_id = self._shift.services, self._shift.bot_id
        await services.insist(lambda: self._shift.partition.updates.poison(update_id, error, services.now_ms()))
        logger.error("update %d set aside: %s", update_id, error)
        services.bus.publish(MessagePoisoned(bot_id=bot_id, at=services.clock.now(), update_id=update_id, error=error))

    async def _finish(self, update_id: int, outcome: str) -> None:
        services = self._shift.services
        await services.insist(lambda: self._shift.partition.updates.finish(update_id, services.now_ms(), outcome))

    # --- before the model --------------------------------------------------------------------------------------

    async def _receive(self, turn: Turn) -> None:
        became = await self._reception.receive(turn.incoming, late=turn.is_late(self._shift.services))
        if isinstance(became, Ask):
            turn.incoming, turn.model, turn.reply_to = became.incoming, became.model, became.reply_to
            await self._gather(turn)
        elif isinstance(became, Say):
            await self._say(turn, became)
        elif became.outcome == "expired":
            await self._apologise(turn, "expired")
        else:
            await self._drop(turn, became)

    async def _say(self, turn: Turn, say: Say) -> None:
        turn.reply_to = say.reply_to
        reply = turn.spec.config.reply if say.format == "markdown" else None
        parts = self._shift.channel.render(turn.incoming.lane, say.text, reply, say.buttons)
        await self._send(turn, say.outcome, parts)

    async def _drop(self, turn: Turn, drop: Drop) -> None:
        if drop.reason:
            logger.debug("update %d is %s: %s", turn.update_id, drop.outcome, drop.reason)
        await self._finish(turn.update_id, drop.outcome)

    async def _apologise(self, turn: Turn, outcome: str, error: str = "") -> None:
        """Say that there is no answer, unless the chat was told lately; the message is finished either way."""
        lane, text = turn.incoming.lane, turn.spec.config.reply.error_text
        owed = self._apologies.owed(lane.conversation_id)
        # What was shown of an answer must not stay.
        parts = self._shift.channel.render(lane, text) if owed or turn.item.preview_id else []
        if parts or error:
            await self._send(turn, outcome, parts, away=bool(error), error=error)
        else:
            await self._finish(turn.update_id, outcome)

    async def _gather(self, turn: Turn) -> None:
        """Wait for the rest of an album; make of files what the model understands."""
        if not turn.incoming.attachments:
            await self._converse(turn)
            return
        if turn.incoming.media_group_id:
            others = await siblings(self._shift, turn.incoming)
            if others is None:
                return
            turn.others = others
        messages = [turn.incoming, *(other.incoming for other in turn.others)]
        async with self._shift.places:
            understood = await self._shift.services.media.understand(turn.spec, self._shift.channel, messages)
        turn.further = tuple([await priced(self._shift.services.prices, tokens) for tokens in understood.used])
        if understood.refusal:
            await self._say(turn, self._reception.refusal(understood.refusal, turn.incoming))
            return
        turn.incoming, turn.images = attributed(turn.incoming.with_text(understood.text)), understood.images
        await self._converse(turn)

    # --- the model ---------------------------------------------------------------------------------------------

    async def _converse(self, turn: Turn) -> None:
        answer = await self._conversing.answer(turn)
        if answer is None:
            return
        if answer.away:
            await self._apologise(turn, "failed", answer.error)
            return
        turn.item.paid = True
        lane = turn.incoming.lane
        parts = await self._rendered(turn, answer)
        self._apologies.answered(lane.conversation_id)
        tokens = await tokens_of(self._shift.services.prices, answer)
        self._measure(answer, turn.began, tokens)
        if answer.error or tokens is None:
            await self._send(turn, "failed", parts, error=answer.error or "no answer")
        else:
            await self._send(turn, "answered", parts, question=answer.question, answer=answer.text, tokens=tokens)

    async def _rendered(self, turn: Turn, answer: Answer) -> list[Outgoing]:
        """Lay an answer out; a long one takes milliseconds, and others get their turn before the next."""
        with_what = (turn.incoming.lane, answer.text, turn.spec.config.reply, suggestions(answer.suggestions))
        if len(answer.text) <= LONG_TEXT:
            return self._shift.channel.render(*with_what)
        with anyio.move_on_after(KEEP_S, shield=True):  # it is paid for, and not stored yet
            async with self._shift.services.http.large:
                return self._shift.channel.render(*with_what)
        return self._shift.channel.render(*with_what)

    def _measure(self, answer: Answer, began: float, tokens: Tokens | None) -> None:
        metrics, bot_id = self._shift.services.metrics, self._shift.bot_id
        metrics.observe(bot_id, "turn_s", self._shift.now() - began)
        metrics.observe(bot_id, "model_s", answer.latency_s)
        if tokens is not None:
            metrics.spend(bot_id, tokens)

    # --- the end -----------------------------------------------------------------------------------------------

    async def _send(
        self, turn: Turn, outcome: str, parts: Sequence[Outgoing], *, away: bool = False, **more: object
    ) -> None:
        """Commit what became of the update, and send it. more are fields of the record; away: no model could be reached."""
        if turn.reply_to:
            parts = replying(parts, turn.reply_to)
        if turn.item.preview_id and parts:
            parts = become(parts, turn.item.preview_id)
        others = [other.item for other in turn.others]
        also = tuple([item.update_id for item in others])
        record = record_of(turn.spec, turn.incoming, outcome, parts, also=also, further=turn.further, **more)
        await self._recorder.record_and_send(record, parts, turn.began, turn.item, *others, away=away)


async def priced(prices: Prices, tokens: Tokens) -> Tokens:
    """Return tokens with what they cost; what is not counted in tokens has no price that is known."""
    if not (tokens.input_tokens or tokens.output_tokens):
        return tokens
    counted = (tokens.input_tokens, tokens.output_tokens, tokens.cached_tokens)
    return replace(tokens, cost_nano=await prices.cost_nano((tokens.provider, tokens.model), *counted))


async def tokens_of(prices: Prices, answer: Answer) -> Tokens | None:
    """Return what an answer took and what it cost, as it is stored; None when there is none."""
    if answer.completion is None:
        return None
    usage, model, latency_ms = answer.completion.usage, answer.completion.model, int(answer.latency_s * 1000)
    counted = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    cost_nano = await prices.cost_nano((answer.provider, model), *counted)
    return Tokens(answer.provider, model, *counted, latency_ms, cost_nano)
