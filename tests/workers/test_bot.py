"""A program speaks with a bot: an answer returned is an answer stored, in order, within limits, and whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.vocabulary import Role
from store.errors import StoreError
from store.events import ModelLost, TurnFailed
from tests.waiting import eventually
from tests.workers.talk_rig import ALICE, Place, place
from workers.bot import LONGEST_ID, BotContext
from workers.clock import ManualClock
from workers.desk import LONGEST_QUEUE
from workers.errors import (
    BotClosed,
    ProviderRefused,
    ProviderUnavailable,
    QueueFull,
    RateLimitError,
    RequestRefused,
    TurnFailedError,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def here(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Place]:
    async with place(tmp_path, clock) as made:
        yield made


async def test_an_answer_returned_is_stored(here: Place) -> None:
    """Question, answer and what it took are in the file when chat returns; the next question comes after them."""
    bot = here.bot()
    assert await bot.chat("one", ALICE) == "re one"
    assert (here.rows("messages"), here.rows("usage")) == (2, 1)
    reply = await bot.reply("two", ALICE)
    assert (reply.text, reply.model, reply.tokens_in, reply.tokens_out, reply.tokens_cached) == (
        "re two",
        "double",
        3,
        2,
        1,
    )
    assert [m.content for m in here.model.requests[-1].messages] == ["one", "re one", "two"]
    found = await bot.get_conversation(ALICE)
    assert found is not None
    assert (found.client_id, found.conversation_id, found.user_id, found.channel, found.turns) == (
        "alice",
        "c1",
        "u1",
        "api",
        2,
    )
    assert [(m.seq, m.role, m.content) for m in found.messages][2:] == [(3, "user", "two"), (4, "assistant", "re two")]


async def test_pages_of_a_conversation(here: Place) -> None:
    """The last messages, and those before a number; nothing said is None, not an empty conversation."""
    bot = here.bot()
    assert await bot.get_conversation(ALICE) is None
    for n in range(4):
        await bot.chat(f"q{n}", ALICE)
    found = await bot.get_conversation(ALICE, limit=3)
    before = await bot.get_conversation(ALICE, limit=3, before_seq=6)
    assert found is not None
    assert before is not None
    assert [m.seq for m in found.messages] == [6, 7, 8]
    assert [m.seq for m in before.messages] == [3, 4, 5]


async def test_undo_and_clear(here: Place) -> None:
    """The last pair goes; a conversation begun anew is remembered by nobody but its operator."""
    bot = here.bot()
    assert not await bot.undo_last_turn(ALICE)
    assert not await bot.clear_conversation(ALICE)
    await bot.chat("one", ALICE)
    await bot.chat("two", ALICE)
    assert await bot.undo_last_turn(ALICE)
    assert await here.said(bot) == ["one", "re one"]
    assert await bot.clear_conversation(ALICE)
    assert await here.said(bot) == []
    assert not await bot.undo_last_turn(ALICE)
    await bot.chat("three", ALICE)
    assert [m.content for m in here.model.requests[-1].messages] == ["three"]
    assert here.rows("messages") == 4


async def test_turns_of_one_conversation_queue_up(here: Place) -> None:
    """They are answered in the order they came, each knowing those before; another conversation does not wait."""
    bot = here.bot()
    here.model.hold()
    async with anyio.create_task_group() as group:
        for n in range(5):
            group.start_soon(bot.chat, f"q{n}", ALICE)
            await anyio.sleep(0)
        group.start_soon(bot.chat, "other", BotContext("c2", "alice"))
        await eventually(lambda: here.model.waiting == 2)
        assert bot.in_use == 6
        here.model.release()
    assert [text for text in here.model.asked if text != "other"] == [f"q{n}" for n in range(5)]
    assert await here.said(bot) == [text for n in range(5) for text in (f"q{n}", f"re q{n}")]
    last = next(request for request in here.model.requests if request.messages[-1].content == "q4")
    assert len(last.messages) == 9


async def test_who_gives_up_waiting_leaves_no_trace(here: Place) -> None:
    """Cancelled before its turn, a question is never asked; those behind it move up, and nothing is kept of the conversation."""
    bot = here.bot()
    desk = here.services.desks.of("support")
    here.model.hold()
    tasks = [asyncio.create_task(bot.chat(f"q{n}", ALICE)) for n in range(4)]
    await eventually(lambda: here.model.waiting == 1)
    for n in (1, 3):
        tasks[n].cancel()
    await asyncio.wait((tasks[1], tasks[3]))
    here.model.release()
    assert await asyncio.gather(tasks[0], tasks[2]) == ["re q0", "re q2"]
    assert here.model.asked == ["q0", "q2"]
    assert (len(desk), desk.talks, bot.in_use) == (0, 0, 0)


@pytest.mark.parametrize("moment", ["asked", "asked and next waits"])
async def test_a_cancelled_turn_stores_nothing(here: Place, moment: str) -> None:
    """The model is given up, nothing is stored, and the next question has its turn."""
    bot = here.bot()
    here.model.hold()
    first = asyncio.create_task(bot.chat("one", ALICE))
    await eventually(lambda: here.model.waiting == 1)
    second = asyncio.create_task(bot.chat("two", ALICE)) if "next" in moment else None
    await anyio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    here.model.release()
    assert await (second or bot.chat("two", ALICE)) == "re two"
    assert (here.model.given_up, here.rows("messages")) == (1, 2)


@pytest.mark.parametrize("by", ["task", "scope"])
async def test_a_turn_cancelled_while_it_is_written_is_stored_whole(here: Place, by: str) -> None:
    """Its conversation is not free before: the next question knows of it."""
    bot = here.bot()
    scope, told = anyio.CancelScope(), list[str]()

    async def ask() -> None:
        with scope:
            told.append(await bot.chat("one", ALICE))

    asking = asyncio.create_task(ask())
    while not here.store.pending:  # the writer's thread needs a turn of the loop to tell that it is done
        await asyncio.sleep(0)
    (scope if by == "scope" else asking).cancel()
    await asyncio.wait((asking,))
    assert (told, here.rows("messages")) == ([], 2)
    await bot.chat("two", ALICE)
    assert [m.content for m in here.model.requests[-1].messages] == ["one", "re one", "two"]


@pytest.mark.parametrize(("kind", "away"), [(ProviderRefused, True), (RequestRefused, False)])
async def test_a_failed_model_stores_nothing(here: Place, kind: type[ProviderRefused], away: bool) -> None:
    """The error holds no secret; the failure is counted and told; the conversation is as it was."""
    here.services.redactor.learn(["hunter2-hunter2"])
    bot = here.bot(reply={"error_text": "Not now."})
    await bot.chat("one", ALICE)
    here.model.script = lambda request: [kind("no key hunter2-hunter2")]
    with pytest.raises(TurnFailedError, match="support gave no answer") as caught:
        await bot.chat("two", ALICE)
    assert "hunter2" not in str(caught.value)
    assert (caught.value.text, caught.value.away) == ("Not now.", away)
    assert (here.rows("messages"), here.rows("usage")) == (2, 1)
    told = here.events()
    assert [(type(event), event.bot_id) for event in told] == [(ModelLost if away else TurnFailed, "support")]
    assert "hunter2" not in str(told)
    here.model.script = lambda request: ["fine"]
    assert await bot.chat("three", ALICE) == "fine"
    assert [m.content for m in here.model.requests[-1].messages] == ["one", "re one", "three"]


async def test_a_history_that_cannot_be_read_is_an_error(here: Place) -> None:
    """Never an empty history: the model is not asked, and nothing is stored."""
    bot = here.bot()
    await bot.chat("one", ALICE)
    here.store._tails.forget()
    await here.store._reader.close()
    with pytest.raises(StoreError):
        await bot.chat("two", ALICE)
    with pytest.raises(StoreError):
        await bot.get_conversation(ALICE)
    assert (here.model.asked, here.rows("messages")) == (["one"], 2)


async def test_a_turn_that_cannot_be_written_is_an_error(here: Place) -> None:
    """No answer is returned that is not stored."""
    bot = here.bot()
    await here.store._writer.close()
    with pytest.raises(StoreError):
        await bot.chat("one", ALICE)
    assert (here.rows("messages"), bot.in_use) == (0, 0)


async def test_an_edit_counts_from_the_next_turn(here: Place) -> None:
    """A turn uses the configuration of the moment it begins, also one that had waited before."""
    bot = here.bot()
    specs = [bot.spec()]
    bot.spec = lambda: specs[-1]
    here.model.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(bot.chat, "one", ALICE)
        await eventually(lambda: here.model.waiting == 1)
        group.start_soon(bot.chat, "two", ALICE)
        await anyio.sleep(0)
        here.sections["prompts"] = {"system": "Speak with {user}."}
        specs.append(here.spec())
        here.model.release()
    assert [request.messages[0].role for request in here.model.requests] == [Role.USER, Role.SYSTEM]


# --- limits ------------------------------------------------------------------------------------------------------


async def test_turns_at_once_of_all_conversations(here: Place) -> None:
    """`max_lanes` of them, whoever asks; the others wait in the order they came."""
    bot = here.bot(limits={"max_lanes": 3})
    here.model.hold()
    async with anyio.create_task_group() as group:
        for n in range(8):
            group.start_soon(bot.chat, f"q{n}", BotContext(f"c{n}", f"client{n}"))
        await eventually(lambda: here.model.waiting == 3 and bot.in_use == 8)
        here.model.release()
    assert here.model.most == 3
    assert sorted(here.model.asked[:3]) == ["q0", "q1", "q2"]
    assert sorted(here.model.asked) == [f"q{n}" for n in range(8)]


async def test_a_queue_has_an_end(here: Place) -> None:
    """Of one conversation, and of the bot as a whole; what is refused does not count."""
    bot = here.bot(limits={"max_open_updates": LONGEST_QUEUE + 2})
    here.model.hold()
    tasks = [asyncio.create_task(bot.chat(f"q{n}", ALICE)) for n in range(LONGEST_QUEUE + 1)]
    await eventually(lambda: here.model.waiting == 1)
    with pytest.raises(QueueFull, match="of one chat") as caught:
        await bot.chat("one more", ALICE)
    assert caught.value.retry_after_s > 0
    tasks.append(asyncio.create_task(bot.chat("other", BotContext("c2", "alice"))))
    await eventually(lambda: here.model.waiting == 2)
    with pytest.raises(QueueFull, match="of one bot"):
        await bot.chat("another", BotContext("c3", "alice"))
    here.model.release()
    assert len(await asyncio.gather(*tasks)) == LONGEST_QUEUE + 2
    assert here.rows("messages") == 2 * (LONGEST_QUEUE + 2)


async def test_a_client_is_limited_alone(here: Place, clock: ManualClock) -> None:
    """So many a minute of one client, over all its conversations; another client is not concerned, time heals."""
    bot = here.bot(limits={"client_per_min": 2})
    await bot.chat("one", BotContext("c1", "alice"))
    await bot.chat("two", BotContext("c2", "alice"))
    with pytest.raises(RateLimitError) as caught:
        await bot.chat("three", BotContext("c3", "alice"))
    assert (caught.value.scope, caught.value.retry_after_s) == ("client", 30.0)
    await bot.chat("four", BotContext("c1", "bob"))
    await clock.advance(30)
    await bot.chat("five", ALICE)
    with pytest.raises(RateLimitError):
        await bot.chat("six", ALICE)
    again = here.bot()
    with pytest.raises(RateLimitError):
        await again.chat("a bot made anew counts on", ALICE)


@pytest.mark.parametrize(
    ("limit", "same", "other"),
    [
        ("user_per_min", BotContext("c2", "alice", "u1"), BotContext("c1", "bob", "u1")),
        ("chat_per_min", BotContext("c1", "alice", "u2"), BotContext("c1", "bob", "u1")),
        ("bot_per_min", BotContext("c1", "bob", "u2"), None),
    ],
)
async def test_people_and_chats_of_two_clients_are_counted_apart(
    here: Place, limit: str, same: BotContext, other: BotContext | None
) -> None:
    """The same id of another client is somebody else."""
    bot = here.bot(limits={limit: 1})
    await bot.chat("one", ALICE)
    with pytest.raises(RateLimitError):
        await bot.chat("two", same)
    if other is not None:
        await bot.chat("three", other)


# --- what is asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["conversation_id", "client_id", "user_id"])
@pytest.mark.parametrize("value", ["a\nb", "\x00", "x" * (LONGEST_ID + 1), "\ud800", "\u202e", 7])
def test_ids_are_checked(field: str, value: Any) -> None:
    """What cannot be an id is refused by the field's name."""
    with pytest.raises(ValueError, match=field):
        BotContext(**{"conversation_id": "c1", field: value})


@pytest.mark.parametrize("value", ["c", "x" * LONGEST_ID, "Gespräch 7/ü·🙂"])
def test_ids_are_texts(value: str) -> None:
    """Anything printable is an id; a client may be none, a conversation must be one."""
    assert BotContext(value, value, value).client_id == value
    assert BotContext(value).client_id == ""
    with pytest.raises(ValueError, match="conversation_id"):
        BotContext("")


async def test_a_message_says_something(here: Place) -> None:
    """Blanks are refused before anything is counted or asked."""
    bot = here.bot(limits={"client_per_min": 1})
    for message in ("", " \n", 7):
        with pytest.raises(ValueError, match="message"):
            await bot.chat(message, ALICE)  # type: ignore[arg-type]
    assert await bot.chat("one", ALICE) == "re one"


async def test_a_model_is_one_of_the_choices(here: Place) -> None:
    """The configured one, or a choice; else what is chosen for the conversation, as long as it is a choice."""
    bot = here.bot()
    await bot.chat("one", ALICE, model="other")
    with pytest.raises(ValueError, match="double, other"):
        await bot.chat("two", ALICE, model="dear")
    conversations = here.store.partition("support").conversations
    await conversations.choose_model("alice", "c1", "other", 1)
    await bot.chat("three", ALICE)
    await bot.chat("four", BotContext("c1", "bob"))
    await conversations.choose_model("alice", "c1", "gone", 1)
    await bot.chat("five", ALICE)
    assert [request.model for request in here.model.requests] == ["other", "other", "double", "double"]


async def test_who_asks_is_known_to_the_prompt(here: Place) -> None:
    """A name is put into the prompt, once: it is no template itself."""
    bot = here.bot(prompts={"system": "Speak with {user}."})
    await bot.chat("one", BotContext("c1", session_metadata={"user_name": "{bot}"}))
    assert here.model.requests[0].messages[0].content == "Speak with {bot}."


async def test_text_no_file_can_hold_is_made_fit(here: Place) -> None:
    """What is returned is what is stored."""
    bot = here.bot()
    here.model.script = lambda request: ["half \ud83d"]
    answer = await bot.chat("lone \udc00", ALICE)
    assert [answer] == (await here.said(bot))[1:]
    answer.encode()


# --- the end -----------------------------------------------------------------------------------------------------


async def test_a_bot_in_mid_chat_is_never_closed_under_it(here: Place) -> None:
    """Closing takes nothing new and waits for all that was taken, those that wait for their turn among them."""
    bot = here.bot()
    here.model.hold()
    tasks = [asyncio.create_task(bot.chat(f"q{n}", ALICE)) for n in range(3)]
    await eventually(lambda: here.model.waiting == 1)
    closing = [asyncio.create_task(bot.close()) for _ in range(2)]
    await eventually(lambda: bot.closed)
    for call in (bot.chat("more", ALICE), bot.undo_last_turn(ALICE), bot.get_conversation(ALICE)):
        with pytest.raises(BotClosed, match="support"):
            await call
    assert not closing[0].done()
    here.model.release()
    await asyncio.gather(*closing)
    assert [task.done() for task in tasks] == [True] * 3
    assert await asyncio.gather(*tasks) == ["re q0", "re q1", "re q2"]


async def test_two_bots_of_one_id_are_one_queue(here: Place) -> None:
    """While one is drained and the next has begun, a conversation has one turn at a time all the same."""
    old, new = here.bot(), here.bot()
    here.model.hold()
    async with anyio.create_task_group() as group:
        group.start_soon(old.chat, "one", ALICE)
        await eventually(lambda: here.model.waiting == 1)
        group.start_soon(new.chat, "two", ALICE)
        for _ in range(10):
            await anyio.sleep(0)
        assert here.model.waiting == 1
        here.model.release()
    assert await here.said(new) == ["one", "re one", "two", "re two"]


async def test_an_outage_is_tried_again_as_for_anybody(here: Place, clock: ManualClock) -> None:
    """The engine's patience is the same: three tries."""
    bot = here.bot()
    here.model.script = lambda request: [ProviderUnavailable("away")]
    asking = asyncio.create_task(bot.chat("one", ALICE))

    async def later() -> bool:
        await clock.advance(0.5)
        return asking.done()

    await eventually(later)
    with pytest.raises(TurnFailedError, match="away"):
        await asking
    assert len(here.model.requests) == 3
