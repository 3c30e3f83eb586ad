"""One update answered: a short pipe of named steps.

read → too old? → ask → record (one transaction) → send
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from config.vocabulary import Condition
from store.errors import StoreError
from store.events import MessagePoisoned, TurnFailed
from store.outbox import NewSend
from store.partition import Partition
from store.turns import TurnRecord
from store.usage import Tokens
from workers.channels.base import Channel, Incoming, Outgoing
from workers.conditions import Conditions
from workers.errors import UpdatePoisoned
from workers.places import Places
from workers.sender import Sender
from workers.typist import Typist

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.chat.engine import Answer
    from workers.llm.base import Completion
    from workers.services import Services

logger = logging.getLogger(__name__)

KEEP_S: Final = 3.0
"""A cancelled worker may take so long to store an answer that is there already."""

FEW_PARTS: Final = 4
"""Answers of more parts are committed one after the other: several at once would hold up what others commit."""

MAX_APOLOGISED: Final = 1024
"""Chats remembered as having had their apology; beyond it the one longest ago is forgotten."""


@dataclass(slots=True)
class OpenItem:
    """An update of the inbox on its way through a lane.

    raw is the parsed payload, or its text for one left open by an earlier run. received_at is Unix seconds. paid says
    that the model has answered and the answer is not stored yet: it must not be asked again.
    """

    update_id: int
    raw: dict[str, Any] | str
    received_at: float
    paid: bool = False


class Turns:
    """Answers the updates of one bot. `spec` may be exchanged between turns; a turn uses the one it began with."""

    __slots__ = (
        "_apologised",
        "_channel",
        "_conditions",
        "_partition",
        "_places",
        "_sender",
        "_services",
        "_typist",
        "errors",
        "spec",
        "turns",
    )

    def __init__(
        self,
        spec: BotSpec,
        channel: Channel,
        partition: Partition,
        sender: Sender,
        typist: Typist,
        services: Services,
        conditions: Conditions,
        places: Places,
    ) -> None:
        self.spec = spec
        self.turns = 0
        self.errors = 0
        self._channel = channel
        self._partition = partition
        self._sender = sender
        self._typist = typist
        self._places = places
        self._services = services
        self._conditions = conditions
        self._apologised: dict[str, None] = {}

    async def answer(self, item: OpenItem) -> None:
        """Answer one update. An update answered before is left alone. Raises what nobody foresaw."""
        spec = self.spec
        try:
            incoming = self._channel.read(_parsed(item))
        except UpdatePoisoned as error:
            await self.set_aside(item.update_id, error.message)
            return
        if incoming is None:
            await self._finish(item.update_id, "ignored")
        elif self._services.age_s(incoming.sent_at) > spec.config.telegram.max_update_age_s:
            await self._expire(spec, item, incoming)
        else:
            await self._converse(spec, item, incoming)

    async def set_aside(self, update_id: int, error: str) -> None:
        """Take an update that cannot be handled out of the stream; its payload is kept to be looked at."""
        services, bot_id = self._services, self._partition.bot_id
        await services.insist(lambda: self._partition.updates.poison(update_id, error, services.now_ms()))
        logger.error("update %d set aside: %s", update_id, error)
        services.bus.publish(MessagePoisoned(bot_id=bot_id, at=services.clock.now(), update_id=update_id, error=error))

    async def _finish(self, update_id: int, outcome: str) -> None:
        services = self._services
        await services.insist(lambda: self._partition.updates.finish(update_id, services.now_ms(), outcome))

    # --- a message that waited too long ------------------------------------------------------------------------

    async def _expire(self, spec: BotSpec, item: OpenItem, incoming: Incoming) -> None:
        """Answer messages that waited too long with one apology per chat, not with a storm of late answers."""
        lane = incoming.lane.conversation_id
        if lane in self._apologised:
            await self._finish(incoming.update_id, "expired")
            return
        self._apologised[lane] = None
        if len(self._apologised) > MAX_APOLOGISED:
            del self._apologised[next(iter(self._apologised))]
        parts = self._channel.render(incoming.lane, spec.config.reply.error_text)
        await self._record_and_send(self._record(spec, incoming, "expired", parts), parts, self._now(), item)

    # --- a turn ------------------------------------------------------------------------------------------------

    async def _converse(self, spec: BotSpec, item: OpenItem, incoming: Incoming) -> None:
        services, began = self._services, self._typist.begin(incoming.update_id, incoming.lane)
        try:
            # A store that cannot be read is met before the model is asked, so asking again costs nothing twice.
            answer = await services.insist(
                lambda: services.engine.answer(spec, self._partition, incoming, self._report, self._places)
            )
        finally:
            self._typist.end(incoming.update_id)
        item.paid = True
        parts = self._channel.render(incoming.lane, answer.text)
        record = self._answered(spec, incoming, answer, parts)
        if self._apologised:
            self._apologised.pop(record.conversation_id, None)
        self._measure(answer, began)
        await self._record_and_send(record, parts, began, item)

    def _report(self, condition: Condition, status: bool, reason: str) -> None:
        before = self._conditions.get(condition)
        if self._conditions.set(condition, status, reason) and not (status and before is None):
            text = "the model answers again" if status else f"the model is out of reach: {reason}"
            logger.log(logging.INFO if status else logging.WARNING, text)

    def _measure(self, answer: Answer, began: float) -> None:
        metrics, bot_id = self._services.metrics, self._partition.bot_id
        metrics.observe(bot_id, "turn_s", self._now() - began)
        metrics.observe(bot_id, "model_s", answer.latency_s)
        if answer.completion is not None:
            metrics.spend(bot_id, tokens_of(answer, answer.completion))

    def _answered(self, spec: BotSpec, incoming: Incoming, answer: Answer, parts: Sequence[Outgoing]) -> TurnRecord:
        if answer.error or answer.completion is None:
            return self._record(
                spec, incoming, "failed", parts, error=self._services.redact(answer.error or "no answer")
            )
        tokens = tokens_of(answer, answer.completion)
        return self._record(
            spec, incoming, "answered", parts, question=answer.question, answer=answer.text, tokens=tokens
        )

    def _record(
        self, spec: BotSpec, incoming: Incoming, outcome: str, parts: Sequence[Outgoing], **more: Any
    ) -> TurnRecord:
        lane = incoming.lane.conversation_id
        return TurnRecord(
            update_id=incoming.update_id,
            client_id=spec.config.client_id,
            conversation_id=lane,
            user_id="" if incoming.user_id is None else str(incoming.user_id),
            channel=spec.config.channel,
            outcome=outcome,
            sends=tuple([NewSend(p.chat_id, lane, p.method, json.dumps(p.params)) for p in parts]),
            first_attempting=True,
            **more,
        )

    async def _record_and_send(
        self, record: TurnRecord, parts: Sequence[Outgoing], began: float, item: OpenItem
    ) -> None:
        """Commit the turn, then send it. The commit is what makes the answer exist."""
        services, update_id = self._services, record.update_id
        assert update_id is not None, "a turn of a channel answers an update"
        try:
            if len(parts) <= FEW_PARTS:
                ids = await services.insist(lambda: self._partition.record_turn(record, services.now_ms()))
            else:
                async with services.http.large:
                    ids = await services.insist(lambda: self._partition.record_turn(record, services.now_ms()))
        except anyio.get_cancelled_exc_class():
            await self._keep(record)
            raise
        item.paid = False
        if not ids:
            ids = await self._sends_of(update_id)
        if len(ids) != len(parts):
            return  # answered before, by the process that ended in between
        self.turns += 1
        if record.error:
            self._note_failure(update_id, record.error)
        await self._sender.deliver(ids, parts, update_id, began)

    async def _sends_of(self, update_id: int) -> tuple[int, ...]:
        """Return the open sends of an update: a commit that was reported as failed may have happened."""
        sends = await self._services.insist(self._partition.outbox.open)
        return tuple(send.outbox_id for send in sends if send.update_id == update_id)

    async def _keep(self, record: TurnRecord) -> None:
        """Store a turn whose commit was cancelled under way, none of its sends having left, which is no doubt.

        To record it again writes nothing if the first commit, which this one queues behind, has happened.
        """
        services, partition = self._services, self._partition
        with anyio.CancelScope(shield=True), services.clock.deadline(KEEP_S), suppress(StoreError):
            await partition.record_turn(record, services.now_ms())
            for send in await partition.outbox.open():
                if send.update_id == record.update_id and send.state == "attempting":
                    await partition.outbox.waiting(send.outbox_id)

    def _note_failure(self, update_id: int, error: str) -> None:
        services, bot_id = self._services, self._partition.bot_id
        self.errors += 1
        logger.error("no answer to update %d: %s", update_id, error)
        services.metrics.count(bot_id, "errors")
        services.bus.publish(TurnFailed(bot_id=bot_id, at=services.clock.now(), update_id=update_id, error=error))

    def _now(self) -> float:
        return self._services.clock.monotonic()


def tokens_of(answer: Answer, completion: Completion) -> Tokens:
    """Return what an answer took, as it is stored."""
    usage, latency_ms = completion.usage, int(answer.latency_s * 1000)
    return Tokens(
        answer.provider, completion.model, usage.input_tokens, usage.output_tokens, usage.cached_tokens, latency_ms
    )


def _parsed(item: OpenItem) -> dict[str, Any]:
    """Return the raw update. Raises UpdatePoisoned for a payload that is no JSON object."""
    if isinstance(item.raw, dict):
        return item.raw
    try:
        raw = json.loads(item.raw)
    except (ValueError, RecursionError) as error:
        raise UpdatePoisoned(
            f"update {item.update_id} cannot be understood: its payload is no JSON: {error}"
        ) from error
    if not isinstance(raw, dict):
        raise UpdatePoisoned(f"update {item.update_id} cannot be understood: its payload is no object")
    return raw
