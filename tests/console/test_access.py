"""Codes, people let in and shut out: over both Controls, and as typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.control import Control, EventQuery
from console.errors import BadRequest
from console.runtime import Fleet
from console.sandbox.server import Sandbox
from store.access import BLOCKED
from tests.operated import World
from tests.waiting import eventually
from workers.errors import NoSuchBot
from workers.reception.pairing import code_in


@pytest.mark.anyio
async def test_a_code_is_made_and_shown_once(control: Control, fleet: Fleet) -> None:
    """It is good for its minutes; neither the journal nor the database holds it."""
    made = await control.pair("alpha", minutes=10, actor="test:ana")
    assert code_in(made["code"]) == made["code"]
    assert made["expires_at"] == pytest.approx(fleet.clock.now() + 600, abs=30)
    assert made["mode"] == "open"
    assert (await control.access("alpha"))["open_codes"] == 1
    acted = await control.events(EventQuery(("alpha",), kinds=("OperatorActed",)))
    assert [(event["data"]["action"], event["actor"]) for event in acted] == [("pair", "test:ana")]
    assert made["code"] not in json.dumps(acted)
    for minutes in (0.0, -1.0, 1e9):
        with pytest.raises(BadRequest):
            await control.pair("alpha", minutes=minutes, actor="test")
    with pytest.raises(NoSuchBot):
        await control.pair("alhpa", minutes=10, actor="test")


@pytest.mark.anyio
async def test_decisions_count_for_the_next_message(control: Control, double: Sandbox) -> None:
    """Blocked, forgotten, let in: without a restart, and written down with who decided."""
    bot = double.find_bot("alpha_bot")
    assert bot is not None
    bot.say(501, "one")
    await eventually(lambda: len(bot.sent_to(501)) == 1)
    answer = await control.access("alpha", block=[501], actor="test:ana")
    assert [(row["user_id"], row["state"], row["by"]) for row in answer["people"]] == [(501, BLOCKED, "test:ana")]
    bot.say(501, "two")
    bot.say(502, "three")
    await eventually(lambda: len(bot.sent_to(502)) == 1 and bot.pending == 0)
    answer = await control.access("alpha", remove=[501], allow=[7], actor="test:ana")
    assert [(row["user_id"], row["state"]) for row in answer["people"]] == [(7, "paired")]
    bot.say(501, "four")
    await eventually(lambda: len(bot.sent_to(501)) == 2)
    assert "four" in bot.sent_to(501)[1].text
    acted = await control.events(EventQuery(("alpha",), kinds=("OperatorActed",)))
    assert [event["data"]["action"] for event in acted] == ["block", "allow", "forget"]


@pytest.mark.anyio
async def test_numbers_that_are_nobodys_are_refused(control: Control) -> None:
    """And nothing of the order is done."""
    for order in ({"allow": [0]}, {"block": [-5]}, {"allow": [2**60]}, {"allow": [5], "block": [5]}):
        with pytest.raises(BadRequest):
            await control.access("alpha", **order, actor="test")  # type: ignore[arg-type]
    assert (await control.access("alpha"))["people"] == []
    with pytest.raises(NoSuchBot):
        await control.access("nobody")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    made.add_bot("club", access={"mode": "pairing", "admins": [9]})
    made.start()
    yield made
    made.end()


def test_pairing_as_typed(world: World) -> None:
    """The operator makes a code, a person sends it, the list shows the person; a removal shuts them out again."""
    assert "private" in world.ask("club", "let me in", chat_id=7)
    made = world.cli("pair", "club", "--minutes", "5")
    code = made.stdout.strip()
    assert (made.returncode, code_in(code)) == (0, code)
    assert "good once" in made.stderr
    assert "Welcome" in world.ask("club", code, chat_id=7)
    assert world.ask("club", "hello", chat_id=7) == "hello"
    shown = world.cli("access", "club")
    assert "open to those on its lists and to who sends a code" in shown.stdout
    assert "admins = 9" in shown.stdout
    assert "paired" in shown.stdout
    removed = json.loads(world.cli("access", "club", "--remove", "7", "--json").stdout)
    assert removed["people"] == []
    assert "private" in world.ask("club", "again", chat_id=8)


def test_a_bot_that_is_not_there(world: World) -> None:
    """Exit code 4, and the nearest name."""
    done = world.cli("pair", "clubb")
    assert done.returncode == 4
    assert "club" in done.stderr
    assert world.cli("access", "club", "--allow", "x").returncode == 2
    assert world.cli("access", "club", "--allow", "-3").returncode == 2


def test_a_code_for_a_bot_that_takes_none(world: World, tmp_path: Path) -> None:
    """The operator is told that it does not count."""
    world.add_bot("open_house")
    world.cli("reload")
    assert (
        'note: [access] mode of open_house is open; a code counts where it is "pairing"'
        in world.cli("pair", "open_house").stderr
    )
