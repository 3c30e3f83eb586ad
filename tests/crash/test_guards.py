"""Guards that only count at one moment: each is held at exactly that moment, and fails without it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from store.outbox import NewSend
from store.turns import TurnRecord
from store.updates import NewUpdate
from store.writer import Writer
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.channels.base import Outgoing
from workers.channels.loopback import LoopbackChannel
from workers.recording import KEEP_S

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path) as house:
        with house.channel.hold(
            "publish"
        ):  # what is counted here are writes: the note of a list of commands is none of them
            yield house


@contextmanager
def held(writer: Writer) -> Iterator[None]:
    """Keep the writer's thread inside a transaction; what is asked meanwhile queues up behind it."""
    inside, release = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        inside.set()
        release.wait(10)

    task = asyncio.ensure_future(writer.write(wait))
    try:
        yield
    finally:
        release.set()
        assert not task.cancelled()


async def begun(house: House) -> asyncio.Task[None]:
    """Run a worker in a task, as its keeper does; it polls and nothing is being written."""
    ready, polls = anyio.Event(), house.channel.calls["poll"]
    run = asyncio.ensure_future(house.worker().run(ready.set))
    await ready.wait()
    await eventually(lambda: house.channel.calls["poll"] > polls and house.store.pending == 0)
    return run


async def ended(run: asyncio.Task[None]) -> None:
    """Wait for the end of a worker that was cancelled."""
    with pytest.raises(asyncio.CancelledError):
        await run


class Eager(LoopbackChannel):
    """Has a part on the wire the moment it is asked to send, as a channel with a connection at hand has."""

    def __init__(self, house: House) -> None:
        super().__init__(clock=house.clock, identity=house.channel.identity)
        self.left: list[str] = []
        self._gates["publish"] = anyio.Event()
        house.channel = self

    async def send(self, outgoing: Outgoing) -> int | None:
        self.left.append(str(outgoing.params["text"]))
        return await super().send(outgoing)


# --- a worker made anew ----------------------------------------------------------------------------------------


async def test_a_worker_made_anew_waits_for_what_the_last_one_had_asked_to_be_written(house: House) -> None:
    """The answer is on its way into the file when the worker is cancelled: the next one does not ask the model again."""
    run = await begun(house)
    house.model.hold()
    house.channel.say("hello")
    await eventually(lambda: house.model.waiting == 1 and house.store.pending == 0)
    with held(house.store._writer):
        house.model.release()
        await eventually(lambda: house.store.pending == 2)  # the hold, and the turn behind it
        run.cancel()
        await eventually(lambda: house.store.pending == 3)  # and the turn once more, to be sure of it
        await house.clock.advance(KEEP_S)
        await ended(run)
        run = asyncio.ensure_future(house.worker().run(lambda: None))
        # Behind the turns is the write the new worker begins with; without one it would read what is not written yet.
        await eventually(lambda: house.store.pending == 4 or house.model.asked == ["hello", "hello"])
    await eventually(house.settled)
    run.cancel()
    await ended(run)
    assert house.model.asked == ["hello"]
    assert house.answers == ["re hello"]


async def test_a_batch_being_written_when_its_worker_was_cancelled_is_answered_once(house: House) -> None:
    """The next worker finds it in the file; the server gives it again, and its key tells."""
    run = await begun(house)
    with held(house.store._writer):
        house.channel.say("hello")
        await eventually(lambda: house.store.pending == 2)
        run.cancel()
        await ended(run)
    async with house.running():
        await eventually(house.settled)
    assert (house.model.asked, house.answers) == (["hello"], ["re hello"])


async def test_what_is_being_answered_is_not_taken_up_again_when_the_server_repeats_it(house: House) -> None:
    """A repeat of an update that is open is looked for in the lanes before it counts as missed."""
    async with house.running():
        house.model.hold()
        update_id = house.channel.say("hello")
        await eventually(lambda: house.model.waiting == 1 and house.channel.pending == 0)
        message = {"date": int(house.clock.now()), "chat": {"id": 1}, "text": "hello"}
        house.channel.push({"update_id": update_id, "message": message})
        house.channel.say("next")
        await eventually(lambda: house.channel.pending == 0)
        house.model.release()
        await eventually(house.settled)
    assert house.model.asked == ["hello", "next"]
    assert house.answers == ["re hello", "re next"]


# --- right before a send ---------------------------------------------------------------------------------------


async def pending_answer(house: House, *texts: str, attempting: bool = False) -> None:
    """Leave an answer in parts as a killed process does: none has left, but for the first perhaps."""
    async with house.running():
        await eventually(lambda: house.store.pending == 0)
    await house.partition.updates.receive([NewUpdate(1, "1", "{}")], 2, 1)
    sends = tuple(NewSend(1, "1", "sendMessage", f'{{"chat_id": 1, "text": "{text}"}}') for text in texts)
    turn = TurnRecord(1, "", "1", "1", "none", "answered", sends=sends, first_attempting=attempting)
    await house.partition.record_turn(turn, 1)


async def test_a_worker_cancelled_while_a_send_is_noted_does_not_send(house: House) -> None:
    """The part has not left, its row says so, and nobody will ever call it in doubt."""
    await pending_answer(house, "one", "two")
    channel = Eager(house)
    with channel.hold("identify"):
        run = asyncio.ensure_future(house.worker().run(lambda: None))
        await eventually(lambda: channel.held("identify") == 1)
        hold = ExitStack()
        hold.enter_context(held(house.store._writer))
    with hold:
        await eventually(lambda: house.store.pending == 2)  # the hold, and `attempting` behind it
        run.cancel()
        await house.clock.advance(0)  # the cancellation has reached the lane before the commit does
    await ended(run)
    assert channel.left == []
    assert house.sends() == ["pending", "pending"]
    async with house.running():
        await eventually(house.settled)
    assert (channel.left, house.ambiguous()) == (["one", "two"], 0)


@pytest.mark.parametrize(("policy", "left"), [("resend", ["one"]), ("skip", [])])
async def test_a_doubt_is_counted_once_however_often_its_worker_is_cancelled(
    house: House, policy: str, left: list[str]
) -> None:
    """Cut off again right after the doubt was noted, a send that has not left once more is in doubt once."""
    house.spec(telegram={"ambiguous_send": policy})
    await pending_answer(house, "one", attempting=True)
    channel = Eager(house)
    hold = ExitStack()
    with channel.hold("identify"):
        run = asyncio.ensure_future(house.worker().run(lambda: None))
        await eventually(lambda: channel.held("identify") == 1)
        hold.enter_context(held(house.store._writer))
    with hold:
        await eventually(lambda: house.store.pending == 2)  # the hold, and the doubt behind it
        run.cancel()
        await house.clock.advance(0)
    await ended(run)
    assert (channel.left, house.ambiguous()) == ([], 1)
    async with house.running():
        await eventually(house.settled)
    assert (channel.left, house.ambiguous()) == (left, 1)


# --- acknowledged means committed ------------------------------------------------------------------------------


class Paused(sqlite3.Connection):
    """A real connection that stops right before a commit while `gate` is closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reached, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.reached.set()
            self.gate.wait(10)
        return super().execute(sql, *arguments)


async def test_nobody_hears_of_a_write_before_it_is_committed(tmp_path: Path) -> None:
    """At the moment before the commit its caller still waits, nothing counts as done, and no reader sees it."""
    path = tmp_path / "notes.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Paused)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY) STRICT")
    writer, heard = Writer(connection, path), list[int]()
    connection.gate.clear()
    task = asyncio.ensure_future(
        writer.write(lambda c: c.execute("INSERT INTO notes VALUES (1)").rowcount, committed=heard.append)
    )
    # The writer's thread tells the loop in order: what it had told before this moment has been heard when we look.
    await eventually(connection.reached.is_set)
    await anyio.lowlevel.checkpoint()
    assert (task.done(), heard, writer.pending) == (False, [], 1)
    assert seen(path) == []
    connection.gate.set()
    assert await task == 1
    assert (heard, seen(path)) == ([1], [1])
    await writer.close()


def seen(path: Path) -> list[int]:
    """What another program sees."""
    reader = sqlite3.connect(path)
    try:
        return [n for (n,) in reader.execute("SELECT n FROM notes")]
    finally:
        reader.close()
