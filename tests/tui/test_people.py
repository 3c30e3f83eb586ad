"""The people of a bot in the console: listed, let in and shut out, invited, and what is known of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from console.attach import connect
from console.errors import NoFleet
from console.runtime import Fleet, open_fleet
from console.tui.panels.people import everybody
from tests.tui.consoles import console, running_fleet, screen_text, seen, told
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "shop") as running:
        yield running


async def states(fleet: Fleet) -> list[tuple[int, str]]:
    return [(row["user_id"], row["state"]) for row in (await fleet.control.access("poet"))["people"]]


async def test_people_are_listed_with_who_decided_and_those_of_the_file(fleet: Fleet) -> None:
    """Decided here with name of the operator and moment; from the file, marked so; nobody at all is said."""
    async with console(fleet.control, size=(100, 30)) as pilot:
        pilot.app.open_bot("poet", "people")
        await seen(pilot, "open: everybody", "Nobody is listed")
        path = fleet.place.root / "bots" / "poet.toml"
        path.write_text(
            f'{path.read_text()}[access]\nmode = "pairing"\nallow = [7, "@anna"]\nblock = [9]\nadmins = [1]\n'
        )
        await fleet.reloader.reload(patient=False)
        await fleet.control.access("poet", block=[666], actor="cli:ana")
        await seen(pilot, "who sends a code", "ana (cli)", "666", "@anna", "its file", "admin")
        lines = [line.split() for line in screen_text(pilot).splitlines()]
        assert ["9", "blocked", "its", "file"] in lines
        assert ["7", "allowed", "its", "file"] in lines


async def test_a_person_is_let_in_shut_out_and_forgotten(fleet: Fleet) -> None:
    """By number, asked first; the person the cursor is at stands there; a hasty Enter does nothing."""
    async with console(fleet.control, size=(100, 30)) as pilot:
        pilot.app.open_bot("poet", "people")
        await seen(pilot, "Nobody is listed")
        await pilot.press("A", *"50x", "enter")
        await seen(pilot, "Allow: who, of poet?", "a person's number, such as")
        await pilot.press("backspace", "1", "enter", "enter")
        await told(pilot, "let in: 501 of poet")
        await seen(pilot, "501", "paired", "(console)")
        await pilot.press("B")
        await seen(pilot, "Block: who, of poet?")
        assert pilot.app.screen.query_one(Input).value == "501"
        await pilot.press("enter")
        await eventually(lambda: len(pilot.app.screen_stack) == 3)
        assert await states(fleet) == [(501, "paired")]
        await pilot.press("B", "right", "enter")
        await told(pilot, "shut out: 501")
        await seen(pilot, "blocked")
        await pilot.press("U", "right", "enter")
        await told(pilot, "unlisted: 501")
        await seen(pilot, "Nobody is listed")
        assert await states(fleet) == []


async def test_a_code_is_made_and_shown_once(fleet: Fleet) -> None:
    """With its minutes, and that the mode would have to be pairing; closed, it is nowhere to be seen."""
    async with console(fleet.control, size=(100, 30)) as pilot:
        pilot.app.open_bot("poet", "people")
        await seen(pilot, "open: everybody")
        await pilot.press("C")
        await seen(pilot, "A code for poet")
        line = pilot.app.screen.query_one(Input)
        line.value = "0"
        await seen(pilot, "whole minutes")
        line.value = "25"
        await pilot.press("right", "enter")
        await seen(pilot, "for 25 minutes", "mode is open")
        code = str(pilot.app.screen.query_one("#code").render())  # type: ignore[attr-defined]
        assert code in screen_text(pilot)
        await pilot.press("escape")
        await seen(pilot, "1 code not used yet")
        assert code not in screen_text(pilot)


async def test_a_profile_is_shown_and_edited(fleet: Fleet) -> None:
    """Nothing known; a fact written down, changed and deleted, each after being asked."""
    await fleet.control.access("poet", allow=[501], actor="cli:ana")
    async with console(fleet.control, size=(100, 30)) as pilot:
        pilot.app.open_bot("poet", "people")
        await seen(pilot, "501", "paired")
        await pilot.press("enter")
        await seen(pilot, "What poet knows of 501", "Nothing is known")
        await pilot.press("n", *"city", "enter")
        await seen(pilot, "name = value, such as")
        pilot.app.screen.query_one(Input).value = "city = Bern"
        await pilot.press("enter", "enter")
        await seen(pilot, "city = Bern", "(console)")
        await pilot.press("enter")
        await seen(pilot, "A fact about 501")
        pilot.app.screen.query_one(Input).value = "city = Basel"
        await pilot.press("right", "enter")
        await seen(pilot, "city = Basel")
        await pilot.press("d")
        await seen(pilot, "Delete city?")
        await pilot.press("right", "enter")
        await seen(pilot, "Nothing is known")
        assert await fleet.control.profile("poet", "501") == []


async def test_looking_only_decides_nothing(fleet: Fleet) -> None:
    """--readonly: people, codes and profiles are shown; every order is refused with the reason."""
    await fleet.control.access("poet", allow=[501], actor="cli:ana")
    await fleet.control.profile("poet", "501", changes={"city": "Bern"}, actor="cli:ana")
    async with console(fleet.control, size=(100, 30), readonly=True) as pilot:
        pilot.app.open_bot("poet", "people")
        await seen(pilot, "501")
        for key, title in (("A", "Allow"), ("B", "Block"), ("U", "Unlist"), ("C", "Pair")):
            await pilot.press(key)
            await told(pilot, f"{title}: this console only looks")
        await pilot.press("enter")
        await seen(pilot, "city = Bern")
        for key in ("n", "d", "enter"):
            await pilot.press(key)
        await told(pilot, "Profile: this console only looks")
        assert len(pilot.app.screen_stack) == 4


async def test_an_attached_console_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the socket: let in, listed, told what was spent; one that was attached to look on is refused by the fleet's door."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    root = tmp_path / "g"
    (root / "bots").mkdir(parents=True)
    (root / "bots" / "poet.toml").write_text('channel = "none"\n[llm]\nprovider = "echo"\n')
    async with open_fleet(root) as fleet:
        async with console(await connect(fleet.place), size=(100, 30), attached=True) as pilot:
            pilot.app.open_bot("poet", "people")
            await seen(pilot, "Nobody is listed")
            await pilot.press("A", *"501", "enter", "enter")
            await told(pilot, "let in: 501 of poet")
            await seen(pilot, "paired", "(console)")
            await pilot.press("8")
            await seen(pilot, "Nothing was spent")
        async with console(await connect(fleet.place, readonly=True), size=(100, 30), attached=True) as pilot:
            pilot.app.open_bot("poet", "people")
            await seen(pilot, "501")
            await pilot.press("B", "right", "enter")
            await told(pilot, "block 501: this console only looks")
        assert await states(fleet) == [(501, "paired")]


async def test_people_that_cannot_be_read_say_why(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fleet's own words stand where the list would."""
    async with console(fleet.control, size=(100, 30)) as pilot:
        monkeypatch.setattr(fleet.control, "access", _gone)
        pilot.app.open_bot("poet", "people")
        await seen(pilot, "The people cannot be read: it went away")


async def _gone(*_: Any, **__: Any) -> None:
    raise NoFleet("it went away", "")


def test_who_wrote_comes_last_and_once() -> None:
    """Strangers' names on one line, fit for a terminal; operators and channels without people are left out."""
    row = {"user_id": 5, "state": "paired", "name": "A\x1b[2J\nnn", "by": "", "at": 1.0}
    answer = {"people": [row], "admins": [], "allow": [], "block": ["@mallory"]}
    wrote = {"updated_at": 2.0, "operator": False}
    lately = [
        wrote | {"user_id": "5"}, wrote | {"user_id": "6"}, wrote | {"user_id": "6"}, wrote | {"user_id": ""},
        wrote | {"user_id": "8", "operator": True},
    ]  # fmt: skip
    found = list(everybody(answer, lately))
    assert [(person.who, person.state) for person in found] == [
        ("5", "paired"),
        ("@mallory", "blocked"),
        ("6", "wrote"),
    ]
    assert found[0].name == "A\\x1b[2J nn"


async def test_the_palette_asks_for_the_bot_first(fleet: Fleet) -> None:
    """An action on people from anywhere: the bot, then the person; the cursor of another panel names nobody."""
    async with console(fleet.control, size=(100, 30)) as pilot:
        await pilot.press("ctrl+p", *"block", "enter")
        await seen(pilot, "Block: which bot?")
        await pilot.press(*"shop", "enter")
        await seen(pilot, "Block: who, of shop?")
        assert pilot.app.screen.query_one(Input).value == ""
        await pilot.press(*"77", "enter", "enter")
        await told(pilot, "shut out: 77 of shop")
    assert [row["user_id"] for row in (await fleet.control.access("shop"))["people"]] == [77]
    assert await states(fleet) == []
