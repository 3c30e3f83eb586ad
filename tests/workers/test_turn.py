"""One update answered: what is no question, too old or poison goes its own way, and a failed model leaves no half."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.vocabulary import Condition
from store.events import MessagePoisoned, ModelLost, ModelRegained, TurnFailed
from tests.waiting import eventually
from tests.workers.bot_rig import House, bot_house
from workers.errors import ProviderRefused, ProviderUnavailable, RequestRefused

pytestmark = pytest.mark.anyio

SORRY = "Sorry, I cannot answer right now. Please try again in a minute."


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with bot_house(tmp_path) as house:
        yield house


async def test_an_answered_update_is_one_row_of_everything(house: House) -> None:
    """Question, answer, tokens, send and the end of the update are there together."""
    async with house.running():
        house.channel.say("hello", 5, user_id=6)
        await eventually(house.settled)
    assert house.outcomes() == {"answered": 1}
    said = house.rows("SELECT conversation_id, role, content, update_id FROM messages ORDER BY seq")
    assert said == [("5", "user", "hello", 1), ("5", "assistant", "re hello", 1)]
    assert house.rows("SELECT user_id, model, input_tokens, output_tokens FROM usage") == [("6", "double", 3, 2)]
    assert house.rows("SELECT turns, errors FROM bots") == [(1, 0)]


async def test_topics_are_conversations_of_their_own(house: House) -> None:
    """Two topics of one chat share neither lane nor history."""
    async with house.running():
        house.channel.say("a", 5, topic_id=1)
        house.channel.say("b", 5, topic_id=2)
        await eventually(lambda: len(house.answers) == 2)
        await eventually(house.settled)
    assert sorted(house.rows("SELECT conversation_id FROM conversations")) == [("5:1",), ("5:2",)]


async def test_what_asks_for_no_answer_is_finished(house: House) -> None:
    """A photo without words or a membership change costs nothing and keeps nobody waiting."""
    async with house.running():
        house.channel.push({"my_chat_member": {"chat": {"id": 1}}})
        house.channel.say("hello")
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
    assert house.outcomes() == {"ignored": 1, "answered": 1}


async def test_a_poisonous_update_is_set_aside(house: House) -> None:
    """An update that breaks the rules is kept with its payload and its error, and told of; the stream goes on."""
    async with house.running():
        house.channel.push({"message": {"text": 7, "chat": {"id": 1}, "date": 1}})
        house.channel.say("hello")
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
    [(payload, error)] = house.rows("SELECT payload, error FROM updates WHERE outcome = 'poison'")
    assert '"text":7' in payload
    assert "message.text" in error
    [event] = house.events(MessagePoisoned)
    assert event.data()["update_id"] == 1


async def test_old_messages_get_one_apology_per_chat(house: House) -> None:
    """After a long outage each chat is told once that the answer will not come; no model is asked."""
    now = house.clock.now()
    for n in range(3):
        house.channel.say(f"old {n}", 1, sent_at=now - 90_000)
    house.channel.say("old", 2, sent_at=now - 90_000)
    house.channel.say("fresh", 1, sent_at=now - 10)
    async with house.running():
        await eventually(house.settled)
        await eventually(lambda: len(house.answers) == 3)
        assert house.channel.sent_to(1) == [SORRY, "re fresh"]
        assert house.channel.sent_to(2) == [SORRY]
        house.channel.say("old again", 1, sent_at=now - 90_000)
        await eventually(lambda: house.channel.sent_to(1) == [SORRY, "re fresh", SORRY])
        await eventually(house.settled)
    assert house.model.asked == ["fresh"]
    assert house.outcomes() == {"expired": 5, "answered": 1}
    assert [r for (r,) in house.rows("SELECT role FROM messages")] == ["user", "assistant"]


async def test_the_age_that_is_too_old_counts_in_place(house: House) -> None:
    """max_update_age_s may be changed while the bot runs."""
    async with house.running() as worker:
        worker.apply(house.spec(telegram={"max_update_age_s": 60}))
        house.channel.say("x", sent_at=house.clock.now() - 61)
        await eventually(lambda: house.answers == [SORRY])


async def test_a_clock_that_jumps_a_day_ahead_makes_no_message_old(house: House) -> None:
    """What a person writes now is answered, whatever day the wall clock believes in; put right, it counts again."""
    async with house.running():
        sent_at = house.clock.now()
        house.clock.jump(86_500)
        house.channel.say("hello", sent_at=sent_at)
        await eventually(lambda: house.answers == ["re hello"])
        house.clock.jump(-86_500)
        house.channel.say("old", sent_at=sent_at - 86_500)
        await eventually(lambda: house.answers == ["re hello", SORRY])


async def test_a_model_that_fails_leaves_no_half_turn(house: House) -> None:
    """The person reads error_text, no message is stored, the failure is counted and told of, the next turn is whole."""
    house.model.errors = [ProviderRefused("bad key")]
    async with house.running() as worker:
        house.channel.say("hello")
        await eventually(lambda: house.answers == [SORRY])
        await eventually(lambda: worker.vitals().errors == 1)
        assert house.conditions.get(Condition.MODEL_REACHABLE) is False
        house.channel.say("again")
        await eventually(lambda: house.answers == [SORRY, "re again"])
        await eventually(house.settled)
        assert house.conditions.get(Condition.MODEL_REACHABLE) is True
    assert house.outcomes() == {"failed": 1, "answered": 1}
    assert [c for (c,) in house.rows("SELECT content FROM messages ORDER BY seq")] == ["again", "re again"]
    [lost], [regained] = house.events(ModelLost), house.events(ModelRegained)
    assert (lost.data(), regained.data()["failed"]) == ({"reason": "bad key"}, 1)
    assert house.events(TurnFailed) == []
    assert house.rows("SELECT turns, errors FROM bots") == [(2, 1)]


async def test_a_message_the_model_will_not_answer_is_told_by_itself(house: House) -> None:
    """The model is there: what failed is this one message."""
    house.model.errors = [RequestRefused("too long")]
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.answers == [SORRY])
        await eventually(house.settled)
    [event] = house.events(TurnFailed)
    assert event.data() == {"update_id": 1, "error": "too long"}
    assert house.events(ModelLost) == []


async def test_a_model_that_fails_for_a_moment_is_asked_again(house: House) -> None:
    """Retries are the engine's; the person notices nothing."""
    house.model.errors = [ProviderUnavailable("busy")]
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.model.asked == ["hello"])
        await house.advance(2)
        await eventually(lambda: house.answers == ["re hello"])
    assert house.model.asked == ["hello", "hello"]


async def test_typing_is_shown_while_it_takes_a_while(house: House) -> None:
    """Not at once: only after half a second, then every 4.5 s, and no more once the answer is there."""
    house.model.hold()
    async with house.running():
        house.channel.say("hello", 5)
        await eventually(lambda: house.model.waiting == 1)
        await house.advance(0.4)
        assert len(house.channel.typing) == 0
        await house.advance(0.2)
        assert [lane.chat_id for lane in house.channel.typing] == [5]
        await house.advance(4.5)
        assert len(house.channel.typing) == 2
        await house.advance(9)
        assert len(house.channel.typing) == 4
        house.model.release()
        await eventually(lambda: house.answers == ["re hello"])
        await house.advance(30)
        assert len(house.channel.typing) == 4
        assert house.clock.waiting <= 1


async def test_a_quick_answer_shows_no_typing(house: House) -> None:
    """An answer that is there at once costs no request for the action."""
    async with house.running():
        for n in range(10):
            house.channel.say(f"m{n}")
        await eventually(lambda: len(house.answers) == 10)
        await house.advance(5)
    assert len(house.channel.typing) == 0


async def test_an_answer_waits_for_the_database_and_is_not_asked_again(house: House) -> None:
    """The model has answered, the database refuses: the answer stays in memory until it is back."""
    house.model.hold()
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.model.waiting == 1)
        await house.break_store()
        house.model.release()
        await eventually(lambda: house.store.fault is not None)
        await house.advance(120)
        assert house.answers == []
        await house.mend_store()
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
    assert house.model.asked == ["hello"]
    assert house.ambiguous() == 0


async def test_a_turn_reported_as_failed_that_was_committed(house: House) -> None:
    """The database file vanishes under the commit of a turn and comes back: the answer goes out, once."""
    away = house.path.with_suffix(".away")
    house.model.hold()
    async with house.running():
        house.channel.say("hello")
        await eventually(lambda: house.model.waiting == 1)
        house.path.rename(away)
        house.model.release()
        await eventually(lambda: house.store.fault is not None)
        away.rename(house.path)
        assert await house.store.probe(house.services.now_ms())
        await eventually(lambda: house.answers == ["re hello"])
        await eventually(house.settled)
    assert house.model.asked == ["hello"]
    assert house.rows("SELECT count(*) FROM messages") == [(2,)]


async def test_turns_are_measured(house: House) -> None:
    """Messages, replies, tokens and times of turns are there by the minute, and percentiles at once."""
    async with house.running() as worker:
        for n in range(3):
            house.channel.say(f"m{n}")
        await eventually(house.settled)
        await eventually(lambda: worker.vitals().inbox_open == worker.vitals().outbox_open == 0)
        await house.services.metrics.flush(house.store)
    rows = dict(house.rows("SELECT name, sum(total) FROM metrics GROUP BY name"))
    assert (rows["messages"], rows["replies"], rows["tokens_in"], rows["tokens_out"]) == (3, 3, 9, 6)
    assert {"turn_s", "model_s"} <= rows.keys()
    assert house.services.metrics.percentile("support", "turn_s", 0.5) == 0.0
