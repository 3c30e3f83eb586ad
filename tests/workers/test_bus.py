"""The bus never waits for a listener, tells a slow one how much it missed, and nobody a secret."""

from __future__ import annotations

import anyio
import pytest

from store.events import BotFailed, BotStopped, ConfigRejected, Event, OperatorActed, ReplySent
from workers.bus import Bus
from workers.redaction import Redactor

pytestmark = pytest.mark.anyio


def event(number: int) -> Event:
    return BotStopped(bot_id="support", at=float(number), reason=str(number))


async def test_every_listener_gets_every_event_in_order() -> None:
    """Two listeners see the same, one that comes later sees what comes later."""
    bus = Bus()
    with bus.subscribe() as early:
        bus.publish(event(1))
        with bus.subscribe() as late:
            bus.publish(event(2))
            assert [e.at for e in early.take()] == [1.0, 2.0]
            assert [e.at for e in late.take()] == [2.0]
        bus.publish(event(3))
        assert late.take() == []


async def test_a_slow_listener_loses_the_oldest_and_knows_how_many() -> None:
    """A full window drops from its old end; publishing never waits."""
    bus = Bus()
    with bus.subscribe(capacity=3) as slow:
        for number in range(10):
            bus.publish(event(number))
        assert slow.missed == 7
        assert [e.at for e in slow.take()] == [7.0, 8.0, 9.0]


async def test_taking_some() -> None:
    """A limit leaves the rest, in order."""
    bus = Bus()
    with bus.subscribe() as listener:
        for number in range(5):
            bus.publish(event(number))
        assert [e.at for e in listener.take(2)] == [0.0, 1.0]
        assert len(listener) == 3
        assert [e.at for e in listener.take(9)] == [2.0, 3.0, 4.0]


async def test_waiting_for_events() -> None:
    """A waiting listener is woken by the first event; cancelled while waiting it loses none."""
    bus = Bus()
    with bus.subscribe() as listener:
        got: list[float] = []

        async def listen() -> None:
            got.extend(e.at for e in await listener.batch())

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            bus.publish(event(1))
            bus.publish(event(2))
        assert got == [1.0, 2.0]
        with anyio.CancelScope() as scope:
            scope.cancel()
            await listener.batch()
        bus.publish(event(3))
        assert [e.at for e in await listener.batch()] == [3.0]


async def test_iterating_and_leaving_early() -> None:
    """`async for` gives events one by one; what was not reached stays."""
    bus = Bus()
    with bus.subscribe() as listener:
        for number in range(3):
            bus.publish(event(number))
        async for found in listener:
            assert found.at == 0.0
            break
        assert [e.at for e in listener.take()] == [1.0, 2.0]


def test_secrets_are_taken_out_before_anybody_hears_of_them() -> None:
    """Tokens and known secrets, wherever in an event they stand; an event without any is passed on as it is."""
    token, key = "100001:" + "A" * 35, "very-secret-key"
    bus = Bus(Redactor([key]).clean)
    innocent = OperatorActed(bot_id="a", at=1.0, action="stop", actor="ana")
    numbers = ReplySent(bot_id="a", at=1.0, update_id=1, chat_id=2, parts=1, duration_s=0.5)
    with bus.subscribe() as heard:
        bus.publish(BotFailed(bot_id="a", at=1.0, error=f"at {token} {key}", fingerprint=key, retry_in_s=1.0))
        bus.publish(ConfigRejected(bot_id="a", at=1.0, problems=("one", f"not {key}", token)))
        bus.publish(innocent)
        bus.publish(numbers)
        failed, rejected, *same = heard.take()
    assert not any(secret in repr(each) for each in (failed, rejected) for secret in (token, key))
    assert "'one'" in repr(rejected)
    assert same[0] is innocent
    assert same[1] is numbers
