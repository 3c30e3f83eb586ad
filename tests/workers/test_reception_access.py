"""Who may speak to a bot: lists in files, decisions at run time, codes, lock-outs."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import eventually
from tests.workers.lobby import GROUP, Lobby, incoming, made_anew, open_lobby
from workers.channels.base import Lane
from workers.reception.outcomes import Ask, Drop, Say
from workers.reception.pairing import (
    ALPHABET,
    LOCKED_S,
    MAX_PEOPLE,
    WRONG_OF_ALL,
    WRONG_OF_ONE,
    Attempts,
    code_in,
    digest_of,
    new_code,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lobby(tmp_path: Path) -> AsyncIterator[Lobby]:
    async with open_lobby(tmp_path) as made:
        yield made


async def issue(lobby: Lobby, minutes: float = 10) -> str:
    """What `botdeck pair` does."""
    code, now_ms = new_code(), lobby.house.services.now_ms()
    await lobby.partition.access.new_code(digest_of("support", code), now_ms + int(minutes * 60_000), "test", now_ms)
    return code


async def test_an_open_bot_answers_everybody_but_those_blocked(lobby: Lobby) -> None:
    """By number or name in the file, by number at run time; they hear nothing at all."""
    lobby.house.spec(access={"block": [2, "@Mallory"]})
    async with lobby.house.running():
        assert await lobby.say(1, "hi") == ["re hi"]
        assert await lobby.say(2, "hi") == []
        assert await lobby.say(3, "hi", username="mallory") == []
        await lobby.partition.access.set(1, "blocked", "", "test", 1)
        assert await lobby.say(1, "hi again") == []
        await lobby.partition.access.remove(1)
        assert await lobby.say(1, "and again") == ["re and again"]
    assert lobby.house.outcomes() == {"answered": 2, "denied": 3}


async def test_an_allow_list_lets_in_who_is_on_it(lobby: Lobby) -> None:
    """People by number or name, groups by number, admins, and whom the operator let in; others are told, politely."""
    lobby.house.spec(access={"mode": "allowlist", "allow": [1, "@anna", GROUP], "admins": [5]})
    async with lobby.house.running() as worker:
        for chat_id, how in ((1, {}), (2, {"username": "Anna"}), (5, {})):
            assert await lobby.say(chat_id, "hi", **how) == ["re hi"]
        [told] = await lobby.say(4, "hi")
        assert "your number is 4" in told
        assert await lobby.say(4, "please") == []
        assert len(await lobby.say(GROUP, "@support_bot hi", user_id=9)) == 1
        assert await lobby.say(-7, "@support_bot hi", user_id=9) == []
        await lobby.partition.access.set(4, "paired", "", "test", 1)
        assert await lobby.say(4, "now?") == ["re now?"]
        worker.apply(lobby.house.spec(access={"mode": "open"}))
        assert len(await lobby.say(-7, "@support_bot hi", user_id=9)) == 1
    assert lobby.house.outcomes()["denied"] == 3


async def test_a_blocked_admin_is_blocked(lobby: Lobby) -> None:
    """Whatever else is said."""
    lobby.house.spec(access={"mode": "allowlist", "allow": [1], "admins": [1], "block": [1]})
    async with lobby.house.running():
        assert await lobby.say(1, "hi") == []


async def test_a_code_lets_in_once(lobby: Lobby) -> None:
    """However it is typed; whoever has used it stays in, the next bearer does not get in; the model never sees it."""
    lobby.house.spec(access={"mode": "pairing"})
    async with lobby.house.running():
        assert await lobby.say(1, "hi") == ["This bot is private. Send me the code you were given."]
        code = await issue(lobby)
        assert await lobby.say(1, f" {code.lower().replace('-', ' ')} ") == ["Welcome! Write to me, and I answer."]
        assert await lobby.say(1, "hi") == ["re hi"]
        assert await lobby.say(2, code, language="ru") == ["Этот код не действует или уже не действует."]
        assert await lobby.say(2, f"/start {await issue(lobby)}") == ["Welcome! Write to me, and I answer."]
    async with lobby.house.running():
        assert await lobby.say(2, "still in?") == ["re still in?"]
    assert lobby.asked == ["hi", "still in?"]
    people = {row.user_id: (row.state, row.by) for row in await lobby.partition.access.all()}
    assert people == {1: ("paired", "test"), 2: ("paired", "test")}
    assert all(code not in str(row) for row in lobby.house.rows("SELECT * FROM pairing_codes"))


async def test_a_code_expires(lobby: Lobby) -> None:
    """By the clock it was made by."""
    lobby.house.spec(access={"mode": "pairing"})
    async with lobby.house.running():
        code = await issue(lobby, minutes=10)
        await lobby.house.advance(601)
        [told] = await lobby.say(1, code)
    assert "not valid" in told


async def test_who_guesses_is_locked_out(lobby: Lobby) -> None:
    """After a few wrong codes even the right one does not help, for a quarter of an hour; others are let in."""
    lobby.house.spec(access={"mode": "pairing"})
    async with lobby.house.running():
        for _ in range(WRONG_OF_ONE - 1):
            assert "not valid" in (await lobby.say(1, new_code()))[0]
        assert await lobby.say(1, new_code()) == ["Too many wrong codes. Please try again in 16 minutes."]
        code = await issue(lobby, minutes=60)
        assert await lobby.say(1, code) == []
        assert len(await lobby.say(2, await issue(lobby, minutes=60))) == 1
        await lobby.house.advance(LOCKED_S + 1)
        assert await lobby.say(1, code) == ["Welcome! Write to me, and I answer."]


async def test_many_who_guess_lock_pairing_for_all(lobby: Lobby) -> None:
    """A crowd has no more tries than that together."""
    attempts = Attempts()
    for user in range(WRONG_OF_ALL):
        assert attempts.locked_s(user, 0.0) == 0
        attempts.wrong(user, 0.0)
    assert attempts.locked_s(99_999, 1.0) == LOCKED_S - 1
    assert attempts.locked_s(99_999, LOCKED_S) == 0
    for user in range(5000):
        attempts.wrong(user, LOCKED_S * 2 + user)
    assert len(attempts._of) == MAX_PEOPLE


async def test_strangers_in_groups_hear_nothing(lobby: Lobby) -> None:
    """Neither a notice nor a welcome: a code is for a private chat."""
    lobby.house.spec(access={"mode": "pairing"})
    async with lobby.house.running():
        code = await issue(lobby)
        assert await lobby.say(GROUP, "@support_bot hi", user_id=3) == []
        assert await lobby.say(GROUP, code, user_id=3) == []
        assert len(await lobby.say(3, code)) == 1
        assert len(await lobby.say(GROUP, "@support_bot hi", user_id=3)) == 1


async def test_a_press_of_somebody_shut_out_is_answered_with_a_note(lobby: Lobby) -> None:
    """The button stops waiting, and nothing else happens."""
    lobby.house.spec(commands=[{"name": "ask", "text": "Well?", "buttons": ["Yes"]}])
    async with lobby.house.running() as worker:
        await lobby.say(1, "/ask")
        worker.apply(lobby.house.spec(access={"mode": "allowlist"}))
        assert await lobby.press(1, "Yes") == []
    assert "not open to everybody" in lobby.bot.notes[0]
    assert lobby.asked == []


async def test_a_code_redeemed_before_a_crash_welcomes_again(lobby: Lobby) -> None:
    """The process ended after the code was used up and before the welcome was recorded: it is no question now."""
    code = await issue(lobby)
    for _ in range(2):
        reception, _channel = made_anew(lobby.house, channel="none", access={"mode": "pairing"})
        became = await reception.receive(incoming(code))
        assert isinstance(became, Say)
        assert became.text == "Welcome! Write to me, and I answer."
    assert isinstance(await reception.receive(incoming("hi")), Ask)


async def test_somebody_blocked_uses_no_code_up(lobby: Lobby) -> None:
    """Whom the operator shut out is not let in by a code that was meant for somebody else."""
    code = await issue(lobby)
    await lobby.partition.access.set(1, "blocked", "", "test", 1)
    reception, _ = made_anew(lobby.house, channel="none", access={"mode": "pairing"})
    assert isinstance(await reception.receive(incoming(code)), Drop)
    assert isinstance(await reception.receive(incoming(code, user_id=2, lane=Lane(2))), Say)


async def test_the_plain_path_reads_no_database(lobby: Lobby) -> None:
    """An open bot asks the store once whether anything was decided about anybody, and then no more."""
    reception, _ = made_anew(lobby.house, channel="none")
    await reception.receive(incoming("hi"))
    reader = lobby.house.store._reader
    fetched: list[str] = []
    fetch = reader.fetch

    async def note(sql: str, *parameters: object) -> object:
        fetched.append(sql)
        return await fetch(sql, *parameters)

    reader.fetch = note  # type: ignore[assignment,method-assign]
    for user in range(50):
        assert isinstance(await reception.receive(incoming("hi", user_id=user, lane=Lane(user))), Ask)
    assert fetched == []
    await lobby.partition.access.set(3, "blocked", "", "test", 1)
    assert isinstance(await reception.receive(incoming("hi", user_id=3, lane=Lane(3))), Drop)
    await eventually(lambda: bool(fetched))


def test_codes_are_random_and_hard_to_misread() -> None:
    """Two of the same would be a wonder; no sign that looks like another."""
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(set(code) <= {*ALPHABET, "-"} and code_in(code) == code for code in codes)
    assert len(ALPHABET) == 32
    assert not {"0", "O", "1", "I"} & set(ALPHABET)


def test_digests_belong_to_one_bot() -> None:
    """The same code is another digest for another bot, and never the code."""
    digest = digest_of("a", "ABCDE-23456")
    assert digest != digest_of("b", "ABCDE-23456")
    assert len(digest) == len(hashlib.sha256().hexdigest())


@pytest.mark.parametrize(
    "text", ["hello", "good-night", "1234567890", "HAPPY-HOURS", "", "a" * 5000, "ABCDE-2345O", "7" * 12]
)
def test_what_people_write_is_no_code(text: str) -> None:
    """Words and numbers are not taken for attempts."""
    assert code_in(text) is None


@given(st.text(max_size=15))
def test_any_text_is_a_code_or_not(text: str) -> None:
    """Whatever it is, nothing is raised, and what is taken for a code has its form."""
    code = code_in(text)
    assert code is None or code_in(code) == code
