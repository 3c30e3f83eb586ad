"""A turn committed, then sent. The commit is what makes the answer exist."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from store.errors import StoreError
from store.events import TurnFailed
from store.outbox import NewSend
from store.turns import TurnRecord
from workers.channels.base import Incoming, Outgoing
from workers.encoding import as_text, decoded
from workers.errors import UpdatePoisoned
from workers.sender import Sender
from workers.shift import Shift

if TYPE_CHECKING:
    from config.snapshot import BotSpec

logger = logging.getLogger(__name__)

KEEP_S: Final = 3.0
"""A cancelled worker may take so long to store an answer that is there already."""

FEW_PARTS: Final = 4
"""Answers of more parts are committed one after the other: several at once would hold up what others commit."""


@dataclass(slots=True)
class OpenItem:
    """An update of the inbox on its way through a lane.

    raw is the parsed payload, or its text for one left open by an earlier run. received_at is Unix seconds. paid says
    that the model has answered and the answer is not stored yet: it must not be asked again. preview_id is the message
    in which an earlier run has shown what it had of an answer, 0 for none. done says that it was answered together with
    one before it.
    """

    update_id: int
    raw: dict[str, Any] | str
    received_at: float
    paid: bool = False
    preview_id: int = 0
    done: bool = False

    def parsed(self) -> dict[str, Any]:
        """Return the raw update. Raises UpdatePoisoned for a payload that is no JSON object."""
        if isinstance(self.raw, dict):
            return self.raw
        try:
            raw = decoded(self.raw)
        except (ValueError, RecursionError) as error:
            raise UpdatePoisoned(
                f"update {self.update_id} cannot be understood: its payload is no JSON: {error}"
            ) from error
        if not isinstance(raw, dict):
            raise UpdatePoisoned(f"update {self.update_id} cannot be understood: its payload is no object")
        return raw


class Recorder:
    """Writes the turns of one bot down, and hands their sends on. Counts turns and errors."""

    __slots__ = ("_shift", "errors", "sender", "turns")

    def __init__(self, shift: Shift, sender: Sender) -> None:
        self.turns = 0
        self.errors = 0
        self._shift = shift
        self.sender = sender

    async def record_and_send(
        self,
        record: TurnRecord,
        parts: Sequence[Outgoing],
        began: float,
        item: OpenItem,
        *others: OpenItem,
        away: bool = False,
    ) -> None:
        """Commit a turn, then send it; one answered before is left alone. began is its monotonic moment.

        others are answered together with it (their ids are the record's `also`). away says that it failed because no
        model could be reached, which is told for all such turns together.

        Waits for as long as the database refuses. A turn cancelled while it is committed is kept all the same.
        """
        services, update_id = self._shift.services, record.update_id
        assert update_id is not None, "a turn of a channel answers an update"
        try:
            if len(parts) <= FEW_PARTS:
                ids = await services.insist(lambda: self._shift.partition.record_turn(record, services.now_ms()))
            else:
                async with services.http.large:
                    ids = await services.insist(lambda: self._shift.partition.record_turn(record, services.now_ms()))
        except anyio.get_cancelled_exc_class():
            await self._keep(record)
            raise
        item.paid = False
        for other in others:
            other.done = True
        if not parts:  # nothing is to be said
            self._count(record, update_id, away=away)
            return
        if not ids:
            ids = await self._sends_of(update_id)
        if len(ids) != len(parts):
            return  # answered before, by the process that ended in between
        self._count(record, update_id, away=away)
        await self.sender.deliver(ids, parts, update_id, began)

    async def _sends_of(self, update_id: int) -> tuple[int, ...]:
        """Return the open sends of an update: a commit that was reported as failed may have happened."""
        sends = await self._shift.services.insist(self._shift.partition.outbox.open)
        return tuple(send.outbox_id for send in sends if send.update_id == update_id)

    async def _keep(self, record: TurnRecord) -> None:
        """Store a turn whose commit was cancelled under way, none of its sends having left, which is no doubt.

        To record it again writes nothing if the first commit, which this one queues behind, has happened.
        """
        services, partition = self._shift.services, self._shift.partition
        with anyio.CancelScope(shield=True), services.clock.deadline(KEEP_S), suppress(StoreError):
            await partition.record_turn(record, services.now_ms())
            for send in await partition.outbox.open():
                if send.update_id == record.update_id and send.state == "attempting":
                    await partition.outbox.waiting(send.outbox_id)

    def _count(self, record: TurnRecord, update_id: int, *, away: bool) -> None:
        self.turns += 1
        if record.error:
            self._note_failure(update_id, record.error, away=away)

    def _note_failure(self, update_id: int, error: str, *, away: bool) -> None:
        services, bot_id = self._shift.services, self._shift.bot_id
        self.errors += 1
        logger.log(logging.DEBUG if away else logging.ERROR, "no answer to update %d: %s", update_id, error)
        services.metrics.count(bot_id, "errors")
        if away:
            services.absences.cost(bot_id)
            return
        services.bus.publish(TurnFailed(bot_id=bot_id, at=services.clock.now(), update_id=update_id, error=error))


def record_of(spec: BotSpec, incoming: Incoming, outcome: str, parts: Sequence[Outgoing], **more: Any) -> TurnRecord:
    """Return what is to be stored of a turn; more are fields of TurnRecord: question, answer, tokens, error."""
    lane = incoming.lane.conversation_id
    return TurnRecord(
        update_id=incoming.update_id,
        client_id=spec.config.client_id,
        conversation_id=lane,
        user_id="" if incoming.user_id is None else str(incoming.user_id),
        channel=spec.config.channel,
        outcome=outcome,
        sends=tuple([NewSend(p.chat_id, lane, p.method, as_text(p.params)) for p in parts]),
        first_attempting=True,
        **more,
    )
