"""An answer shown while it is made, through the double: frames may be lost, the answer never, and there is one of it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from console.sandbox.bots import SentMessage
from tests.waiting import eventually
from tests.workers.counter_rig import CHAT, GROUP, Counter, counter
from workers.clock import ManualClock
from workers.preview import FRAMES_AT_ONCE

pytestmark = pytest.mark.anyio

ANSWER = " ".join(f"word{n}" for n in range(40))


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Counter]:
    async with counter(tmp_path, clock) as made:
        made.model.answer = lambda _: ANSWER
        made.model.piece_delay_s = 0.2
        yield made


def streamed(how: str, **more: Any) -> dict[str, Any]:
    """The section of a bot that streams."""
    return {"reply": {"stream": how, **more}}


async def in_time(desk: Counter, condition: Callable[[], Any]) -> None:
    """Let time pass until something is so."""
    clock = desk.services.clock
    assert isinstance(clock, ManualClock)

    async def look() -> Any:
        await clock.advance(0.2)
        await anyio.sleep(0.01)
        return condition()

    await eventually(look, within_s=20)


async def ended(desk: Counter, count: int = 1) -> None:
    """Let time pass until so many updates are finished and nothing is open."""
    await in_time(desk, lambda: len(desk.outcomes()) >= count and desk.settled())


def methods(desk: Counter) -> list[str]:
    return [sent.method for sent in desk.bot.sent]


def frames(desk: Counter) -> list[SentMessage]:
    """What was shown of an answer that was not whole."""
    return [sent for sent in desk.bot.sent if sent.text.endswith("…")]


@pytest.mark.parametrize("chat_id", [CHAT, GROUP])
async def test_by_edits_an_answer_grows_in_one_message(desk: Counter, chat_id: int) -> None:
    """Each frame shows more than the one before; the last edit is the answer, in groups a reply to its question."""
    async with desk.open(**streamed("edit"), groups={"respond": "all"}):
        desk.bot.say(chat_id, "hello", user_id=CHAT)
        await ended(desk)
    assert desk.seen(chat_id) == [ANSWER]
    assert methods(desk)[0] == "sendMessage"
    assert set(methods(desk)[1:]) == {"editMessageText"}
    shown = [len(sent.text) for sent in frames(desk)]
    assert len(shown) >= 2
    assert shown == sorted(set(shown))
    assert ("reply_parameters" in desk.bot.sent[0].params) is (chat_id == GROUP)


async def test_frames_keep_the_pace_of_a_group(desk: Counter) -> None:
    """A message every three seconds, the server takes no more there."""
    async with desk.open(**streamed("auto"), groups={"respond": "all"}):
        desk.bot.say(GROUP, "hello", user_id=CHAT)
        await ended(desk)
    at = [sent.at for sent in frames(desk)]
    assert all(later - earlier >= 2.9 for earlier, later in itertools.pairwise(at))
    assert desk.bot.drafts == []


@pytest.mark.parametrize("how", ["draft", "auto"])
async def test_drafts_leave_one_message(desk: Counter, how: str) -> None:
    """They vanish; the answer is a message of its own."""
    async with desk.open(**streamed(how)):
        desk.bot.say(CHAT, "hello")
        await ended(desk)
    assert len(desk.bot.drafts) >= 2
    assert [text for _, _, text in desk.bot.drafts] == sorted([text for _, _, text in desk.bot.drafts], key=len)
    assert (methods(desk), desk.seen()) == (["sendMessage"], [ANSWER])


@pytest.mark.parametrize(("how", "shown"), [("draft", False), ("auto", True)])
async def test_a_server_without_drafts_does_no_harm(desk: Counter, how: str, *, shown: bool) -> None:
    """`auto` goes on by edits; the token is not doubted for the method's 404."""
    desk.bot.faults.fail("sendMessageDraft", "not_found", times=None)
    async with desk.open(**streamed(how)):
        desk.bot.say(CHAT, "hello")
        await ended(desk)
    assert desk.seen() == [ANSWER]
    assert bool(frames(desk)) is shown


async def test_a_server_that_asks_for_patience_delays_the_answer_and_no_more(desk: Counter) -> None:
    """Frames are dropped meanwhile; the answer waits for the chat's deadline."""
    flood = desk.bot.faults.fail("editMessageText", "flood", retry_after=30)
    async with desk.open(**streamed("edit")):
        desk.bot.say(CHAT, "hello")
        await in_time(desk, lambda: flood.hits)
        asked_at = desk.services.clock.now()
        await ended(desk)
    assert desk.seen() == [ANSWER]
    assert methods(desk) == ["sendMessage", "editMessageText"]
    assert desk.bot.sent[-1].at - asked_at >= 29


@pytest.mark.parametrize(("method", "doubts"), [("editMessageText", 0), ("sendMessage", 1)])
async def test_a_frame_that_hangs_holds_nothing_up(desk: Counter, method: str, doubts: int) -> None:
    """It is given up after a few seconds; one that was to be the message is the last, and in doubt like any send."""
    hanging = desk.bot.faults.fail(method, "hang")
    async with desk.open(**streamed("edit")) as worker:
        desk.bot.say(CHAT, "hello")
        await in_time(desk, lambda: hanging.hits)
        await ended(desk)
        desk.bot.faults.clear()
        assert worker.vitals().ambiguous_sends == doubts
    assert desk.seen() == [ANSWER]
    assert desk.rows("SELECT coalesce(sum(ambiguous_sends), 0) FROM bots") == [(doubts,)]


async def test_a_message_deleted_meanwhile_is_sent_anew_where_it_was(desk: Counter) -> None:
    """Its person took away what was shown; the answer comes all the same, into the topic it belongs to."""
    async with desk.open(**streamed("edit"), groups={"respond": "all"}):
        desk.bot.say(GROUP, "hello", user_id=CHAT, topic_id=7)
        await in_time(desk, lambda: frames(desk))
        desk.bot.deleted.add(desk.bot.sent[0].message_id)
        await ended(desk)
    assert desk.seen(GROUP) == [ANSWER]
    assert (desk.bot.sent[-1].method, desk.bot.sent[-1].topic_id) == ("sendMessage", 7)


@pytest.mark.parametrize("policy", ["resend", "skip"])
async def test_an_answer_that_may_have_been_shown_is_shown_again(desk: Counter, policy: str) -> None:
    """To edit a message twice is seen once: there is no doubt to be counted, and "not modified" means done."""
    async with desk.open(**streamed("edit"), telegram={"ambiguous_send": policy}):
        hold = desk.model.faults.fail("chat", "hold_between", after_pieces=30)
        desk.bot.say(CHAT, "hello")
        await in_time(desk, lambda: hold.hits and frames(desk))
        lost = desk.bot.faults.fail("editMessageText", "lost_reply", times=None)
        desk.model.faults.release()
        await in_time(desk, lambda: desk.rows("SELECT 1 FROM outbox"))
        before = lost.hits
        await in_time(desk, lambda: lost.hits >= before + 2)
        desk.bot.faults.clear()
        await ended(desk)
    assert desk.seen() == [ANSWER]
    assert desk.rows("SELECT coalesce(sum(ambiguous_sends), 0) FROM bots") == [(0,)]
    assert desk.rows("SELECT state, error FROM outbox") == [("sent", "")]


async def test_an_answer_of_several_parts_begins_in_the_message_shown(desk: Counter) -> None:
    """The others follow it."""
    words = "\n\n".join(f"paragraph {n} " + "x" * 200 for n in range(40))
    desk.model.answer = lambda _: words
    async with desk.open(**streamed("edit")):
        desk.bot.say(CHAT, "hello")
        await ended(desk)
    first, *rest = desk.seen()
    assert rest
    assert "\n\n".join([first, *rest]) == words
    assert methods(desk)[-len(rest) :] == ["sendMessage"] * len(rest)


async def test_an_answer_that_goes_as_a_file_takes_the_message_shown_away(desk: Counter) -> None:
    """Last, so that there is always something to be seen."""
    desk.model.answer = lambda _: "\n\n".join("y" * 3000 for _ in range(4))
    async with desk.open(**streamed("edit", max_parts=1)):
        desk.bot.say(CHAT, "hello")
        await ended(desk)
    assert [sent.method for sent in desk.bot.sent if sent.message_id not in desk.bot.deleted] == ["sendDocument"]
    assert len(desk.bot.deleted) == 1


async def test_an_answer_that_fails_under_way_ends_in_the_message_shown(desk: Counter) -> None:
    """Half an answer is none: what was shown becomes the apology."""
    desk.model.faults.fail("chat", "error_chunk", times=None, after_pieces=20)
    async with desk.open(**streamed("edit", error_text="Sorry.")):
        desk.bot.say(CHAT, "hello")
        await in_time(desk, lambda: frames(desk))
        await ended(desk)
    assert desk.seen() == ["Sorry."]


async def test_another_model_begins_the_message_anew(desk: Counter) -> None:
    """What the first one said is not in what the second one says, in no frame."""
    desk.model.answer = lambda call: ANSWER if call.model == "m" else ANSWER.replace("word", "other")
    desk.model.faults.fail("chat", "truncate", times=3, after_pieces=20)
    desk.sections["llm"]["fallbacks"] = [{"model": "second"}]
    async with desk.open(**streamed("edit")):
        desk.bot.say(CHAT, "hello")
        await ended(desk)
    assert desk.seen() == [ANSWER.replace("word", "other")]
    assert not [sent.text for sent in frames(desk) if "word" in sent.text and "other" in sent.text]


async def test_a_drain_finishes_an_answer_under_way(desk: Counter) -> None:
    """It is a turn in flight like any other."""
    async with desk.open(**streamed("edit")) as worker:
        desk.bot.say(CHAT, "hello")
        await in_time(desk, lambda: frames(desk))
        worker.drain()
        await ended(desk)
    assert desk.seen() == [ANSWER]


async def test_a_worker_that_ends_under_way_leaves_one_answer(desk: Counter) -> None:
    """The next one goes on with the message that is there, and frames of its own do not add another."""
    async with desk.open(**streamed("edit")):
        desk.bot.say(CHAT, "hello")
        await in_time(desk, lambda: frames(desk))
    assert desk.outcomes() == [None]
    assert desk.seen() != [ANSWER]
    async with desk.open():
        await ended(desk)
    assert desk.seen() == [ANSWER]
    assert methods(desk).count("sendMessage") == 1


async def test_a_slow_server_drops_frames_and_gathers_none(desk: Counter) -> None:
    """Many answers under way, every frame takes long: few are on their way at once, and all answers come."""
    slow = desk.bot.faults.fail("editMessageText", "slow", times=None, delay_s=4)
    most = 0

    def hit() -> bool:
        nonlocal most
        under_way = [task for task in anyio.get_running_tasks() if task.name == "support/frame"]
        most = max(most, len(under_way))
        return slow.hits >= FRAMES_AT_ONCE

    async with desk.open(**streamed("edit")):
        for chat_id in range(1, 21):
            desk.bot.say(chat_id, "hello")
        await in_time(desk, hit)
        await ended(desk, 20)
    assert 0 < most <= FRAMES_AT_ONCE
    assert [desk.seen(chat_id) for chat_id in range(1, 21)] == [[ANSWER]] * 20
