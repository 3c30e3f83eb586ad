"""One question of an operator, as whoever looks sees it grow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from config.errors import FleetError
from console.inquiry import FRAME_S, Inquiry
from store.errors import StoreFull
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

SAID: Any = {"text": "whole", "latency_s": 3.0}


class World:
    """A question whose answer is held in hand, and a reader who writes down every frame."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.inquiry = Inquiry("poet", "acme", "operator:s", clock)
        self.ended: list[Inquiry] = []
        self.frames: list[Any] = []
        self.inquiry.begin(self._answered, self.ended.append)

    async def _answered(self) -> Any:
        return await self.answer

    async def read(self, until: Callable[[Any], bool] = lambda _: False) -> None:
        async for frame in self.inquiry.follow():
            self.frames.append(frame)
            if until(frame):
                return


async def test_frames_are_ten_a_second_at_most(clock: ManualClock) -> None:
    """Pieces that come faster go together; nothing is told while nothing is new; the whole answer comes at once."""
    world = World(clock)
    reading = asyncio.ensure_future(world.read())
    for number in range(100):
        world.inquiry.piece(f"{number} ")
        await clock.advance(FRAME_S / 10)
    assert len(world.frames) == 10
    assert "".join(frame["more"] for frame in world.frames) == "".join(f"{n} " for n in range(100))
    await clock.advance(5.0)
    assert len(world.frames) == 10
    world.answer.set_result(SAID)
    await reading
    assert world.frames[-1]["said"] == SAID
    assert world.ended == [world.inquiry]


async def test_a_slow_reader_gets_what_is_new_in_one(clock: ManualClock) -> None:
    """Nothing is queued for whoever is slow: the next frame holds all since, and the final is never left out."""
    world = World(clock)
    frames = world.inquiry.follow()
    world.inquiry.piece("a")
    first = asyncio.ensure_future(anext(frames))
    await clock.advance(FRAME_S)
    assert (await first)["more"] == "a"
    for _ in range(50):
        world.inquiry.piece("b")
        await clock.advance(FRAME_S)
    second = asyncio.ensure_future(anext(frames))
    await clock.advance(FRAME_S)
    found = await second
    assert (found["keep"], found["more"]) == (1, "b" * 50)
    world.inquiry.piece("c")
    world.answer.set_result(SAID)
    await eventually(world.inquiry.done.is_set)
    assert [frame["said"] async for frame in frames] == [SAID]


async def test_a_model_that_begins_anew_takes_back_what_it_said(clock: ManualClock) -> None:
    """Of what was shown nothing is kept, also when the second attempt is as long as the first."""
    world = World(clock)
    reading = asyncio.ensure_future(world.read())
    world.inquiry.piece("wrong")
    await clock.advance(FRAME_S)
    world.inquiry.restart()
    world.inquiry.piece("right")
    await clock.advance(FRAME_S)
    assert [(frame["keep"], frame["more"]) for frame in world.frames] == [(0, "wrong"), (0, "right")]
    world.answer.set_result(SAID)
    await reading


async def test_tools_are_told_when_they_begin_and_end(clock: ManualClock) -> None:
    """That a tool still runs is no news; that it has ended is, with its time and what went wrong."""
    world = World(clock)
    reading = asyncio.ensure_future(world.read())
    end = world.inquiry.calling("search")
    await clock.advance(FRAME_S * 20)
    end("no such page")
    await clock.advance(FRAME_S)
    told = [[(run["running"], run["error"]) for run in frame["tools"]] for frame in world.frames]
    assert told == [[(True, "")], [(False, "no such page")]]
    assert world.frames[-1]["tools"][0]["took_s"] == pytest.approx(FRAME_S * 20)
    world.answer.set_result(SAID)
    await reading


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [(StoreFull("the disk is full", "free some"), StoreFull, "the disk is full"), (KeyError("secret"), FleetError, "KeyError")],
)  # fmt: skip
async def test_what_goes_wrong_is_told_to_every_reader(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, error: Exception, kind: type[FleetError], words: str
) -> None:
    """An error of ours as it is; a stranger's by its kind alone, its text stands in the log."""
    world = World(clock)
    world.answer.set_exception(error)
    for _ in range(2):
        with pytest.raises(kind, match=words) as raised:
            await world.read()
        assert "secret" not in str(raised.value)
    assert ("secret" in caplog.text) == (kind is FleetError)


async def test_two_follow_one_question(clock: ManualClock) -> None:
    """Each from its beginning; one that leaves takes nothing from the other."""
    world = World(clock)
    world.inquiry.piece("one ")
    leaving = asyncio.ensure_future(world.read(until=lambda _: True))
    await clock.advance(FRAME_S)
    await leaving
    reading = asyncio.ensure_future(world.read())
    world.inquiry.piece("two")
    await clock.advance(FRAME_S)
    assert [frame["more"] for frame in world.frames] == ["one ", "one two"]
    world.answer.set_result(SAID)
    await reading
