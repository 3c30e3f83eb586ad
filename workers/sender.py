"""Sending: the outbox, part by part, with the one honest doubt a send can leave."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

import anyio
import anyio.lowlevel

from store.events import ReplySent
from store.events import SendUncertain as SendUncertainEvent
from store.outbox import Send
from workers.backoff import delay_s
from workers.channels.base import Outgoing
from workers.errors import BotInvalid, ChannelUnreachable, RateLimited, SendRefused, SendUncertain, TokenRejected
from workers.shift import Shift

logger = logging.getLogger(__name__)

RETRY_CAP_S: Final = 30.0
MAX_RESENDS: Final = 30
"""Times one part may be cut off in flight before it is given up: about a quarter of an hour of a server that takes
messages and never says so must not become an endless stream of copies."""


class Outcome(Enum):
    """What became of a part."""

    DONE = auto()
    REFUSED = auto()
    LEFT = auto()
    """The worker drains: the part stays `pending` for the next run."""


class _Later(NamedTuple):
    """The part was not taken; throttled says that the server asked to wait, in_doubt that it may have been taken."""

    wait_s: float
    throttled: str = ""
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Leftover:
    """One answer, or what is left of it, found open at the start."""

    sends: tuple[Send, ...]

    @property
    def lane(self) -> str:
        """The lane it belongs to."""
        return self.sends[0].lane

    @property
    def update_id(self) -> int | None:
        """The update it answers."""
        return self.sends[0].update_id


def leftovers(sends: Sequence[Send]) -> list[Leftover]:
    """Group open sends, given in order, by the answer they are parts of."""
    answers: list[list[Send]] = []
    newest: dict[str, list[Send]] = {}
    for send in sends:
        answer = newest.get(send.lane)
        if answer is None or answer[-1].update_id != send.update_id or answer[-1].part >= send.part:
            answer = newest[send.lane] = []
            answers.append(answer)
        answer.append(send)
    return [Leftover(tuple(answer)) for answer in answers]


class Sender:
    """Sends the parts of answers and keeps the ledger true.

    Before a part leaves, its row says `attempting`; once the server has taken it, `sent`. What certainly did not
    happen goes back to `pending` and is tried again for as long as the worker runs; what may have happened is treated
    by `ambiguous_send`. Waiting gives the lane's place to another. Cancelling is safe at any moment.
    """

    __slots__ = ("_shift", "ambiguous", "answers", "open")

    def __init__(self, shift: Shift) -> None:
        self.ambiguous = 0
        self.answers = 0
        self.open = 0
        """Answers under way and their parts, waiting leftovers included."""
        self._shift = shift

    # --- whole answers -----------------------------------------------------------------------------------------

    async def deliver(self, ids: Sequence[int], parts: Sequence[Outgoing], update_id: int, began: float) -> None:
        """Send a fresh answer whose first part is `attempting` already. began is the turn's monotonic moment."""
        self._expect(1, len(ids))
        try:
            await self._unless_cancelled(ids[0])
            for number, (outbox_id, part) in enumerate(zip(ids, parts, strict=True)):
                if number:
                    await self._attempting(outbox_id)
                outcome = await self._send(outbox_id, part, update_id)
                if outcome is not Outcome.DONE:
                    await self._break_off(outcome, ids[number + 1 :])
                    return
            self._note_reply(update_id, parts[0].chat_id, len(parts), self._shift.now() - began)
        finally:
            self._expect(-1, -len(ids))

    def expect(self, leftovers: Sequence[Leftover]) -> None:
        """Count answers that will be resumed."""
        self._expect(len(leftovers), sum(len(leftover.sends) for leftover in leftovers))

    def _expect(self, answers: int, parts: int) -> None:
        self.answers += answers
        self.open += parts

    async def resume(self, leftover: Leftover) -> None:
        """Continue an answer found open at the start: `attempting` is in doubt, `pending` simply goes out."""
        sends = leftover.sends
        for number, send in enumerate(sends):
            outcome = await self._resume_part(send)
            if outcome is not Outcome.DONE:
                await self._break_off(outcome, [later.outbox_id for later in sends[number + 1 :]])
                break
        else:
            last = sends[-1]
            if last.update_id is not None:
                took_s = max(0.0, self._shift.services.clock.now() - last.created_ms / 1000)
                self._note_reply(last.update_id, last.chat_id, last.parts, took_s)
        self._expect(-1, -len(sends))

    async def abandon(self, leftover: Leftover, reason: str) -> None:
        """Give up an answer that crashes the bot whenever it is sent."""
        await self._give_up([send.outbox_id for send in leftover.sends], reason)
        self._expect(-1, -len(leftover.sends))

    async def _resume_part(self, send: Send) -> Outcome:
        try:
            outgoing = Outgoing(send.chat_id, send.method, json.loads(send.params))
        except ValueError as error:
            await self._give_up([send.outbox_id], f"its parameters are no JSON: {error}")
            return Outcome.REFUSED
        in_doubt = send.state == "attempting" and not outgoing.repeatable
        if in_doubt and not await self._settle_doubt(send.outbox_id, send.update_id, send.ambiguous):
            return Outcome.DONE
        await self._attempting(send.outbox_id)
        return await self._send(send.outbox_id, outgoing, send.update_id)

    async def _break_off(self, outcome: Outcome, rest: Sequence[int]) -> None:
        if outcome is Outcome.REFUSED:
            await self._give_up(rest, "an earlier part of the answer was refused")

    def _note_reply(self, update_id: int, chat_id: int, parts: int, took_s: float) -> None:
        services, bot_id = self._shift.services, self._shift.bot_id
        services.metrics.count(bot_id, "replies")
        services.bus.publish(
            ReplySent(
                bot_id=bot_id,
                at=services.clock.now(),
                update_id=update_id,
                chat_id=chat_id,
                parts=parts,
                duration_s=took_s,
            )
        )

    # --- one part ----------------------------------------------------------------------------------------------

    async def _send(self, outbox_id: int, outgoing: Outgoing, update_id: int | None) -> Outcome:
        """Send one part until it is settled, or until the worker drains while it waits."""
        outcome = await self._try(outbox_id, outgoing, update_id)
        if isinstance(outcome, Outcome):
            return outcome
        tries = doubts = 0
        with self._shift.aside():
            while isinstance(outcome, _Later):
                await self._shift.services.insist(lambda: self._shift.partition.outbox.waiting(outbox_id))
                if not await self._rest(outcome):
                    return Outcome.LEFT
                await self._attempting(outbox_id)
                tries += 1
                doubts += outcome.in_doubt
                outcome = await self._try(outbox_id, outgoing, update_id, tries, doubts)
        return outcome

    async def _try(
        self, outbox_id: int, outgoing: Outgoing, update_id: int | None, tries: int = 0, doubts: int = 0
    ) -> Outcome | _Later:
        try:
            with self._shift.places:
                message_id = await self._shift.channel.send(outgoing)
            self._note_refusals()
        except RateLimited as error:
            return _Later(error.retry_after_s, error.message)
        except ChannelUnreachable as error:
            logger.log(logging.DEBUG if tries else logging.WARNING, "cannot send yet: %s", error)
            return _Later(delay_s(tries, cap_s=RETRY_CAP_S))
        except SendUncertain as error:
            if outgoing.repeatable and doubts < MAX_RESENDS:
                return _Later(delay_s(tries, cap_s=RETRY_CAP_S), in_doubt=True)
            logger.warning("a reply was cut off in flight: %s", error)
            again = await self._settle_doubt(outbox_id, update_id, doubts)
            return _Later(delay_s(tries, cap_s=RETRY_CAP_S), in_doubt=True) if again else Outcome.DONE
        except SendRefused as error:
            logger.warning("a reply was refused: %s", error)
            await self._give_up([outbox_id], error.message)
            if error.gone:
                await self._note_gone(outgoing.chat_id)
            return Outcome.REFUSED
        except TokenRejected as error:
            await self._shift.services.insist(lambda: self._shift.partition.outbox.waiting(outbox_id), shield=True)
            raise BotInvalid(error.message, error.hint) from error
        await self._mark_sent(outbox_id, message_id)
        return Outcome.DONE

    def _note_refusals(self) -> None:
        if refused := self._shift.channel.refused_formats():
            self._shift.services.metrics.count(self._shift.bot_id, "format_refused", refused)

    async def _note_gone(self, chat_id: int) -> None:
        """Write down that a chat is closed to the bot: blocked by its person, or left."""
        services, chats = self._shift.services, self._shift.partition.chats
        known = await services.insist(lambda: chats.get(chat_id))
        kind, state = ("private", "blocked") if chat_id > 0 else (known.kind if known else "group", "left")
        await services.insist(lambda: chats.put(chat_id, kind, "", state, services.now_ms()))

    async def _mark_sent(self, outbox_id: int, message_id: int | None) -> None:
        # Remembered until the store knows it: while the database refuses, this wait may be cancelled, and the worker
        # made next must neither send the part again nor call it in doubt.
        services, key = self._shift.services, (self._shift.bot_id, outbox_id)
        services.unmarked[key] = message_id
        await services.insist(lambda: self._shift.partition.outbox.sent(outbox_id, message_id, services.now_ms()))
        del services.unmarked[key]

    async def settle_marks(self) -> None:
        """Write down what an earlier worker of this process has sent and could not mark."""
        for bot_id, outbox_id in [key for key in self._shift.services.unmarked if key[0] == self._shift.bot_id]:
            await self._mark_sent(outbox_id, self._shift.services.unmarked[bot_id, outbox_id])

    async def _attempting(self, outbox_id: int) -> None:
        """Commit that a part is about to leave, so that a crash from here on is told apart from one before."""
        await self._shift.services.insist(lambda: self._shift.partition.outbox.attempting(outbox_id), shield=True)
        await self._unless_cancelled(outbox_id)

    async def _unless_cancelled(self, outbox_id: int) -> None:
        """Stop here when this task was cancelled meanwhile: the part has not left, which is no doubt."""
        going = False
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            going = True
        finally:
            if not going:
                with anyio.CancelScope(shield=True):
                    await self._shift.partition.outbox.waiting(outbox_id)

    async def _rest(self, later: _Later) -> bool:
        """Wait; False when the worker drains."""
        if later.throttled:
            with self._shift.patience.asked(later.throttled):
                return await self._rest(_Later(later.wait_s))
        return await self._shift.rests.sleep(later.wait_s)

    async def _settle_doubt(self, outbox_id: int, update_id: int | None, times_before: int) -> bool:
        """Count a send in doubt; True when it is to be sent again, else it is closed as skipped.

        One commit does both: a process that ends here neither counts it twice nor sends what was to be skipped.
        """
        services, policy = self._shift.services, self._shift.spec.config.telegram.ambiguous_send
        again = policy == "resend" and times_before < MAX_RESENDS
        reason = "" if again else "cut off in flight" if policy == "skip" else "cut off in flight too often"
        await services.insist(
            lambda: self._shift.partition.outbox.ambiguous(outbox_id, services.now_ms(), skipped=reason), shield=True
        )
        self.ambiguous += 1
        services.bus.publish(
            SendUncertainEvent(bot_id=self._shift.bot_id, at=services.clock.now(), update_id=update_id, policy=policy)
        )
        return again

    async def settle_frame(self, update_id: int) -> None:
        """Count a message, sent to show an answer that was being made, of which nobody knows whether it arrived.

        If it did, it stays beside the answer, for it can be found by its number only.
        """
        services, updates = self._shift.services, self._shift.partition.updates
        if not await services.insist(lambda: updates.preview_in_doubt(update_id, services.now_ms()), shield=True):
            return
        self.ambiguous += 1
        logger.warning("the beginning of an answer was cut off in flight: it may stay in the chat beside the answer")
        services.bus.publish(
            SendUncertainEvent(bot_id=self._shift.bot_id, at=services.clock.now(), update_id=update_id, policy="frame")
        )

    async def _give_up(self, ids: Sequence[int], reason: str) -> None:
        reason = self._shift.services.redact(reason)[:1000]
        for outbox_id in ids:
            await self._fail(outbox_id, reason)

    async def _fail(self, outbox_id: int, reason: str) -> None:
        await self._shift.services.insist(
            lambda: self._shift.partition.outbox.failed(outbox_id, reason, self._shift.services.now_ms())
        )
