"""The promises of supervision, with real workers, a real store and people who write, tried to be broken.

4 isolation · 5 a bad edit never stops a good bot · 6 bounded everything · 8 the loop stays free
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from config.schema import BotConfig
from config.vocabulary import Condition, Phase
from store.events import LoopStalled
from tests.waiting import eventually
from tests.workers.pool_rig import Fleet, fleet
from workers.channels.base import Identity, Incoming
from workers.channels.loopback import LoopbackChannel
from workers.chat.engine import Answer, Engine
from workers.clock import ManualClock
from workers.errors import ChannelUnreachable, TokenRejected
from workers.llm.asking import Asker
from workers.llm.base import Completion, CompletionRequest, Usage
from workers.worker import Worker

pytestmark = pytest.mark.anyio


class Model:
    """A model of all bots that repeats what it is told, and does to `doings` what they say."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.doings: dict[str, Callable[[], Any]] = {}

    def get(self, config: object) -> Model:
        return self

    async def complete(self, request: CompletionRequest) -> Completion:
        text = request.messages[-1].content
        self.asked.append(text)
        await anyio.lowlevel.checkpoint()
        for word, do in self.doings.items():
            if text.startswith(word):
                done = do()
                if done is not None:
                    await done
        return Completion(f"re {text}", Usage(1, 1), "double")


class People:
    """The other side of every bot's channel; it outlives workers and processes."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.model = Model()
        self.channels: dict[str, LoopbackChannel] = {}

    def channel(self, bot_id: str) -> LoopbackChannel:
        if bot_id not in self.channels:
            identity = Identity(1000 + len(self.channels), f"{bot_id}_bot")
            self.channels[bot_id] = LoopbackChannel(clock=self.clock, identity=identity)
        return self.channels[bot_id]

    def open(self, bot_id: str, config: BotConfig, *_: object) -> LoopbackChannel:
        channel = self.channel(bot_id)
        channel.apply(config)
        return channel


@asynccontextmanager
async def town(path: Path, clock: ManualClock, people: People | None = None) -> AsyncIterator[tuple[Fleet, People]]:
    """A fleet of real workers and its people."""
    people = people or People(clock)
    engine = Engine(Asker(cast("Any", people.model), clock), clock)
    async with fleet(path, clock, worker=Worker, engine=engine, open_channel=cast("Any", people.open)) as rig:
        yield rig, people


async def running(rig: Fleet, *bot_ids: str) -> None:
    rig.add(*bot_ids)
    await rig.apply()
    await eventually(lambda: all(rig.phase(bot_id) is Phase.RUNNING for bot_id in bot_ids))


async def answered(rig: Fleet, channel: LoopbackChannel, chat_id: int, texts: list[str]) -> None:
    """Wait until a chat has got exactly these answers, letting time pass."""

    async def there() -> bool:
        await rig.clock.advance(0.5)
        return len(channel.sent_to(chat_id)) >= len(texts)

    await eventually(there)
    assert channel.sent_to(chat_id) == texts


# --- 4: isolation ------------------------------------------------------------------------------------------------


async def test_whatever_befalls_the_others_a_good_bot_answers(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 4: crash, hang, flood, bad token, no network and bad file of others leave a bot and its rows untouched."""
    async with town(tmp_path, clock) as (rig, people):
        people.channel("token").fail("identify", TokenRejected("401"), times=None)
        people.channel("network").fail("identify", ChannelUnreachable("no route"), times=None)
        await running(rig, "good", "crash", "hang", "flood")
        rig.spoil("file", "unknown key")
        rig.add("token", "network")
        await rig.apply()
        worker = rig.pool._keepers["good"].worker

        def crash() -> None:
            raise RuntimeError("a mistake in somebody's tool")

        people.model.doings["crash"] = crash
        people.model.doings["hang"] = anyio.sleep_forever
        texts: list[str] = []
        with people.channel("hang").hold("poll"):
            for number in range(30):
                people.channel("crash").say(f"crash {number}", chat_id=number)
                people.channel("hang").say(f"hang {number}", chat_id=number)
                for _ in range(30):
                    people.channel("flood").say(f"flood {number}")
                people.channel("good").say(f"good {number}", chat_id=7)
                texts.append(f"re good {number}")
                await answered(rig, people.channel("good"), 7, texts)
                await clock.advance(20)
        assert rig.pool._keepers["good"].worker is worker, "the good bot was restarted"
        phases = {bot.bot_id: bot.phase for bot in rig.pool.bots()}
        assert phases["good"] is Phase.RUNNING
        assert phases["flood"] is Phase.RUNNING
        assert phases["file"] is Phase.INVALID
        assert phases["token"] is Phase.INVALID
        assert phases["network"] is Phase.STARTING
        assert rig.bot("crash").restarts > 0
        assert rig.bot("good").errors == 0
        assert rig.kinds("hang").count("HealthCheckFailed") > 0
        messages = await rig.store.partition("good").messages.tail("", "7", 100)
        assert [m.content for m in messages] == [t for n in range(30) for t in (f"good {n}", f"re good {n}")]


async def test_a_failure_of_one_bot_reaches_neither_group_nor_neighbour(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 4: the pool's task group survives any exception of a worker, and the neighbour never stops polling."""

    class Odd(BaseException):
        """Not even an Exception."""

    async with town(tmp_path, clock) as (rig, people):
        await running(rig, "good", "odd")

        def raise_odd() -> None:
            raise Odd

        people.model.doings["odd"] = raise_odd
        people.channel("odd").say("odd")
        await eventually(lambda: rig.phase("odd") is not Phase.RUNNING)
        people.channel("good").say("hello", chat_id=3)
        await answered(rig, people.channel("good"), 3, ["re hello"])


# --- 5: edits ----------------------------------------------------------------------------------------------------


async def test_edits_in_the_middle_of_conversations_lose_and_cut_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 5: bad edits, edits in place and edits that restart, while people write: each message is answered once,
    in order, and paid for once.
    """
    async with town(tmp_path, clock) as (rig, people):
        await running(rig, "a")
        channel = people.channel("a")
        gate = anyio.Event()
        people.model.doings["slow"] = lambda: gate.wait()
        edits: list[dict[str, Any] | str] = [
            {"prompts": {"system": "One."}},
            "unknown key",
            {"telegram": {"drop_pending_updates": True}},
            {"limits": {"max_lanes": 4}},
            {"telegram": {"drop_pending_updates": False}},
            "no such type",
            {"telegram": {"max_update_age_s": 4000}},
        ]
        texts: list[str] = []
        for number, edit in enumerate(edits):
            gate = anyio.Event()
            channel.say(f"slow {number}", chat_id=1)
            channel.say(f"next {number}", chat_id=1)
            texts += [f"re slow {number}", f"re next {number}"]
            await eventually(lambda n=number: f"slow {n}" in people.model.asked)
            if isinstance(edit, str):
                rig.spoil("a", edit)
            else:
                rig.edit("a", **edit)
            await rig.apply()
            assert rig.phase("a") in {Phase.RUNNING, Phase.DRAINING}
            channel.say(f"late {number}", chat_id=1)
            texts.append(f"re late {number}")
            gate.set()
            await answered(rig, channel, 1, texts)
        assert sorted(people.model.asked) == sorted(text.removeprefix("re ") for text in texts)
        assert rig.bot("a").restarts == 2
        assert rig.bot("a").errors == 0


async def test_a_bad_edit_of_every_file_stops_nobody(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 5: a broken git checkout of all files: all bots run on as they were, all say why they are not current."""
    bot_ids = [f"b{number}" for number in range(20)]
    async with town(tmp_path, clock) as (rig, people):
        await running(rig, *bot_ids)
        for bot_id in bot_ids:
            rig.spoil(bot_id, "<<<<<<< HEAD")
        await rig.apply()
        for bot_id in bot_ids:
            people.channel(bot_id).say("still there?", chat_id=1)
        for bot_id in bot_ids:
            await answered(rig, people.channel(bot_id), 1, ["re still there?"])
            bot = rig.bot(bot_id)
            assert bot.conditions[Condition.CONFIG_CURRENT.value]["status"] is False
            assert (bot.phase, bot.restarts) == (Phase.RUNNING, 0)


async def test_a_deleted_file_cuts_no_reply(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 5: the turn in flight is answered before the bot leaves; what was queued waits in the inbox and is
    answered when the file is back.
    """
    async with town(tmp_path, clock) as (rig, people):
        await running(rig, "a")
        channel = people.channel("a")
        gate = anyio.Event()
        people.model.doings["slow"] = lambda: gate.wait()
        for text in ("slow one", "two"):
            channel.say(text, chat_id=1)
        await eventually(lambda: people.model.asked == ["slow one"])
        await eventually(lambda: rig.bot("a").inbox_open == 2)
        rig.delete("a")
        await rig.apply()
        gate.set()
        await eventually(lambda: not rig.pool.bots())
        assert channel.sent_to(1) == ["re slow one"]
        rig.add("a")
        await rig.apply()
        await answered(rig, channel, 1, ["re slow one", "re two"])


# --- 6: bounded --------------------------------------------------------------------------------------------------


async def test_a_crash_loop_is_bounded(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 6: a bot that crashes at each start is started a dozen times in six hours, not ten thousand times."""
    async with town(tmp_path, clock) as (rig, _):
        starts: list[float] = []

        class Broken(Worker):
            async def run(self, on_ready: Callable[[], None]) -> None:
                starts.append(clock.monotonic())
                raise RuntimeError("broken")

        rig.pool._house.make_worker = Broken
        rig.add("a")
        await rig.apply()
        for _ in range(6 * 60):
            await clock.advance(60)
        assert 14 <= len(starts) <= 18
        assert len(rig.bot("a").failures) <= 20
        assert rig.pool._house.leaked == []


async def test_what_supervision_holds_does_not_grow(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 6: a thousand edits, stops and starts later nothing has piled up."""
    async with town(tmp_path, clock) as (rig, _):
        await running(rig, "a")
        for number in range(150):
            rig.edit("a", prompts={"system": f"{number}"}, telegram={"drop_pending_updates": bool(number % 2)})
            await rig.apply()
            await rig.pool.stop("a", actor="ana")
            await rig.pool.start("a", actor="ana")
            await eventually(lambda: rig.phase("a") is Phase.RUNNING)
        await rig.written()
        pool = rig.pool
        sizes = (len(pool._keepers), len(pool._ended), pool._pacing.queued, pool._pacing.starting, pool._hold.waiting)
        assert sizes == (1, 1, 0, 0, 0)
        assert len(pool._hold._recent) == 0
        # Started anew, the keeper of one bot still has one task and one run.
        names = [task.name for task in anyio.get_running_tasks()]
        assert names.count("a/keeper") == 1
        assert names.count("a/worker") == 1


# --- 8: the loop -------------------------------------------------------------------------------------------------


async def test_a_bot_that_blocks_the_loop_is_named_and_alone(tmp_path: Path, clock: ManualClock) -> None:
    """Promise 8: the stall is reported with the bot and the line; every other bot goes on without a restart."""

    class Blocking(Engine):
        async def answer(
            self, spec: Any, partition: Any, incoming: Incoming, report: Any, *more: Any, **named: Any
        ) -> Answer:
            if incoming.text == "block":
                until = time.monotonic() + 0.7
                while time.monotonic() < until:
                    pass
            return await super().answer(spec, partition, incoming, report, *more, **named)

    async with town(tmp_path, clock) as (rig, people):
        await running(rig, "good", "rude")
        engine = Blocking(Asker(cast("Any", people.model), clock), clock)
        object.__setattr__(rig.services, "engine", engine)
        people.channel("rude").say("block", chat_id=1)
        people.channel("good").say("hello", chat_id=1)
        await answered(rig, people.channel("rude"), 1, ["re block"])
        await answered(rig, people.channel("good"), 1, ["re hello"])
        stalled = await eventually(lambda: next((e for e in rig.heard if isinstance(e, LoopStalled)), None))
        assert stalled.bot_id == "rude"
        assert stalled.task.startswith("rude/")
        assert "tests/workers/test_promises_supervision.py:" in stalled.line
        assert stalled.duration_s > 0.3
        assert rig.pool.loop_watch.lag().max_s > 0.3
        await clock.advance(30)
        assert [(bot.phase, bot.restarts) for bot in rig.pool.bots()] == [(Phase.RUNNING, 0)] * 2
