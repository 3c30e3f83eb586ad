"""Rate limits: tokens, their bounds, and what people are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema import LimitsSection
from tests.workers.lobby import GROUP, Lobby, open_lobby
from workers.errors import RateLimitError
from workers.reception.limits import MAX_BUCKETS, Buckets, Notices, RateLimits

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lobby(tmp_path: Path) -> AsyncIterator[Lobby]:
    async with open_lobby(tmp_path) as made:
        yield made


STEPS = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200)


@given(st.integers(1, 30), STEPS)
def test_no_window_lets_more_through_than_its_share(per_min: int, steps: list[float]) -> None:
    """Between any two moments: at most a full bucket and what has flowed in since."""
    buckets, now, taken = Buckets(per_min), 0.0, []
    for step in steps:
        now += step
        if not buckets.wait_s(7, now):
            buckets.take(7, now)
            taken.append(now)
    for first, since in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= per_min + (taken[last] - since) * per_min / 60 + 1e-6


@given(st.integers(1, 30), STEPS)
def test_who_waits_as_long_as_told_gets_through(per_min: int, steps: list[float]) -> None:
    """The wait that is named is enough, and a moment less is not."""
    buckets, now = Buckets(per_min), 0.0
    for step in steps:
        now += step
        wait_s = buckets.wait_s(7, now)
        assert wait_s <= 60 / per_min + 1e-6
        if wait_s > 1e-3:
            assert buckets.wait_s(7, now + wait_s - 1e-3) > 0
        now += wait_s
        assert buckets.wait_s(7, now) == 0
        buckets.take(7, now)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5)), max_size=100))
def test_buckets_know_nothing_of_each_other(said: list[tuple[int, float]]) -> None:
    """What one person does is the same whether others speak or not."""
    together, alone, now = Buckets(5), {key: Buckets(5) for key in range(4)}, 0.0
    for key, step in said:
        now += step
        assert together.wait_s(key, now) == alone[key].wait_s(key, now)
        if not together.wait_s(key, now):
            together.take(key, now)
            alone[key].take(key, now)


def test_memory_is_bounded() -> None:
    """Whoever comes, no more than so many buckets and notices are held; the one used longest ago goes."""
    buckets, notices = Buckets(2), Notices()
    for key in range(MAX_BUCKETS * 2):
        buckets.take(key, 0.0)
        assert notices.owed(key, 0.0)
    assert len(buckets) == MAX_BUCKETS
    assert len(notices._told) == 1024
    assert buckets.wait_s(MAX_BUCKETS * 2 - 1, 0.0) == 0


def test_a_clock_that_stands_or_jumps_back_gives_nothing_away() -> None:
    """Tokens only come with time that passes."""
    buckets = Buckets(1)
    buckets.take(1, 100.0)
    assert buckets.wait_s(1, 50.0) == 60.0


def test_a_refusal_can_be_raised() -> None:
    """A program that asks gets it as an error with the time to wait; nothing was counted for it."""
    limits = RateLimits(LimitsSection(user_per_min=1, bot_per_min=100))
    assert limits.admit(1, 1, 0.0) is None
    error = limits.admit(1, 1, 10.0)
    assert isinstance(error, RateLimitError)
    assert (error.scope, error.retry_after_s) == ("user", 50.0)
    assert "limits.user_per_min" in error.hint
    with pytest.raises(RateLimitError, match="1 messages a minute of one user"):
        raise error
    assert limits._buckets["bot"]._tokens(0, 0.0) == 99.0


def test_numbers_that_stay_keep_their_buckets() -> None:
    """An edit elsewhere is no fresh start; a new number is."""
    limits = RateLimits(LimitsSection(user_per_min=1, chat_per_min=5))
    limits.admit(1, 1, 0.0)
    limits.apply(LimitsSection(user_per_min=1, chat_per_min=9))
    assert limits.admit(1, 1, 0.0) is not None
    limits.apply(LimitsSection(user_per_min=0))
    assert limits.off


async def test_too_many_messages_of_one_person(lobby: Lobby) -> None:
    """One polite notice, then silence; others go on; after a while so does the person."""
    lobby.house.spec(limits={"user_per_min": 2})
    async with lobby.house.running():
        for text in ("one", "two"):
            assert await lobby.say(1, text) == [f"re {text}"]
        assert await lobby.say(1, "three", language="ru") == ["Для меня это слишком быстро. Попробуйте через 31 с."]
        assert await lobby.say(1, "four") == []
        assert await lobby.say(2, "hello") == ["re hello"]
        await lobby.house.advance(31)
        assert await lobby.say(1, "five") == ["re five"]
        assert await lobby.say(1, "six") == []
        await lobby.house.advance(30)
        assert await lobby.say(1, "seven") == ["re seven"]
        assert len(await lobby.say(1, "eight")) == 1
    assert lobby.asked == ["one", "two", "hello", "five", "seven"]
    assert lobby.house.outcomes() == {"answered": 5, "limited": 4}


async def test_limits_of_a_chat_and_of_the_bot(lobby: Lobby) -> None:
    """A group counts whoever speaks, the bot counts everybody; commands count, admins do not."""
    lobby.house.spec(limits={"chat_per_min": 2, "bot_per_min": 3}, access={"admins": [5]})
    async with lobby.house.running() as worker:
        for user in (7, 8):
            assert len(await lobby.say(GROUP, "/help", user_id=user)) == 1
        [notice] = await lobby.say(GROUP, "@support_bot hi", user_id=9)
        assert "too fast" in notice
        assert await lobby.say(5, "admin") == ["re admin"]
        assert await lobby.say(1, "one") == ["re one"]
        assert "too fast" in (await lobby.say(2, "two"))[0]
        assert await lobby.say(GROUP, "just talking", user_id=9) == []
        worker.apply(lobby.house.spec(limits={"chat_per_min": 0, "bot_per_min": 0}))
        assert await lobby.say(2, "three") == ["re three"]
    assert lobby.sent(GROUP)[-1].params["reply_parameters"]["message_id"] == 5


async def test_a_press_too_many_is_told_in_its_note(lobby: Lobby) -> None:
    """The chat is not filled with notices for it."""
    lobby.house.spec(limits={"user_per_min": 2}, commands=[{"name": "ask", "text": "Well?", "buttons": ["Yes"]}])
    async with lobby.house.running():
        await lobby.say(1, "/ask")
        assert await lobby.press(1, "Yes") == ["re Yes"]
        lobby.bot.press(1, 2, "say:0")
        await lobby.settled()
    assert "too fast" in lobby.bot.notes[-1]
    assert len(lobby.sent()) == 2
