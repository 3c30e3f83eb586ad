"""An answer seen while it is being made: frames may be lost, the answer never, and there is one of it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.waiting import eventually
from workers.channels.base import Frame, Lane
from workers.channels.loopback import LoopbackChannel
from workers.errors import RateLimited, SendRefused, SendUncertain
from workers.preview import EVERY_S, LONGEST_FRAME, Preview

pytestmark = pytest.mark.anyio

CHAT = Lane(5)


class Kept:
    """What was written down of the message."""

    def __init__(self) -> None:
        self.notes: list[int | str] = []

    async def leaving(self) -> None:
        self.notes.append("leaving")

    async def stayed(self) -> None:
        self.notes.append("stayed")

    async def arrived(self, message_id: int) -> None:
        self.notes.append(message_id)

    async def doubtful(self) -> None:
        self.notes.append("doubtful")


def preview(channel: LoopbackChannel, how: Any = "edit", kept: Kept | None = None, **more: Any) -> Preview:
    return Preview(channel, CHAT, 7, how, kept or Kept(), **{"private": True, **more})


async def frame(seen: Preview, now: float) -> bool:
    """Show a frame when one is due."""
    if not seen.due(now):
        return False
    seen.begin(now)
    await seen.show()
    return True


async def test_frames_are_one_message_edited_and_its_id_is_kept() -> None:
    """The first frame is a message, the next ones edit it; the id is written down once."""
    channel, kept = LoopbackChannel(), Kept()
    seen = preview(channel, kept=kept)
    seen.piece("Hel")
    assert await frame(seen, 1.0)
    seen.piece("lo")
    assert await frame(seen, 1.0 + EVERY_S)
    assert [(f.text, f.message_id, f.draft_id) for f in channel.frames] == [("Hel", 0, 0), ("Hello", 1, 0)]
    assert kept.notes == ["leaving", 1]
    assert await seen.close() == 1


async def test_frames_are_paced_and_nothing_new_is_no_frame() -> None:
    """Between two frames passes a second, and a frame shows something new."""
    seen = preview(LoopbackChannel())
    assert not seen.due(1.0)
    seen.piece("a")
    assert await frame(seen, 1.0)
    assert not seen.due(1.0 + EVERY_S)
    seen.piece("b")
    assert not seen.due(1.0 + EVERY_S / 2)
    assert seen.due(1.0 + EVERY_S)


async def test_more_than_a_frame_can_show_makes_no_frame() -> None:
    """It would be the same once more; another model's answer, begun anew, is shown again."""
    channel = LoopbackChannel()
    seen = preview(channel)
    seen.piece("a" * LONGEST_FRAME)
    assert await frame(seen, 1.0)
    seen.piece("b")
    assert not seen.due(9.0)
    seen.restart()
    seen.piece("c")
    assert await frame(seen, 9.0)
    assert [f.text for f in channel.frames] == ["a" * LONGEST_FRAME, "c"]


async def test_a_frame_of_an_answer_forgotten_meanwhile_holds_none_of_the_next_one_back() -> None:
    """Another model begins while the frame is on its way: as many pieces of its answer are new all the same."""
    channel = LoopbackChannel()
    seen = preview(channel)
    seen.piece("a" * LONGEST_FRAME)
    async with anyio.create_task_group() as group:
        with channel.hold("show"):
            seen.begin(1.0)
            group.start_soon(seen.show)
            await eventually(lambda: channel.held("show") == 1)
            seen.restart()
            seen.piece("b")
    assert await frame(seen, 9.0)
    assert channel.frames[-1].text == "b"


async def test_a_draft_leaves_no_message_behind() -> None:
    """Drafts have an id of their own and nothing is to be edited in the end."""
    channel = LoopbackChannel()
    seen = preview(channel, "draft")
    seen.piece("a")
    assert await frame(seen, 1.0)
    assert channel.frames[0].draft_id == 7
    assert await seen.close() == 0


async def test_where_there_are_no_drafts_auto_goes_on_by_edits_and_draft_gives_up() -> None:
    """A server without the method refuses once."""
    for how, shown in (("auto", 1), ("draft", 0)):
        channel = LoopbackChannel()
        channel.fail("show", SendRefused("no such method"))
        seen = preview(channel, how)
        seen.piece("a")
        assert await frame(seen, 1.0)
        assert await frame(seen, 1.0 + EVERY_S) is bool(shown)
        assert [f.draft_id for f in channel.frames] == [0] * shown


async def test_groups_have_no_drafts() -> None:
    """`auto` edits there, `draft` shows nothing."""
    channel = LoopbackChannel()
    drafts, auto = preview(channel, "draft", private=False), preview(channel, "auto", private=False)
    for seen in (drafts, auto):
        seen.piece("a")
    assert not drafts.due(1.0)
    assert await frame(auto, 1.0)
    assert channel.frames[0].draft_id == 0


async def test_a_message_of_an_earlier_run_is_gone_on_with() -> None:
    """After a crash the answer goes into the message that is there, also where drafts are the way now."""
    channel = LoopbackChannel()
    seen = preview(channel, "auto", message_id=31)
    assert await seen.close() == 31
    seen = preview(channel, "auto", message_id=31)
    seen.piece("a")
    assert await frame(seen, 1.0)
    assert channel.frames[0].message_id == 31


async def test_a_throttled_frame_is_dropped_and_the_next_shows_all() -> None:
    """Nothing queues up behind a server that asks for patience, and it is left in peace for as long as it asks."""
    channel, kept = LoopbackChannel(), Kept()
    channel.fail("show", RateLimited("slowly", retry_after_s=3.0))
    seen = preview(channel, kept=kept)
    seen.piece("a")
    assert await frame(seen, 1.0)
    seen.piece("b")
    assert not seen.due(3.9)
    assert await frame(seen, 4.0)
    assert [f.text for f in channel.frames] == ["ab"]
    assert kept.notes == ["leaving", "stayed", "leaving", 1]


async def test_drafts_and_frames_of_a_known_message_are_not_written_down() -> None:
    """Nothing of them can stay that nobody knows of."""
    channel, kept = LoopbackChannel(), Kept()
    for seen in (preview(channel, "draft", kept), preview(channel, "edit", kept, message_id=31)):
        seen.piece("a")
        assert await frame(seen, 1.0)
    assert kept.notes == []


async def test_a_first_frame_in_doubt_is_the_last() -> None:
    """A message whose id nobody knows cannot be edited: the answer comes as its own. That is written down."""
    channel, kept = LoopbackChannel(), Kept()
    channel.fail("show", SendUncertain("cut off"), done=True)
    seen = preview(channel, kept=kept)
    seen.piece("a")
    assert await frame(seen, 1.0)
    seen.piece("b")
    assert not seen.due(9.0)
    assert await seen.close() == 0
    assert kept.notes == ["leaving", "doubtful"]


async def test_a_message_without_a_number_is_the_only_one() -> None:
    """A server that took it and does not say which it is: no frame follows, which would be another message each time."""

    class Numberless(LoopbackChannel):
        async def show(self, frame: Frame) -> int | None:
            await super().show(frame)
            return None

    channel, kept = Numberless(), Kept()
    seen = preview(channel, kept=kept)
    for moment in (1.0, 9.0):
        seen.piece("a")
        await frame(seen, moment)
    assert (len(channel.frames), await seen.close()) == (1, 0)
    assert kept.notes == ["leaving", "doubtful"]


async def test_a_new_model_begins_anew() -> None:
    """What a model said that then failed is not shown with what the next one says."""
    channel = LoopbackChannel()
    seen = preview(channel)
    seen.piece("wrong")
    assert await frame(seen, 1.0)
    seen.restart()
    assert not seen.due(9.0)
    seen.piece("right")
    assert await frame(seen, 9.0)
    assert [f.text for f in channel.frames] == ["wrong", "right"]


async def test_the_answer_waits_for_a_frame_on_its_way() -> None:
    """No frame arrives after the answer."""
    channel = LoopbackChannel()
    seen, closed = preview(channel), anyio.Event()

    async def close() -> None:
        assert await seen.close() == 1
        closed.set()

    seen.piece("a")
    async with anyio.create_task_group() as group:
        with channel.hold("show"):
            assert seen.due(1.0)
            seen.begin(1.0)
            group.start_soon(seen.show)
            await eventually(lambda: channel.held("show") == 1)
            group.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            assert not closed.is_set()
        await closed.wait()
