"""Events reach the database in batches, in order, and once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from store import events
from store.events import KINDS, MessageReceived, OperatorActed, StoreFaulted
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers import journal
from workers.journal import EventJournal, row_of

pytestmark = pytest.mark.anyio

KIND_AND_DATA = "SELECT kind, data FROM events ORDER BY event_id"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path) as house:
        yield house


def received(number: int, bot_id: str = "a") -> MessageReceived:
    return MessageReceived(bot_id=bot_id, at=1.5, update_id=number, chat_id=number)


def numbers(house: House) -> list[int]:
    return [json.loads(data)["update_id"] for _, data in house.rows(KIND_AND_DATA)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_every_kind_of_event_has_a_row(kind: type[events.Event]) -> None:
    """Whatever its fields, the row holds the event's own data as JSON."""
    samples = {"int": 7, "float": 0.5, "str": "x", "tuple[str, ...]": ("x", "y"), "int | None": None}
    fields = {f: samples[str(t)] for f, t in kind.__annotations__.items()}
    event = kind(bot_id="a", at=2.0, **fields)
    bot_id, at_ms, name, data, actor = row_of(event)
    assert (bot_id, at_ms, name) == ("a", 2000, kind.__name__)
    assert json.loads(data) == json.loads(json.dumps(event.data()))
    assert actor == fields.get("actor", "")


async def test_events_are_written_in_order(house: House) -> None:
    """The first at once, those that come meanwhile together, a quarter of a second later."""
    keeper = EventJournal(house.services.bus, house.store, house.clock)
    async with anyio.create_task_group() as group:
        group.start_soon(keeper.run)
        house.services.bus.publish(received(0))
        await eventually(lambda: numbers(house) == [0] and house.clock.waiting == 1)
        for number in range(1, 1200):
            house.services.bus.publish(received(number))
        await house.advance(0.2)
        assert numbers(house) == [0]
        await house.advance(0.1)
        await eventually(lambda: numbers(house) == list(range(1200)))
        group.cancel_scope.cancel()
    await keeper.close()


async def test_closing_writes_what_is_left_and_listens_no_more(house: House) -> None:
    """At the end of a process nothing is left behind."""
    keeper = EventJournal(house.services.bus, house.store, house.clock)
    house.services.bus.publish(received(1))
    await keeper.close()
    house.services.bus.publish(received(2))
    assert numbers(house) == [1]


async def test_a_database_that_refuses_is_waited_for(house: House) -> None:
    """Events told while it is away are written when it is back, each once."""
    keeper = EventJournal(house.services.bus, house.store, house.clock)
    async with anyio.create_task_group() as group:
        group.start_soon(keeper.run)
        await house.break_store()
        house.services.bus.publish(received(1))
        await eventually(lambda: house.store.fault is not None)
        house.services.bus.publish(StoreFaulted(bot_id="_fleet", at=1.5, error="full"))
        await house.advance(5)
        await house.mend_store()
        await house.advance(5)
        await eventually(lambda: [kind for kind, _ in house.rows(KIND_AND_DATA)] == ["MessageReceived", "StoreFaulted"])
        group.cancel_scope.cancel()
    await keeper.close()
    assert keeper.missed == 0


async def test_what_waits_is_bounded_and_losses_are_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that stays away costs the oldest events, not the memory."""
    monkeypatch.setattr(journal, "CAPACITY", 100)
    keeper = EventJournal(house.services.bus, house.store, house.clock)
    for number in range(150):
        house.services.bus.publish(received(number))
    assert keeper.missed == 50
    await keeper.close()
    assert numbers(house) == list(range(50, 150))


async def test_cancelled_while_writing_it_writes_nothing_twice(house: House) -> None:
    """However early the task is cancelled, each event is there once after `close`."""
    for rounds in range(12):
        keeper = EventJournal(house.services.bus, house.store, house.clock)
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            house.services.bus.publish(received(rounds))
            for _ in range(rounds):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await keeper.close()
    assert numbers(house) == list(range(12))


def test_long_texts_are_cut_and_odd_ones_are_storable() -> None:
    """A page of somebody's error text is no fact; a lone surrogate breaks no batch."""
    row = row_of(OperatorActed(bot_id="a", at=1.0, action="x" * 100_000, actor="\ud800"))
    assert len(row[3]) < 3000
    (row[3] + row[4]).encode()


async def test_a_batch_is_written_once_whoever_gives_up(house: House) -> None:
    """A task that asks for it and is cancelled in the middle, as a client that leaves, has nothing written twice."""
    import asyncio

    keeper = EventJournal(house.services.bus, house.store, house.clock)
    for number in range(600):
        house.services.bus.publish(received(number))
    for rounds in range(8):
        asking = asyncio.ensure_future(keeper.flush())
        for _ in range(rounds):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await keeper.flush()
    assert numbers(house) == list(range(600))
    await keeper.close()
