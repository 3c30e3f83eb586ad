"""Commands and codes, cut off at every step a worker takes: done once, told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from tests.workers.test_promises_messages import run_cut_off
from workers.reception.pairing import digest_of, new_code

pytestmark = pytest.mark.anyio


async def undone(house: House, after: int) -> bool:
    """Two questions, one taken back."""
    async with house.running():
        for text in ("one", "two"):
            house.channel.say(text)
        await eventually(house.settled)
    house.channel.say("/undo")
    whole = await run_cut_off(house, after)
    async with house.running():
        await eventually(house.settled)
    stored = [content for (content,) in house.rows("SELECT content FROM messages ORDER BY seq")]
    assert stored == ["one", "re one"]
    assert house.answers[:2] == ["re one", "re two"]
    assert len(house.answers) == 3
    assert house.outcomes() == {"answered": 3}
    return whole


async def paired(house: House, after: int) -> bool:
    """A code sent, and a question behind it."""
    house.spec(access={"mode": "pairing"})
    code = new_code()
    await house.partition.access.new_code(digest_of("support", code), house.services.now_ms() + 60_000, "test", 1)
    house.channel.say(code)
    house.channel.say("hello")
    whole = await run_cut_off(house, after)
    async with house.running():
        await eventually(house.settled)
    assert house.answers == ["Welcome! Write to me, and I answer.", "re hello"]
    assert house.model.asked == ["hello"]
    assert house.rows("SELECT count(*) FROM pairing_codes") == [(0,)]
    assert house.outcomes() == {"answered": 2}
    return whole


async def moved(house: House, after: int) -> bool:
    """A group moves with what was said in it, told by both chats."""
    async with house.running():
        house.channel.say("@loop my name is Ann", -5, user_id=8, chat_type="private")
        await eventually(house.settled)
    chats = ({"id": -5, "type": "group", "title": "Shop"}, {"id": -1005, "type": "supergroup", "title": "Shop"})
    for chat, told in zip(chats, ({"migrate_to_chat_id": -1005}, {"migrate_from_chat_id": -5}), strict=True):
        house.channel.push({"message": {"message_id": 9, "date": int(house.clock.now()), "chat": chat, **told}})
    whole = await run_cut_off(house, after)
    async with house.running():
        await eventually(house.settled)
    assert house.rows("SELECT conversation_id, count(*) FROM messages GROUP BY 1") == [("-1005", 2)]
    assert house.rows("SELECT chat_id, moved_to FROM chats ORDER BY chat_id") == [(-1005, None), (-5, -1005)]
    return whole


@pytest.mark.parametrize("story", [undone, paired, moved])
async def test_cut_off_at_every_step(tmp_path: Path, story: object) -> None:
    """Wherever the worker is cancelled, the next one ends what was begun as if nothing had happened."""
    after = 0
    while True:
        after += 1
        place = tmp_path / str(after)
        place.mkdir()
        async with bot_house(place) as house:
            if await story(house, after):  # type: ignore[operator]
                break
    assert after > 10
