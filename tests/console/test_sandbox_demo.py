"""People talk by their seed and their clock; the demo's fleet is valid and its conversation readable."""

from __future__ import annotations

import asyncio
import re
import stat
from collections import Counter
from pathlib import Path

import aiohttp
import anyio
import pytest

from config.errors import ConfigError
from config.load import Loader
from config.vocabulary import TOKEN_PATTERN
from console.sandbox import voices
from console.sandbox.bots import Line
from console.sandbox.completions import Said
from console.sandbox.demo import Demo, line_text, make_demo_fleet
from console.sandbox.model import ModelCall
from console.sandbox.people import PEOPLE, People, Persona, Photo, Press
from console.sandbox.server import Sandbox
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio


async def answer_all(sandbox: Sandbox, clock: ManualClock, *, model: bool = False) -> None:
    """Be the fleet: poll every bot and answer each message through HTTP, moving time on when all is quiet."""
    async with aiohttp.ClientSession() as session, anyio.create_task_group() as group:
        for bot in sandbox.bots.values():
            group.start_soon(_be_bot, session, sandbox, bot.token, model)
        while True:
            await anyio.sleep(0.001)
            await clock.advance(0.5)


async def _be_bot(session: aiohttp.ClientSession, sandbox: Sandbox, token: str, model: bool) -> None:
    url, offset = f"{sandbox.base_url}{token}", 0
    while True:
        async with session.post(f"{url}/getUpdates", json={"offset": offset, "timeout": 50}) as answer:
            updates = (await answer.json())["result"]
        for update in updates:
            offset = update["update_id"] + 1
            if "message" not in update:
                continue
            question = update["message"].get("text", "a picture")
            reply = await _ask(session, sandbox, question) if model else f"you said {question}"
            message = {"chat_id": update["message"]["chat"]["id"], "text": reply}
            async with session.post(f"{url}/sendMessage", json=message) as answer:
                assert answer.status == 200


async def _ask(session: aiohttp.ClientSession, sandbox: Sandbox, question: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    async with session.post(f"{sandbox.model_url}/chat/completions", json=body) as answer:
        return (await answer.json())["choices"][0]["message"]["content"]


async def talk(seed: int) -> tuple[list[tuple[str, str]], People]:
    clock = ManualClock()
    async with Sandbox(clock=clock) as sandbox:
        support = sandbox.add_bot(name="Support")
        people = People(sandbox, seed=seed, rounds=1)
        async with anyio.create_task_group() as group:
            group.start_soon(answer_all, sandbox, clock)
            await people.run()
            group.cancel_scope.cancel()
        return [(line.name, line.text) for line in support.lines if not line.by_bot], people


async def test_people_say_the_same_with_the_same_seed() -> None:
    """What each person says follows from the seed; everything said is answered before the next word."""
    first, people = await talk(seed=3)
    again, _ = await talk(seed=3)
    other, _ = await talk(seed=4)
    assert Counter(first) == Counter(again)
    assert [text for name, text in first if name == "Anna"] == [text for name, text in again if name == "Anna"]
    assert Counter(first) != Counter(other)
    assert people.said == people.answered == len(first)
    assert {name for name, _ in first} <= {person.name for person in PEOPLE}


async def test_an_unanswered_person_asks_again_and_lets_it_be(clock: ManualClock) -> None:
    """Without an answer within their patience they nudge once, then go on."""
    person = Persona("Eva", 9, "en", {"": (("hi",),)}, ("ta",), nudges=("hello?",), pause_s=(1, 1), patience_s=10)
    async with Sandbox(clock=clock) as sandbox, aiohttp.ClientSession() as session:
        bot = sandbox.add_bot()
        async with session.post(f"{sandbox.base_url}{bot.token}/getUpdates") as answer:
            assert answer.status == 200
        people = People(sandbox, people=(person,), rounds=1, seed=2)
        talking = asyncio.create_task(people.run())
        while not talking.done():
            await clock.advance(1)
        await talking
    assert [line.text for line in bot.lines][:2] == ["hi", "hello?"]
    assert (people.answered, people.unanswered) == (0, people.said)


async def test_people_wait_until_a_bot_listens(clock: ManualClock) -> None:
    """Nobody writes to a bot that has never polled."""
    async with Sandbox(clock=clock) as sandbox:
        bot = sandbox.add_bot()
        talking = asyncio.create_task(People(sandbox).run())
        await clock.advance(3600)
        assert bot.pending == 0
        talking.cancel()
        await asyncio.wait([talking])


async def test_the_demo_fleet_is_valid(tmp_path: Path, clock: ManualClock) -> None:
    """Eight bots that load without a problem, whose tokens are the sandbox's and stand only in a private .env."""
    async with Sandbox(clock=clock) as sandbox:
        await make_demo_fleet(tmp_path, sandbox)
        files = [tmp_path / "fleet.toml", *(tmp_path / "bots").glob("*.toml")]
        snapshot = Loader(tmp_path, environ={}).load()
        assert snapshot.problems == ()
        assert sorted(snapshot.bots) == sorted(voices.PROMPTS)
        configs = [spec.config for spec in snapshot.bots.values()]
        assert {config.telegram.token.reveal() for config in configs} == {bot.token for bot in sandbox.bots.values()}
        assert {config.telegram.base_url for config in configs} == {sandbox.base_url}
        assert len({config.prompts.system for config in configs}) == len(voices.PROMPTS) == 8
        assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
        assert not any(re.search(TOKEN_PATTERN, file.read_text()) for file in files)
        await make_demo_fleet(tmp_path, sandbox)
        assert len(sandbox.bots) == 8


async def test_the_demo_spares_a_real_fleet(tmp_path: Path, clock: ManualClock) -> None:
    """A folder that holds another fleet is refused and left as it is."""
    (tmp_path / "fleet.toml").write_text("[fleet]\n")
    with pytest.raises(ConfigError, match="another folder"):
        async with Demo(tmp_path, clock=clock):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.toml"]


async def test_the_demo_shows_the_conversation(tmp_path: Path, clock: ManualClock) -> None:
    """Beside a fleet every line appears as it happens: time, who to whom, text."""
    shown: list[str] = []
    async with (
        Demo(tmp_path, clock=clock, rounds=1, show=shown.append, troubles=False) as demo,
        anyio.create_task_group() as group,
    ):
        group.start_soon(lambda: answer_all(demo.sandbox, clock, model=True))
        await demo.run()
        group.cancel_scope.cancel()
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d [a-z ]+ → [a-z ]+: \S.*", line) for line in shown)
    pairs = {line[9:].split(":")[0] for line in shown}
    assert {"anna → support", "support → anna", "chiara → poet", "poet → chiara", "boris → shop"} <= pairs
    assert {"dev → club", "club → bicycle club", "vera → keeper"} <= pairs
    assert demo.people.unanswered == 0


async def test_shown_lines_cannot_steer_a_terminal(clock: ManualClock) -> None:
    """Escape codes, bells and line breaks in what people write are taken out."""
    async with Sandbox(clock=clock) as sandbox:
        bot = sandbox.add_bot(name="Support")
        bot.say(7, "x")
        line = Line(1, 7, None, False, "Eve\x1b[31m", "a\x1b]0;title\x07\nb\r\n\u202ec", 1, 0.0, "message")
        assert line_text(bot, line)[8:] == " eve[31m → support: a]0;title / b / c"


async def test_shown_edits_are_marked(clock: ManualClock) -> None:
    """An answer shown while it is made is told as one message that changes."""
    async with Sandbox(clock=clock) as sandbox:
        bot = sandbox.add_bot(name="Poet")
        bot.say(7, "x", name="Eve")
        line = Line(1, 7, None, True, "Poet", "O rain", 2, 0.0, "editMessageText")
        assert line_text(bot, line)[8:] == " poet ✎ eve: O rain"


async def test_people_press_buttons_and_send_pictures(clock: ManualClock) -> None:
    """A button that is there is pressed, one that is not is written; a picture comes without words."""
    person = Persona("Eva", 9, "en", {"": ((Photo("a cat"), Press("Yes"), Press("No")),)}, (), (), (1, 1), 1)
    async with Sandbox(clock=clock) as sandbox, aiohttp.ClientSession() as session:
        bot = sandbox.add_bot()
        url = f"{sandbox.base_url}{bot.token}"
        async with session.post(f"{url}/getUpdates") as answer:
            assert answer.status == 200
        button = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}
        bot.say(9, "hi")
        async with session.post(
            f"{url}/sendMessage", json={"chat_id": 9, "text": "?", "reply_markup": button}
        ) as answer:
            assert answer.status == 200
        people = People(sandbox, people=(person,), rounds=1)
        talking = asyncio.create_task(people.run())
        while not talking.done():
            await clock.advance(1)
        await talking
        async with session.post(f"{url}/getUpdates") as answer:
            _, photo, press, written = (await answer.json())["result"]
    assert photo["message"]["photo"] and "caption" not in photo["message"]
    assert press["callback_query"]["data"] == "y"
    assert written["message"]["text"] == "No"
    assert (people.said, people.unanswered) == (3, 3)


def test_every_voice_speaks_by_its_prompt() -> None:
    """The demo's model has a character per prompt, the same words each time, and goes on with the conversation."""

    def said(prompt: str, turn: int) -> str | Said:
        question = {"role": "user", "content": "How much is the red saddle?"}
        messages = [{"role": "system", "content": prompt}, *[question] * turn]
        return voices.answer(ModelCall("m", messages, False, {}, ""))

    answers = {name: said(prompt, 1) for name, prompt in voices.PROMPTS.items()}
    assert len(set(answers.values())) == len(voices.PROMPTS)
    assert "euros" in str(answers["shop"]) and "\n" in str(answers["poet"]) and "saddle" in str(answers["poet"])
    assert said(voices.PROMPTS["support"], 2) != answers["support"]
    assert said("anything else", 1) == "How much is the red saddle?"
