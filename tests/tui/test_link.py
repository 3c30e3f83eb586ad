"""The link to a fleet: kept, lost, found again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from console.errors import NoFleet
from console.tui.link import AGAIN_MAX_S, SILENT_S, Link, LinkState
from console.tui.model import FleetModel
from tests.tui.frames import NOW, frame, row
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


class Line:
    """A fleet at the other end: says what is put into it, breaks when told to."""

    def __init__(self) -> None:
        self.answers = True
        self.calls = 0
        self._send, self._receive = anyio.create_memory_object_stream[Any](100)

    def say(self, *frames: Any) -> None:
        for each in frames:
            self._send.send_nowait(each)

    async def info(self) -> Any:
        self.calls += 1
        if not self.answers:
            raise NoFleet("the fleet ours does not run")
        return {"start_id": "s", "capabilities": ["stop"]}

    async def feed(self) -> AsyncIterator[Any]:
        while True:
            said = await self._receive.receive()
            if isinstance(said, Exception):
                raise said
            yield said


@pytest.fixture
async def line(clock: ManualClock) -> AsyncIterator[tuple[Line, Link, FleetModel]]:
    fleet, model = Line(), FleetModel()
    link = Link(fleet, model, clock)  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(link.run)
        yield fleet, link, model
        group.cancel_scope.cancel()
    fleet._send.close()
    fleet._receive.close()


async def test_frames_reach_the_model(line: tuple[Line, Link, FleetModel], clock: ManualClock) -> None:
    """Loading, then live; the fleet's time goes on between frames."""
    fleet, link, model = line
    assert link.state is LinkState.LOADING
    fleet.say(frame(row("a")), frame(row("b"), rev=1, full=False))
    await eventually(lambda: len(model.rows) == 2)
    assert link.live
    assert (link.can("stop"), link.can("say")) == (True, False)
    await clock.advance(3)
    assert (link.age_s, link.now()) == (3, NOW + 3)


async def test_a_lost_link_is_tried_again_and_begins_with_a_full_picture(
    line: tuple[Line, Link, FleetModel], clock: ManualClock
) -> None:
    """The last picture stays with its age, time in it stands still; a fleet that is back is taken as it is now."""
    fleet, link, model = line
    backs: list[None] = []
    link.linked = lambda: backs.append(None)
    fleet.say(frame(row("a")))
    await eventually(lambda: link.live)
    fleet.answers = False
    fleet.say(NoFleet("the fleet ours does not run"))
    await eventually(lambda: link.state is LinkState.LOST)
    await clock.advance(60)
    assert (list(model.rows), link.reason, link.now()) == (["a"], "the fleet ours does not run", NOW)
    assert link.age_s == 60
    tries = fleet.calls
    await clock.advance(60)
    assert 60 / AGAIN_MAX_S - 1 <= fleet.calls - tries <= 60 / (AGAIN_MAX_S / 2) + 1
    fleet.answers = True
    fleet.say(frame(row("b"), start_id="another"))
    await clock.advance(AGAIN_MAX_S)
    await eventually(lambda: link.live)
    assert (list(model.rows), link.age_s < AGAIN_MAX_S, len(backs)) == (["b"], True, 2)


async def test_silence_is_a_lost_link(line: tuple[Line, Link, FleetModel], clock: ManualClock) -> None:
    """A feed that hangs is noticed, as it says something every five seconds when it does not."""
    fleet, link, _ = line
    fleet.say(frame(row("a")))
    await eventually(lambda: link.live)
    await clock.advance(SILENT_S + 0.1)
    await eventually(lambda: link.state is LinkState.LOST)
    assert "nothing" in link.reason


async def test_a_frame_that_does_not_fit_asks_for_a_full_one(
    line: tuple[Line, Link, FleetModel], clock: ManualClock
) -> None:
    """After a delta of another process the whole picture is taken anew."""
    fleet, link, model = line
    fleet.say(frame(row("a")), frame(row("x"), rev=1, full=False, start_id="other"))
    await eventually(lambda: link.state is LinkState.LOST)
    fleet.say(frame(row("y"), start_id="other"))
    await clock.advance(AGAIN_MAX_S)
    await eventually(lambda: link.live)
    assert list(model.rows) == ["y"]
