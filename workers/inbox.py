"""The poller: ask, commit, and only then ask again, for that next question is the acknowledgement."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import anyio

from config.vocabulary import Condition
from store.events import FellBehind, MessageReceived
from store.events import TokenInUse as TokenInUseEvent
from store.partition import Partition
from store.updates import NewUpdate
from workers.backoff import delay_s
from workers.channels.base import Channel, Lane
from workers.channels.incoming import LARGEST_ID
from workers.conditions import Conditions
from workers.encoding import as_text
from workers.errors import (
    BotInvalid,
    ChannelError,
    ChannelUnreachable,
    RateLimited,
    TokenInUse,
    TokenRejected,
    UpdatesUnusable,
)
from workers.patience import Patience
from workers.stepping import Stepping

if TYPE_CHECKING:
    from workers.services import Services

logger = logging.getLogger(__name__)

RECONNECT_CAP_S: Final = 30.0
TOKEN_IN_USE_S: Final = (30.0, 60.0)
HEAVY_BYTES: Final = 64 * 1024
"""No update of people is so large. Where they are, polls bring one at a time, and are paced."""

HEAVY_BYTES_PER_S: Final = 1024 * 1024
ROOM_BYTES: Final = 8 * 1024 * 1024
"""What heavy updates that are open may take together; polling waits above it."""

QUICK_POLL_S: Final = 1.0
"""Polls that bring nothing leave at least so far apart: no server and no setting may make us spin."""

Take = Callable[[int, Lane, dict[str, Any]], None]
Room = Callable[[], Awaitable[None]]


class Inbox:
    """Polls one bot's channel and commits what comes, for as long as there is room for it.

    The offset is the last update's id and one, in the server's order: ids may jump, also downwards, after a quiet
    week, so no id is ever compared with another; repeats are recognised by their key in the store. An offset travels
    until a poll that carried it came back good; from then on it says nothing, so the polls of a quiet bot go without:
    after a jump downwards it would lie above what comes, and a server that takes it at its word would keep silent.
    in_lanes gives the ids of the updates that wait or are being answered.
    """

    __slots__ = (
        "_asking",
        "_brief",
        "_channel",
        "_conditions",
        "_failures",
        "_go",
        "_heavy",
        "_in_lanes",
        "_offset",
        "_partition",
        "_patience",
        "_repeats",
        "_services",
        "_stepping",
        "_troubled",
        "asked",
        "closed",
        "last_poll",
    )

    def __init__(
        self,
        channel: Channel,
        partition: Partition,
        services: Services,
        conditions: Conditions,
        patience: Patience,
        in_lanes: Callable[[], Iterable[int]],
        offset: int | None,
    ) -> None:
        self.last_poll: float | None = None
        """Monotonic moment of the last completed round trip."""
        self.asked: float | None = None
        """Monotonic moment the poll in flight left; None while none is."""
        self._channel = channel
        self._partition = partition
        self._services = services
        self._conditions = conditions
        self._patience = patience
        self._in_lanes = in_lanes
        self._offset = offset
        self._failures = 0
        self._stepping = Stepping()
        self._repeats = 0
        self._troubled = self._brief = self.closed = False
        self._heavy: dict[int, int] = {}
        self._asking: anyio.CancelScope | None = None
        self._go: anyio.Event | None = None

    def pause(self) -> None:
        """Poll no more until `resume`. A poll in flight is abandoned: what it would bring is not acknowledged."""
        if self._go is None:
            self._go = anyio.Event()
        if self._asking is not None:
            self._asking.cancel()

    def resume(self) -> None:
        """Poll again."""
        if self._go is not None:
            self._go.set()
            self._go = None

    @property
    def heavy_bytes(self) -> int:
        """How much the heavy updates take that are open."""
        if self._heavy:
            still = set(self._in_lanes())
            self._heavy = {update_id: size for update_id, size in self._heavy.items() if update_id in still}
        return sum(self._heavy.values())

    async def run(self, take: Take, room: Room, idle: Callable[[], None]) -> None:
        """Poll until cancelled, which is safe at any moment, or closed. Raises BotInvalid when the token is refused.

        take is called for each new update once it is committed; room waits while too many updates are open; idle is
        called when a poll brought nothing.
        """
        while not self.closed:
            await self._may_poll(room)
            began = self._services.clock.monotonic()
            batch = await self._ask(began)
            if batch is None or self.closed:  # set for a poll that could not be abandoned: another worker polls now
                continue
            brief, self._brief = self._brief, False
            new = await self._commit(batch, take) if batch else 0
            if not new and not brief:
                idle()
                await self._rest(began, repeated=bool(batch))

    async def _may_poll(self, room: Room) -> None:
        while self._go is not None:
            self._conditions.set(Condition.POLLING, False, "paused")
            self._services.outages.over(self._partition.bot_id)
            await self._go.wait()
        if self._services.store.fault is not None:
            self._conditions.set(Condition.POLLING, False, "the database takes no writes")
            await self._services.store.wait_healthy()
        await room()

    async def _ask(self, now: float) -> list[dict[str, Any]] | None:
        """Poll once; None when it failed (waited for already) or was abandoned."""
        self.asked, offset = now, self._offset
        batch: list[dict[str, Any]] | None = None
        failure: ChannelError | None = None
        if not self._troubled:
            self._conditions.set(Condition.POLLING, True)
        with anyio.CancelScope() as self._asking:
            try:
                batch = await (self._channel.poll(offset, brief=True) if self._brief else self._channel.poll(offset))
            except ChannelError as error:
                failure = error
        self.asked = self._asking = None
        if failure is not None:
            await self._poll_failed(failure, offset)
        elif batch is not None:
            self._poll_worked(offset)
        return batch

    def _poll_worked(self, offset: int | None) -> None:
        now, services = self._services.clock.monotonic(), self._services
        if self.last_poll is not None:
            services.metrics.observe(self._partition.bot_id, "poll_age", now - self.last_poll)
        self.last_poll = now
        self._failures = 0
        self._stepping.confirmed(offset, now)
        services.outages.over(self._partition.bot_id)
        if self._offset == offset:
            self._offset = None
        self._troubled = self._repeats > 1
        if not self._troubled:
            self._conditions.set(Condition.POLLING, True)
        self._conditions.set(Condition.TOKEN_IN_USE, False)

    async def _commit(self, batch: list[dict[str, Any]], take: Take) -> int:
        """Commit a batch with the offset that acknowledges it, hand out what was new; return how much that was."""
        services, partition = self._services, self._partition
        lanes = [self._channel.lane_of(raw) for raw in batch]
        rows = [
            NewUpdate(raw["update_id"], lane.conversation_id, _payload(raw))
            for raw, lane in zip(batch, lanes, strict=True)
        ]
        offset = min(batch[-1]["update_id"] + 1, LARGEST_ID)  # beyond, neither server nor store takes it
        new = set(await services.insist(lambda: partition.updates.receive(rows, offset, services.now_ms())))
        if len(new) < len(rows):
            new |= await self._missed({row.update_id for row in rows})
        self._offset = offset
        if not new:
            return 0
        self._repeats, self._troubled = 0, False
        services.metrics.count(partition.bot_id, "messages", len(new))
        self._hand_out(zip(batch, lanes, strict=True), set(new), take)
        await self._slow_down([row for row in rows if len(row.payload) > HEAVY_BYTES])
        return len(new)

    async def _slow_down(self, heavy: list[NewUpdate]) -> None:
        """Take the next update alone, and later, when one of these was heavy: others want to be served meanwhile."""
        if heavy:
            sizes = {row.update_id: len(row.payload) for row in heavy}
            self._heavy |= sizes
            self._brief = True
            await self._services.clock.sleep(sum(sizes.values()) / HEAVY_BYTES_PER_S)

    async def _missed(self, batch: set[int]) -> set[int]:
        """Return which updates of a batch with repeats are open and in no lane.

        A commit that was reported as failed may have happened; the next try then finds nothing new.
        """
        waiting = await self._services.insist(self._partition.updates.open)
        return {update.update_id for update in waiting} & batch - set(self._in_lanes())

    def _hand_out(self, batch: zip[tuple[dict[str, Any], Lane]], new: set[int], take: Take) -> None:
        bot_id, at, publish = self._partition.bot_id, self._services.clock.now(), self._services.bus.publish
        for raw, lane in batch:
            update_id = raw["update_id"]
            if update_id in new:
                new.discard(update_id)
                take(update_id, lane, raw)
                publish(MessageReceived(bot_id=bot_id, at=at, update_id=update_id, chat_id=lane.chat_id or None))

    async def _rest(self, began: float, *, repeated: bool) -> None:
        """Wait before the next poll after one that brought nothing new, if it came back at once."""
        self._repeats = self._repeats + 1 if repeated else 0
        clock = self._services.clock
        if repeated and self._repeats < 2:
            return  # the usual end of a crash: the next poll acknowledges what was committed then
        wait_s = QUICK_POLL_S - (clock.monotonic() - began)
        if repeated:
            self._troubled = True
            self._conditions.set(Condition.POLLING, False, "the server repeats updates that were acknowledged")
            wait_s = max(wait_s, delay_s(self._repeats - 2, cap_s=RECONNECT_CAP_S))
        if wait_s > 0:
            await clock.sleep(wait_s)

    async def _poll_failed(self, error: ChannelError, offset: int | None) -> None:
        """Note why and wait, in place: the world outside is no reason to restart a bot.

        The next poll is brief, so that what is over is not shown for the length of another long poll. Not after 409:
        a brief poll would end the other program's and prove nothing; nor after updates without an id, for what is good
        may stand behind the first of them.
        """
        self._troubled = True
        self._brief = not isinstance(error, TokenInUse | UpdatesUnusable)
        services, bot_id = self._services, self._partition.bot_id
        if isinstance(error, ChannelUnreachable):
            services.outages.note(bot_id, str(error), services.clock.monotonic())
        else:
            services.outages.over(bot_id)
        match error:
            case TokenRejected():
                raise BotInvalid(error.message, error.hint) from error
            case TokenInUse():
                await self._wait_for_token(error)
            case RateLimited():
                self._conditions.set(Condition.POLLING, False, error.message)
                with self._patience.asked(error.message):
                    await services.clock.sleep(max(error.retry_after_s, QUICK_POLL_S))
            case _:
                self._conditions.set(Condition.POLLING, False, str(error))
                if isinstance(error, UpdatesUnusable):
                    self._step_over(error, offset)
                self._failures += 1
                wait_s = delay_s(self._failures - 1, cap_s=RECONNECT_CAP_S)
                await services.clock.sleep(max(wait_s, services.outages.spread_s()))

    def _step_over(self, error: UpdatesUnusable, offset: int | None) -> None:
        """Acknowledge updates without an id as far as that is safe; tell the operator, once until it is over."""
        services, bot_id = self._services, self._partition.bot_id
        if not self._stepping.stuck:
            logger.error("%s; polling slows down until others come", error.message)
            services.bus.publish(FellBehind(bot_id=bot_id, at=services.clock.now(), reason=error.message))
        self._offset = self._stepping.beyond(error, offset, services.clock.monotonic()) or self._offset

    async def _wait_for_token(self, error: TokenInUse) -> None:
        services = self._services
        self._conditions.set(Condition.POLLING, False, str(error))
        if self._conditions.set(Condition.TOKEN_IN_USE, True, str(error)):
            logger.error("token in use: %s", error)
            bot_id = self._partition.bot_id
            services.bus.publish(TokenInUseEvent(bot_id=bot_id, at=services.clock.now(), message=str(error)))
        await services.clock.sleep(random.uniform(*TOKEN_IN_USE_S))  # noqa: S311 (spreading load, no secret)


def _payload(raw: dict[str, Any]) -> str:
    """Return an update as JSON, which any store takes; "" for one nested too deeply to be written."""
    try:
        return as_text(raw)
    except RecursionError:
        return ""
