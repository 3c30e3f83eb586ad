"""One bot at work: its poller, its lanes, its sender. Made anew for each run by the keeper."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from store.errors import StoreError
from workers.admission import Admission
from workers.channels.base import Channel, Identity, Lane
from workers.conditions import Conditions
from workers.crew import Crew
from workers.errors import BotInvalid
from workers.inbox import Inbox
from workers.lanes import Lanes
from workers.patience import Patience
from workers.reception.menu import Menu
from workers.reception.reception import Reception
from workers.recording import OpenItem, Recorder
from workers.rests import Rests
from workers.room import Room
from workers.sender import Leftover, Sender, leftovers
from workers.shift import Shift
from workers.turn import Turns
from workers.typist import Typist

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.services import Services
    from workers.underway import Underway

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""Times an update may crash the bot before it is set aside."""

LAST_TURNS_S: Final = 20.0
"""What a crash leaves the other lanes to end their turns in: a model's answer that is thrown away is paid for twice."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a worker shows of itself. Ages are seconds; turns, errors and ambiguous_sends count since it was made.

    last_poll_age_s: since the last completed round trip. poll_in_flight_s: since the poll under way left, None while
    none is (paused, waiting for room, backing off). oldest_turn_age_s: of the turn that asks its model for longest;
    waiting to send is no part of a turn. inbox_age_s: of the update open for longest.
    """

    last_poll_age_s: float | None = None
    poll_in_flight_s: float | None = None
    inbox_open: int = 0
    inbox_age_s: float | None = None
    outbox_open: int = 0
    in_turn: int = 0
    oldest_turn_age_s: float | None = None
    turns: int = 0
    errors: int = 0
    ambiguous_sends: int = 0
    identity: Identity | None = None


@dataclass(slots=True)
class _Parts:
    """What a worker is made of once it knows who it is."""

    shift: Shift
    lanes: Lanes[OpenItem | Leftover]
    typist: Typist
    sender: Sender
    recorder: Recorder
    reception: Reception
    menu: Menu
    turns: Turns
    inbox: Inbox
    room: Room

    def rest(self) -> None:
        """Let go of tasks that have nothing to do."""
        self.lanes.rest()
        self.typist.rest()


class Worker:
    """Runs one bot until it is drained or cancelled. Everything durable lives in the store."""

    __slots__ = (
        "_channel",
        "_conditions",
        "_crew",
        "_failure",
        "_identity",
        "_intake",
        "_partition",
        "_parts",
        "_patience",
        "_paused",
        "_services",
        "_spec",
    )

    def __init__(self, spec: BotSpec, services: Services, conditions: Conditions, *, paused: bool = False) -> None:
        self._spec = spec
        self._services = services
        self._conditions = conditions
        self._paused = paused
        self._partition = services.store.partition(spec.bot_id)
        self._patience = Patience(conditions)
        self._intake = anyio.CancelScope()
        self._channel: Channel | None = None
        self._crew: Crew | None = None
        self._parts: _Parts | None = None
        self._identity: Identity | None = None
        self._failure: Exception | None = None

    # --- life --------------------------------------------------------------------------------------------------

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Identify, continue what was left open, then poll. Returns after `drain`, when nothing is in flight.

        on_ready is called when the server knows the bot and the store's open rows are loaded; the first poll follows.
        Trouble of the network or the database's disk never ends it. Raises BotInvalid when the bot cannot run until
        something changes; anything else raised is a crash, from which the other lanes get 20 s to end their turns.
        Cancelling is safe at any moment: nothing is lost, and what is stored is not asked for again.
        """
        spec, services = self._spec, self._services
        channel = self._channel = services.open_channel(spec.bot_id, spec.config, services.http, services.clock)
        try:
            async with anyio.create_task_group() as group:
                crew = self._crew = Crew(group)
                with self._intake, crew.scope():
                    await self._take_in(crew, channel, on_ready)
                await self._finish_turns()
                group.cancel_scope.cancel()
        finally:
            services.outages.over(spec.bot_id)
            await channel.close()
        if self._failure is not None:
            raise self._failure

    async def _take_in(self, crew: Crew, channel: Channel, on_ready: Callable[[], None]) -> None:
        try:
            await self._live(crew, channel, on_ready)
        except Exception as error:  # noqa: BLE001 (whatever it is, turns in flight are ended first; `run` raises it then)
            self._fail(error)

    async def _live(self, crew: Crew, channel: Channel, on_ready: Callable[[], None]) -> None:
        admission = Admission(self._spec, channel, self._services, self._conditions, self._patience)
        await self._services.prepare(self._spec.config.llm)
        self._identity, offset = await admission.admit()
        parts = self._parts = self._assemble(crew, channel, offset)
        await self._continue(parts)
        on_ready()
        await parts.inbox.run(self._take, parts.room.wait, parts.rest)

    async def _finish_turns(self) -> None:
        if self._parts is None:
            return
        if self._failure is None:
            await self._parts.lanes.wait_idle()
            return
        with self._services.clock.deadline(LAST_TURNS_S):
            await self._parts.lanes.wait_idle()

    def _fail(self, error: Exception) -> None:
        """Begin to end: the first error counts, those of other lanes follow from the same cause or come again."""
        if self._failure is None:
            self._failure = error
        self.drain()

    # --- start -------------------------------------------------------------------------------------------------

    def _assemble(self, crew: Crew, channel: Channel, offset: int | None) -> _Parts:
        spec, services, partition, conditions = self._spec, self._services, self._partition, self._conditions
        lanes: Lanes[OpenItem | Leftover] = Lanes(
            crew, self._handle, bot_id=spec.bot_id, max_lanes=spec.config.limits.max_lanes,
            neighbours=services.neighbours,
        )  # fmt: skip
        shift = Shift(
            spec, channel, partition, services, conditions, self._patience, lanes.places,
            Rests(services.clock, lanes.places), lanes.aside,
            lambda lane: (item for item in lanes.behind(lane) if isinstance(item, OpenItem)),
        )  # fmt: skip
        typist = Typist(crew, channel, services.clock, spec.bot_id)
        sender = Sender(shift)
        recorder = Recorder(shift, sender)
        assert self._identity is not None, "the server has said who we are"
        reception = Reception(spec, channel, partition, services, self._identity)
        turns = Turns(shift, reception, recorder, typist)
        menu = Menu(crew, channel, partition, services, self._identity)
        menu.show(reception.commands)
        inbox = Inbox(
            channel, partition, services, conditions, self._patience, lambda: map(_update_id, lanes.items()), offset
        )
        if self._paused:
            inbox.pause()
        return _Parts(shift, lanes, typist, sender, recorder, reception, menu, turns, inbox, Room(shift, lanes, inbox))

    async def _continue(self, parts: _Parts) -> None:
        """Put what the last run left open into its lanes: sends first, then updates, each in order."""
        await parts.sender.settle_marks()
        sends = await self._services.insist(self._partition.outbox.open)
        updates = await self._services.insist(self._partition.updates.open)
        answers = leftovers(sends)
        parts.sender.expect(answers)
        for leftover in answers:
            parts.lanes.put(leftover.lane, leftover)
        for update in updates:
            preview_id = update.preview_id or 0
            if update.preview_id == 0:
                await parts.sender.settle_frame(update.update_id)
            item = OpenItem(update.update_id, update.payload, update.received_ms / 1000, preview_id=preview_id)
            parts.lanes.put(update.lane, item)

    # --- work --------------------------------------------------------------------------------------------------

    def _take(self, update_id: int, lane: Lane, raw: dict[str, Any]) -> None:
        assert self._parts is not None, "the inbox runs after the lanes are made"
        self._parts.lanes.put(lane.conversation_id, OpenItem(update_id, raw, self._services.clock.now()))

    async def _handle(self, item: OpenItem | Leftover) -> None:
        assert self._parts is not None, "lanes are one of the parts"
        try:
            if isinstance(item, OpenItem):
                await self._parts.turns.answer(item)
            else:
                await self._parts.sender.resume(item)
        except (BotInvalid, StoreError) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 (one bad update must not take the bot down for ever: it is counted)
            await self._survive(self._parts, item, error)

    async def _survive(self, parts: _Parts, item: OpenItem | Leftover, error: Exception) -> None:
        """Count a crash against its update: set aside after MAX_ATTEMPTS, or once its answer is paid for."""
        text = self._services.redact(f"{type(error).__name__}: {error}")[:1000]
        updates, update_id = self._partition.updates, item.update_id
        tried = MAX_ATTEMPTS
        if update_id is not None:
            tried = await self._services.insist(lambda: updates.attempt_failed(update_id, text), shield=True)
        if tried < MAX_ATTEMPTS and not (isinstance(item, OpenItem) and item.paid):
            self._fail(error)
            return
        logger.error("update %s failed %d times and is set aside", update_id, tried, exc_info=error)
        if isinstance(item, Leftover):
            await parts.sender.abandon(item, text)
        else:
            await parts.turns.set_aside(item.update_id, text)

    # --- steering ----------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take nothing more in: turns in flight and sends that have begun are finished, the rest stays in the store.

        A poll in flight is abandoned: what it would have brought was not acknowledged and comes again.
        """
        if self._parts is not None:
            self._parts.lanes.stop()
            self._parts.shift.rests.stop()
        self._intake.cancel()

    def let_go(self) -> None:
        """Leave alone what did not heed its cancellation, which would keep a core busy; it begins nothing more."""
        self.drain()
        if self._parts is not None:
            self._parts.inbox.closed = True
        if self._crew is not None:
            self._crew.let_go()

    def pause(self) -> None:
        """Stop polling, stay ready; what is in the inbox already is still answered."""
        self._paused = True
        if self._parts is not None:
            self._parts.inbox.pause()

    def resume(self) -> None:
        """Poll again."""
        self._paused = False
        if self._parts is not None:
            self._parts.inbox.resume()

    def apply(self, spec: BotSpec) -> None:
        """Take over keys whose effect is in place or at the next turn; a turn under way keeps its own."""
        self._spec = spec
        if self._channel is not None:
            self._channel.apply(spec.config)
        if self._parts is not None:
            self._parts.shift.spec = spec
            self._parts.reception.apply(spec)
            self._parts.menu.show(self._parts.reception.commands)
            self._parts.lanes.resize(spec.config.limits.max_lanes)

    def underway(self) -> list[Underway]:
        """Return the turns whose model is being asked, the oldest first."""
        return self._parts.typist.underway() if self._parts is not None else []

    def vitals(self) -> Vitals:
        """Return what there is to see, cheaply."""
        parts = self._parts
        if parts is None:
            return Vitals(identity=self._identity)
        clock = self._services.clock
        now, received = clock.monotonic(), [i.received_at for i in parts.lanes.heads() if isinstance(i, OpenItem)]
        return Vitals(
            last_poll_age_s=_since(now, parts.inbox.last_poll),
            poll_in_flight_s=_since(now, parts.inbox.asked),
            inbox_open=parts.lanes.open - parts.sender.answers,
            inbox_age_s=_since(clock.now(), min(received, default=None)),
            outbox_open=parts.sender.open,
            in_turn=len(parts.typist),
            oldest_turn_age_s=_since(now, parts.typist.oldest_began()),
            turns=parts.recorder.turns,
            errors=parts.recorder.errors,
            ambiguous_sends=parts.sender.ambiguous,
            identity=self._identity,
        )


def _update_id(item: OpenItem | Leftover) -> int:
    return -1 if isinstance(item, Leftover) else item.update_id


def _since(now: float, then: float | None) -> float | None:
    return None if then is None else max(0.0, now - then)
