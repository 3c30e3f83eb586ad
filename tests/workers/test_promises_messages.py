"""What the message path promises, each time with somebody trying to break it, through the Telegram code path."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.schema import BotConfig
from config.snapshot import BotSpec
from config.vocabulary import Condition, Secret
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from store.database import Store
from tests.waiting import eventually
from tests.workers.bot_rig import BOT, House, Model, bot_house
from workers.bus import Bus
from workers.chat.engine import Engine
from workers.clock import ManualClock
from workers.conditions import Conditions
from workers.errors import BotInvalid
from workers.http import Http
from workers.llm.asking import Asker
from workers.metrics import Metrics
from workers.services import Services
from workers.worker import Worker

pytestmark = pytest.mark.anyio


class Town:
    """A sandbox with bots, and the fleet's side of it, which survives its workers."""

    def __init__(self, sandbox: Sandbox, clock: ManualClock, store: Store, http: Http) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self.store = store
        self.models: dict[str, Model] = {}
        self.conditions: dict[str, Conditions] = {}
        self.services = Services(
            clock=clock,
            store=store,
            bus=Bus(),
            http=http,
            metrics=Metrics(clock),
            engine=Engine(Asker(self, clock), clock),  # type: ignore[arg-type]
        )

    def get(self, llm: Any) -> Model:
        """Give each bot a model of its own, by the name of its model."""
        return self.models.setdefault(llm.model, Model())

    def spec(self, bot: SandboxBot, **sections: Any) -> BotSpec:
        bot_id = f"bot{bot.id}"
        telegram = {"token": Secret(bot.token), "base_url": self.sandbox.base_url} | sections.pop("telegram", {})
        config = BotConfig.model_validate({"telegram": telegram, "llm": {"model": bot_id}, **sections})
        return BotSpec(bot_id, config, Path(f"bots/{bot_id}.toml"), "digest")

    def worker(self, spec: BotSpec, **options: Any) -> Worker:
        conditions = self.conditions.setdefault(spec.bot_id, Conditions(self.clock))
        return Worker(spec, self.services, conditions, **options)

    @asynccontextmanager
    async def running(self, *specs: BotSpec) -> AsyncIterator[list[Worker]]:
        workers = [self.worker(spec) for spec in specs]
        ready = 0

        def note() -> None:
            nonlocal ready
            ready += 1

        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(worker.run, note)
            await eventually(lambda: ready == len(workers))
            yield workers
            group.cancel_scope.cancel()

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.store.path)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def settled(self) -> bool:
        idle = self.store.pending == 0
        updates = {outcome for (outcome,) in self.rows("SELECT DISTINCT outcome FROM updates")}
        sends = {state for (state,) in self.rows("SELECT DISTINCT state FROM outbox")}
        return idle and bool(updates) and None not in updates and not {"pending", "attempting"} & sends


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    clock, http = ManualClock(), Http()
    async with Sandbox(clock=clock) as sandbox, await Store.open(tmp_path / "town.db", now_ms=1) as store:
        yield Town(sandbox, clock, store, http)
        await http.close()


def texts(bot: SandboxBot, chat_id: int | None = None) -> list[str]:
    return [s.text for s in bot.sent if s.method == "sendMessage" and chat_id in (None, s.chat_id)]


# --- 1: nothing acknowledged is lost -------------------------------------------------------------------------------


async def test_1_no_update_is_forgotten_by_the_server_before_it_is_committed(town: Town) -> None:
    """Whatever the server was told to forget is in the database at that very moment, batch after batch."""
    bot = town.sandbox.add_bot()
    spec, forgotten = town.spec(bot), []
    seen_at_server: dict[int, int] = {}
    async with town.running(spec):
        for round_ in range(12):
            for chat in range(1, 6):
                update_id = bot.say(chat, f"m{round_}")
                seen_at_server[update_id] = chat
            waiting = {u.update_id for u in bot.updates.waiting}
            gone = seen_at_server.keys() - waiting
            stored = {n for (n,) in town.rows("SELECT update_id FROM updates")}
            forgotten.append(len(gone))
            assert gone <= stored
            await eventually(lambda n=round_: len(texts(bot)) >= (n + 1) * 5)
        await eventually(town.settled)
    assert forgotten[-1] > 0
    assert Counter(texts(bot)) == Counter(f"re m{n}" for n in range(12) for _ in range(5))


async def test_1_a_poll_cut_off_after_the_server_answered(town: Town) -> None:
    """The answer to a poll dies on the wire: the server still has the updates, they come again and are answered."""
    bot = town.sandbox.add_bot()
    bot.faults.fail("getUpdates", "lost_reply", times=1)
    bot.say(5, "hello")
    async with town.running(town.spec(bot)):
        await eventually(lambda: town.conditions[f"bot{bot.id}"].get(Condition.POLLING) is False)
        await town.clock.advance(1)
        await eventually(lambda: texts(bot) == ["re hello"])
        await eventually(town.settled)


# --- 2: nothing is paid for or answered twice ----------------------------------------------------------------------


class _Steps:
    """Awaits a coroutine and counts how often it lets go of the loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], count: Any) -> None:
        self._coroutine = coroutine
        self._count = count

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._coroutine.__await__()
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waited_for = inner.send(value) if error is None else inner.throw(error)
            except StopIteration as end:
                return end.value
            self._count()
            value, error = None, None
            try:
                value = yield waited_for
            except BaseException as raised:
                error = raised


class Cutter:
    """Cuts a worker off when its tasks have let go of the loop n times."""

    def __init__(self, after: int, cut: Callable[[], object]) -> None:
        self.after = after
        self.steps = 0
        self._cut = cut

    def count(self) -> None:
        self.steps += 1
        if self.steps == self.after:
            self._cut()

    def make_task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(self._counted(coroutine), loop=loop, **options)

    async def _counted(self, coroutine: Any) -> Any:
        return await _Steps(coroutine, self.count)


async def run_cut_off(house: House, after: int) -> bool:
    """Run a worker as the keeper does, cancelled after so many steps. True when it got through before."""
    loop = asyncio.get_running_loop()
    task: asyncio.Task[None]
    cutter = Cutter(after, lambda: task.cancel())
    loop.set_task_factory(cutter.make_task)
    try:
        task = loop.create_task(house.worker().run(lambda: None))
        await eventually(lambda: task.done() or house.settled())
        whole = not task.done()
        cutter.after = 0
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    finally:
        loop.set_task_factory(None)
    return whole


LONG = "long " * 1200


async def scenario(tmp_path: Path, after: int, policy: str, max_lanes: int) -> bool:
    """Three chats, a long answer among them; cut off after so many steps, then run to the end on the same store."""
    async with bot_house(tmp_path) as house:
        house.spec(telegram={"ambiguous_send": policy}, limits={"max_lanes": max_lanes})
        said = {1: ["a1", LONG, "a3"], 2: ["b1", "b2"], 3: ["c1"]}
        for chat, messages in said.items():
            for text in messages:
                house.channel.say(text, chat)
        whole = await run_cut_off(house, after)
        async with house.running():
            await eventually(house.settled)
        assert house.outcomes() == {"answered": 6}
        assert Counter(house.model.asked) == Counter(t for messages in said.values() for t in messages)
        assert house.ambiguous() == 0
        for chat, messages in said.items():
            assert " ".join(house.channel.sent_to(chat)).split() == " ".join(f"re {m}" for m in messages).split()
            stored = house.rows("SELECT role, content FROM messages WHERE conversation_id = ? ORDER BY seq", str(chat))
            assert stored == [p for m in messages for p in (("user", m), ("assistant", f"re {m}"))]
        return whole


@pytest.mark.parametrize(("policy", "max_lanes"), [("resend", 32), ("skip", 1)])
async def test_2_cancelled_at_every_step(tmp_path: Path, policy: str, max_lanes: int) -> None:
    """Wherever a worker is cancelled: nothing lost, no model asked twice, order kept, and no send in doubt.

    The loopback channel takes a send within one step and the model answers within one, so nothing is ever half done
    at the other end: each doubt would be of our own making.
    """
    after = 0
    while True:
        after += 1
        place = tmp_path / str(after)
        place.mkdir()
        if await scenario(place, after, policy, max_lanes):
            break
    assert after > 20


async def test_2_the_answer_is_stored_before_it_is_sent(town: Town) -> None:
    """When a send arrives at the server, question, answer, tokens and the ledger's row are committed."""
    bot = town.sandbox.add_bot()
    fault = bot.faults.fail("sendMessage", "hold", times=1)
    bot.say(5, "hello")
    async with town.running(town.spec(bot)):
        await fault.reached()
        assert town.rows("SELECT content FROM messages ORDER BY seq") == [("hello",), ("re hello",)]
        assert town.rows("SELECT outcome FROM updates") == [("answered",)]
        assert town.rows("SELECT state FROM outbox") == [("attempting",)]
        assert town.rows("SELECT count(*) FROM usage") == [(1,)]
        fault.release()
        await eventually(town.settled)
    assert texts(bot) == ["re hello"]


@pytest.mark.parametrize(
    ("kind", "policy", "seen"),
    [
        ("lost_reply", "resend", 2),
        ("lost_reply", "skip", 1),
        ("reset", "resend", 1),
        ("server_error", "resend", 1),
        ("garbage", "resend", 1),
    ],
)
async def test_2_a_send_cut_off_is_counted(town: Town, kind: str, policy: str, seen: int) -> None:
    """Every way a send can be cut off in flight is one doubt, treated by the policy; the model is asked once."""
    bot = town.sandbox.add_bot()
    bot.faults.fail("sendMessage", kind, times=1)
    bot.say(5, "hello")
    spec = town.spec(bot, telegram={"ambiguous_send": policy})
    async with town.running(spec) as [worker]:
        await eventually(lambda: worker.vitals().ambiguous_sends == 1)
        await eventually(lambda: town.store.pending == 0)
        for _ in range(4):
            await town.clock.advance(1)
        await eventually(town.settled)
    assert texts(bot) == ["re hello"] * seen
    assert town.models[spec.bot_id].asked == ["hello"]
    assert town.rows("SELECT ambiguous_sends FROM bots") == [(1,)]


async def test_2_updates_given_again_are_not_answered_again(town: Town) -> None:
    """The acknowledging poll never arrives and the worker is made anew: the server repeats, we recognise."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    fault = bot.faults.fail("getUpdates", "hold", times=1, after=1)
    bot.say(5, "one")
    bot.say(5, "two")
    async with town.running(spec):
        await eventually(lambda: len(texts(bot)) == 2)
        await fault.reached()
        await eventually(town.settled)
    bot.faults.clear()
    fault.release()
    assert bot.pending == 2
    bot.say(5, "three")
    async with town.running(spec):
        await eventually(lambda: len(texts(bot)) == 3)
        await eventually(town.settled)
    assert texts(bot) == ["re one", "re two", "re three"]
    assert town.models[spec.bot_id].asked == ["one", "two", "three"]


# --- 3: order, and nobody waits for somebody else ------------------------------------------------------------------


async def test_3_order_within_a_chat_whatever_its_sends_meet(town: Town) -> None:
    """429, a cut connection and a gateway error in the middle: each chat reads its answers in order, once."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    for n in range(6):
        for chat in (1, 2, 3):
            bot.say(chat, f"m{n}")
    bot.faults.fail("sendMessage", "flood", times=3, retry_after=2)
    async with town.running(spec):
        await eventually(lambda: town.rows("SELECT count(*) FROM outbox") >= [(3,)])

        async def all_sent() -> bool:
            await town.clock.advance(0.5)
            return len(texts(bot)) >= 18 and town.settled()

        await eventually(all_sent, within_s=30)
    for chat in (1, 2, 3):
        assert texts(bot, chat) == [f"re m{n}" for n in range(6)]
    assert town.rows("SELECT ambiguous_sends FROM bots") == [(0,)]


async def test_3_a_slow_chat_delays_no_other(town: Town) -> None:
    """While the model thinks about one chat, another one of the same bot and another bot are answered."""
    first, second = town.sandbox.add_bot(), town.sandbox.add_bot()
    specs = [town.spec(first), town.spec(second)]
    model = town.models.setdefault(specs[0].bot_id, Model())
    model.hold()
    async with town.running(*specs):
        first.say(1, "slow")
        await eventually(lambda: model.waiting == 1)
        gate, model.gate = model.gate, None
        first.say(2, "quick")
        second.say(1, "other bot")
        await eventually(lambda: texts(first) == ["re quick"] and texts(second) == ["re other bot"])
        assert gate is not None
        gate.set()
        await eventually(lambda: texts(first) == ["re quick", "re slow"])


async def test_3_a_chat_that_blocked_the_bot_delays_no_other(town: Town) -> None:
    """403 for one chat is that chat's affair."""
    bot = town.sandbox.add_bot()
    async with town.running(town.spec(bot)):
        bot.say(1, "a")
        await eventually(lambda: texts(bot) == ["re a"])
        bot.say(1, "b")
        bot.block(1)
        bot.say(2, "c")
        await eventually(lambda: texts(bot) == ["re a", "re c"])
        await eventually(town.settled)
    assert town.rows("SELECT state FROM outbox WHERE chat_id = 1 ORDER BY outbox_id") == [("sent",), ("failed",)]


# --- 5: a change cuts no reply and loses no update -----------------------------------------------------------------


async def test_5_a_drained_restart_loses_and_repeats_nothing(town: Town) -> None:
    """A worker is drained and made anew again and again while people write: every message is answered once, in order."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    said = 0
    for _ in range(8):
        worker = town.worker(spec)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run, lambda: None)
            for chat in (1, 2):
                bot.say(chat, f"m{said}")
            said += 1
            await eventually(lambda n=said: len(texts(bot)) >= n)
            worker.drain()
    async with town.running(spec):
        await eventually(lambda: len(texts(bot)) == 2 * said)
        await eventually(town.settled)
    for chat in (1, 2):
        assert texts(bot, chat) == [f"re m{n}" for n in range(said)]
    assert Counter(town.models[spec.bot_id].asked) == Counter({f"m{n}": 2 for n in range(said)})
    assert town.rows("SELECT ambiguous_sends FROM bots") == [(0,)]


async def test_5_another_bot_behind_the_token_is_refused(town: Town) -> None:
    """A token edited to another bot's does not hand one bot's conversations to the other."""
    first, second = town.sandbox.add_bot(), town.sandbox.add_bot()
    spec = town.spec(first)
    async with town.running(spec):
        pass
    config = spec.config.model_copy(
        update={"telegram": spec.config.telegram.model_copy(update={"token": Secret(second.token)})}
    )
    with pytest.raises(BotInvalid, match=f"id {second.id}"):
        await town.worker(BotSpec(spec.bot_id, config, spec.path, "other")).run(lambda: None)


# --- 6: bounded everything -----------------------------------------------------------------------------------------


async def test_6_a_flood_stays_at_the_server(town: Town) -> None:
    """A thousand messages against a limit of 20: at most a batch above it is ever open, and all are answered."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot, limits={"max_open_updates": 20, "max_lanes": 4})
    for n in range(500):
        bot.say(n % 7 + 1, f"m{n}")
    most = 0
    async with town.running(spec) as [worker]:

        def look() -> bool:
            nonlocal most
            most = max(most, worker.vitals().inbox_open)
            return len(texts(bot)) == 500

        await eventually(look, within_s=30)
    assert most <= 20 + 100
    assert Counter(texts(bot)) == Counter(f"re m{n}" for n in range(500))


async def test_6_a_thousand_chats_leave_nothing_behind(tmp_path: Path) -> None:
    """After a storm of chats an idle bot holds no lane, no turn, no waiting send and one task."""
    async with bot_house(tmp_path) as house, house.running() as worker:
        for chat in range(1, 1001):
            house.channel.say("x", chat)
        await eventually(lambda: len(house.answers) == 1000)
        await eventually(house.settled)
        await house.advance(51)
        await eventually(lambda: worker.vitals().inbox_open == 0)
        parts = worker._parts
        assert parts is not None
        assert (list(parts.lanes.items()), len(parts.typist), parts.sender.open) == ([], 0, 0)
        await eventually(lambda: sum(t.get_name().startswith(BOT) for t in asyncio.all_tasks()) == 0)


# --- the failures of section 4's list ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["server_error", "reset", "garbage"])
async def test_polls_that_fail_are_reconnected_in_place(town: Town, kind: str) -> None:
    """5xx, a reset and garbage to getUpdates: a condition with its reason, and then the next message is answered."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    bot.faults.fail("getUpdates", kind, times=3)
    async with town.running(spec):
        await eventually(lambda: town.conditions[spec.bot_id].get(Condition.POLLING) is False)
        bot.say(5, "hello")

        async def answered() -> bool:
            await town.clock.advance(1)
            return texts(bot) == ["re hello"]

        await eventually(answered)
        assert town.conditions[spec.bot_id].get(Condition.POLLING) is True


async def test_a_second_poller_is_told_and_waited_for(town: Town) -> None:
    """409: token_in_use with its reason, a try after half a minute, and all is well once the other one is gone."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    bot.faults.fail("getUpdates", "conflict", times=1)
    async with town.running(spec):
        conditions = town.conditions[spec.bot_id]
        await eventually(lambda: conditions.get(Condition.TOKEN_IN_USE) is True)
        bot.say(5, "hello")
        await town.clock.advance(60)
        await eventually(lambda: texts(bot) == ["re hello"])
        assert conditions.get(Condition.TOKEN_IN_USE) is False


async def test_a_revoked_token_makes_the_bot_invalid(town: Town) -> None:
    """401 in the middle of polling ends the worker with a sentence, once getMe has confirmed it."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    bot.faults.fail("getUpdates", "unauthorized", times=None)
    bot.faults.fail("getMe", "unauthorized", times=None, after=1)
    with pytest.raises(BotInvalid, match="does not know"):
        await town.worker(spec).run(lambda: None)


async def test_a_silent_server_is_given_up_after_its_time(town: Town) -> None:
    """A poll that hangs beyond the long-poll time and its slack is a network error, not the end."""
    bot = town.sandbox.add_bot()
    spec = town.spec(bot)
    bot.faults.fail("getUpdates", "hang", times=1)
    async with town.running(spec) as [worker]:
        await eventually(lambda: bot.calls["getUpdates"] == 1)
        await eventually(lambda: worker.vitals().poll_in_flight_s is not None)
        await town.clock.advance(60.2)
        await eventually(lambda: town.conditions[spec.bot_id].get(Condition.POLLING) is False)
        bot.say(5, "hello")
        await town.clock.advance(2)
        await eventually(lambda: texts(bot) == ["re hello"])


async def test_a_poison_update_does_not_wedge_the_stream(town: Town) -> None:
    """An update that breaks the Bot API's rules is set aside; those around it are answered."""
    bot = town.sandbox.add_bot()
    async with town.running(town.spec(bot)):
        bot.say(5, "before")
        bot.push({"message": {"message_id": "no number", "chat": "no chat", "date": [], "text": {}}})
        bot.say(5, "after")
        await eventually(lambda: texts(bot) == ["re before", "re after"])
        await eventually(town.settled)
    outcomes = town.rows("SELECT outcome, count(*) FROM updates GROUP BY outcome ORDER BY outcome")
    assert outcomes == [("answered", 2), ("poison", 1)]
