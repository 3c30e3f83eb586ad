"""Whatever a server answers: the bot lives, sets poison aside once, and answers what is good."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from console.sandbox.server import Sandbox
from tests.fleet_process import fleet_process, query, write_bot
from tests.hostile.texts import is_quiet
from tests.hostile.updates import KINDS, ODD, spoiled
from tests.waiting import eventually
from workers.channels.base import Lane
from workers.channels.incoming import lane_of, read, valid_updates
from workers.errors import ProviderError, UpdatePoisoned
from workers.llm.completions import Gathering, read_whole
from workers.llm.refusals import Refusals
from workers.llm.sse import EventReader

pytestmark = pytest.mark.anyio
SEED = 7
NO_IDS = tuple(value for value in ODD if type(value) is not int)


def test_thousands_of_spoiled_updates_are_read_ignored_or_poison() -> None:
    """Nothing else is ever raised, and what is read can be stored and encoded."""
    chance = random.Random(SEED)
    became = {"read": 0, "ignored": 0, "poison": 0, "dropped": 0}
    for _ in range(4000):
        raw = spoiled(chance, {"update_id": chance.randrange(10**9), **chance.choice(KINDS)})
        batch = json.loads(json.dumps([raw]))
        for update in valid_updates(batch):
            assert isinstance(lane_of(update), Lane)
            with suppress(UpdatePoisoned):
                became["poison"] += 1
                incoming = read(update)
                became["poison"] -= 1
                became["ignored" if incoming is None else "read"] += 1
                if incoming is not None:
                    f"{incoming.text}{incoming.user_name}{incoming.language}".encode()
        became["dropped"] += not valid_updates(batch)
    assert min(became.values()) > 50, became


async def test_a_fleet_outlives_spoiled_updates_and_answers_the_good_ones(tmp_path: Path) -> None:
    """120 of every kind and form, in one go; nothing on stderr steers a terminal, and no update is tried for ever."""
    chance = random.Random(SEED)
    async with Sandbox() as sandbox, fleet_process(tmp_path) as fleet:
        bot = sandbox.add_bot(name="Shop")
        write_bot(tmp_path, "shop", bot.token, sandbox.base_url)
        await fleet.started()
        for number in range(120):
            update = spoiled(chance, chance.choice(KINDS))
            bot.push({**update, "update_id": chance.choice(NO_IDS)} if number % 10 == 0 else _without_id(update))
            if number % 40 == 0:
                bot.say(9000 + number, f"good {number}")
        bot.say(9999, "the last")
        await eventually(lambda: bot.sent_to(9999), within_s=60)
        for chat in (9000, 9040, 9080):
            # A lane of its own each: they may be answered after the last one.
            await eventually(lambda chat=chat: bot.sent_to(chat), within_s=60)
            assert [message.text for message in bot.sent_to(chat)] == [f"good {chat - 9000}"]
        await eventually(lambda: _open(tmp_path) == 0, within_s=60)
        assert await fleet.end() == 0
    poisoned = query(tmp_path, "SELECT count(*), count(DISTINCT data) FROM events WHERE kind = 'MessagePoisoned'")
    assert poisoned[0][0] == poisoned[0][1] > 10, "each is set aside once"
    assert query(tmp_path, "SELECT restarts FROM bots WHERE bot_id = 'shop'") == [(0,)]
    assert all(is_quiet(line) for line in fleet.lines)


def _without_id(update: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in update.items() if name != "update_id"}


def _open(root: Path) -> int:
    return int(query(root, "SELECT count(*) FROM updates WHERE outcome IS NULL")[0][0])


ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}  # fmt: skip
PIECE = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}],
    "usage": None,
}


def test_thousands_of_spoiled_model_answers_are_read_or_an_outage() -> None:
    """Whole ones and streams, spoiled as JSON and as bytes; a text that is read can be stored."""
    chance, refusals, read_well = random.Random(SEED), Refusals("key", ""), 0
    for _ in range(2000):
        raw = json.dumps(spoiled(chance, ANSWER)).encode()
        events = b"".join(b"data: " + json.dumps(spoiled(chance, PIECE)).encode() + b"\n\n" for _ in range(3))
        if chance.random() < 0.3:
            at = chance.randrange(len(raw))
            raw, events = raw[:at] + chance.randbytes(3) + raw[at:], events[: chance.randrange(len(events))]
        for made in (partial(read_whole, raw, "m", refusals), partial(_streamed, events, refusals)):
            with suppress(ProviderError):
                made().text.encode()
                read_well += 1
    assert 300 < read_well < 4000


def _streamed(events: bytes, refusals: Refusals) -> Any:
    gathering, reader = Gathering("m", refusals), EventReader()
    for data in (*reader.feed(events), *reader.feed(b"data: [DONE]\n\n"), *reader.end()):
        gathering.add(data)
    return gathering.completion()
