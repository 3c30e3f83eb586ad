"""SIGKILL while an answer is shown being made, and while an album is gathered: one answer in the end, not two."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from console.sandbox.bots import SandboxBot
from console.sandbox.files import photo
from console.sandbox.server import Sandbox
from tests.fleet_process import FleetProcess, fleet_process, query, write_bot
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

CHAT = 501
ANSWER = " ".join(f"word{n}" for n in range(20))
JPEG = b"\xff\xd8\xff picture"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        double.model.answer = lambda _: ANSWER
        yield double


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetProcess]:
    async with fleet_process(tmp_path) as process:
        yield process


def bot_of(sandbox: Sandbox, fleet: FleetProcess, **sections: dict[str, object]) -> SandboxBot:
    bot = sandbox.add_bot()
    llm = {"provider": "openai", "model": "m", "base_url": sandbox.model_url, "api_key": "sk-key", "images": True}
    telegram = {"base_file_url": sandbox.base_file_url, "ambiguous_send": "resend"}
    write_bot(fleet.root, "support", bot.token, sandbox.base_url, llm=llm, telegram=telegram, **sections)
    return bot


def standing(bot: SandboxBot) -> list[str]:
    """What stands in the chat of the bot's messages."""
    shown = {sent.message_id: sent.text for sent in bot.sent_to(CHAT)}
    return [text for number, text in sorted(shown.items()) if number not in bot.deleted]


async def settled(root: Path) -> None:
    """Wait until nothing is open, and see that the answer was paid for once."""
    open_rows = (
        "SELECT (SELECT count(*) FROM updates WHERE outcome IS NULL)"
        " + (SELECT count(*) FROM outbox WHERE state IN ('pending', 'attempting'))"
    )
    await eventually(lambda: query(root, "SELECT count(*) FROM outbox") != [(0,)] and query(root, open_rows) == [(0,)])
    assert query(root, "SELECT count(*) FROM usage") == [(1,)]
    assert query(root, "PRAGMA integrity_check") == [("ok",)]


async def test_killed_while_an_answer_is_shown(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """What was shown becomes the answer of the process started next."""
    bot = bot_of(sandbox, fleet, reply={"stream": "edit"})
    hold = sandbox.model.faults.fail("chat", "hold_between", after_pieces=10)
    bot.say(CHAT, "hello")
    await fleet.started()
    await hold.reached()
    await eventually(lambda: query(fleet.root, "SELECT 1 FROM updates WHERE preview_id > 0"))
    await fleet.kill()
    (partial,) = standing(bot)
    assert partial.endswith("…")
    sandbox.model.faults.clear()
    await fleet.started()
    await settled(fleet.root)
    assert standing(bot) == [ANSWER]
    assert [sent.method for sent in bot.sent].count("sendMessage") == 1


async def test_killed_while_the_first_frame_is_in_flight(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """It arrived, but nobody knows its number: it is counted, said in status, and the answer comes whole beside it.

    What is left over ends in an ellipsis.
    """
    bot = bot_of(sandbox, fleet, reply={"stream": "edit"})
    sandbox.model.faults.fail("chat", "hold_between", after_pieces=10)
    frame = bot.faults.fail("sendMessage", "hold_after")
    bot.say(CHAT, "hello")
    await fleet.started()
    await frame.reached()
    await fleet.kill()
    sandbox.model.faults.clear()
    bot.faults.clear()
    await fleet.started()
    await settled(fleet.root)
    beside, answer = standing(bot)
    assert (answer, beside.endswith("…")) == (ANSWER, True)
    assert query(fleet.root, "SELECT ambiguous_sends FROM bots WHERE bot_id = 'support'") == [(1,)]
    ask = [sys.executable, "-m", "console", "status", "--json", "-C", str(fleet.root)]
    status = await anyio.run_process(ask, check=False)
    assert status.stdout, (status.stderr, status.returncode)
    (row,) = json.loads(status.stdout)["bots"]
    assert row["ambiguous_sends"] == 1


@pytest.mark.parametrize("moment", ["hold", "hold_after"])
async def test_killed_while_the_last_edit_is_in_flight(sandbox: Sandbox, fleet: FleetProcess, moment: str) -> None:
    """Whether it arrived or not, to do it again is seen once: nothing is in doubt."""
    bot = bot_of(sandbox, fleet, reply={"stream": "edit"})
    hold = sandbox.model.faults.fail("chat", "hold_between", after_pieces=10)
    bot.say(CHAT, "hello")
    await fleet.started()
    await hold.reached()
    await eventually(lambda: standing(bot))
    edit = bot.faults.fail("editMessageText", moment)
    hold.release()
    await edit.reached()
    await fleet.kill()
    bot.faults.clear()
    await fleet.started()
    await settled(fleet.root)
    assert standing(bot) == [ANSWER]
    assert query(fleet.root, "SELECT ambiguous_sends FROM bots WHERE bot_id = 'support'") == [(0,)]


async def test_killed_while_an_album_is_answered(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """Its pictures are fetched anew, and it is one question still."""
    bot = bot_of(sandbox, fleet)
    hold = sandbox.model.faults.fail("chat", "hold")
    for caption in ("which is better?", ""):
        bot.say(CHAT, caption, more=photo(bot, JPEG, album="7"))
    await fleet.started()
    await hold.reached()
    await fleet.kill()
    sandbox.model.faults.clear()
    await fleet.started()
    await settled(fleet.root)
    assert standing(bot) == [ANSWER]
    assert [len(call.images) for call in sandbox.model.calls] == [2, 2]
    assert query(fleet.root, "SELECT outcome FROM updates") == [("answered",)] * 2
    assert not (fleet.root / "media").exists()


async def test_killed_while_a_file_is_fetched(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """The message is in the inbox, and so its file is fetched by the next process."""
    bot = bot_of(sandbox, fleet)
    hold = bot.faults.fail("file", "hold")
    bot.say(CHAT, "what is it?", more=photo(bot, JPEG))
    await fleet.started()
    await hold.reached()
    await fleet.kill()
    bot.faults.clear()
    await fleet.started()
    await settled(fleet.root)
    assert standing(bot) == [ANSWER]
